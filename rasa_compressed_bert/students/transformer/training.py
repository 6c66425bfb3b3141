"""A BERT of few layers as a student, which is pruned and quantized like any other BERT."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.compression.quantization import dithered
from rasa_compressed_bert.compression.shrinking import keep_layers
from rasa_compressed_bert.config import DistilledIntentClassifierConfig, PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.heads import IntentHead
from rasa_compressed_bert.models.head_layer import SELECTOR
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.tasks.distillation_data import DistillationData
from rasa_compressed_bert.tasks.export_stage import export
from rasa_compressed_bert.tasks.fitting import first_model, make_model, plan_of
from rasa_compressed_bert.tasks.pruning_stage import prune
from rasa_compressed_bert.tasks.quantization_stage import quantize
from rasa_compressed_bert.tasks.training_run import Messages, TrainingRun
from rasa_compressed_bert.tokenization.vocabulary import trim
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.batches import EncodedExamples
from rasa_compressed_bert.training.head import score_of
from rasa_compressed_bert.training.loop import Validation, fit, predict
from rasa_compressed_bert.training.objectives import SoftTargetLoss
from rasa_compressed_bert.training.pruning import FixedMask
from rasa_compressed_bert.training.vocabulary import UsedVocabulary


def check(config: DistilledIntentClassifierConfig) -> None:
    """Checks that the pretrained weights of a teacher to fine-tune have the chosen layers.

    Raises:
        ConfigError: if they do not have these layers.
        WeightsError: if they cannot be read.
    """
    if config.weights_to_start_from is not None:
        _chosen(len(load_pretrained(config.weights_to_start_from).shape.layers), config)


def train(
    data: DistillationData, teacher: ModelState, *, config: DistilledIntentClassifierConfig, origin: Optional[Artifact]
) -> Artifact:
    """Trains, prunes, calibrates, quantizes and exports a student.

    Args:
        data: the training data.
        teacher: the teacher, whose layers initialise the student.
        config: all options.
        origin: a student to train further instead of a new one; it keeps its size.

    Raises:
        ConfigError: if the teacher does not have the chosen layers, or has fewer positions than `max_length`.
        ExportError: if the exported student disagrees with the trained one.
    """
    layers = _chosen(len(teacher.shape.layers), config)
    start = state_of(origin) if origin else _fewer_layers(teacher, layers, data, config)
    run = _run_of(data, start, config)
    vocabulary = run.messages.vocabulary
    plan = replace(plan_of(run, "student (transformer)", config.epochs), patience=config.patience)
    if origin:
        run.model.assign(dithered(run.model.values(), config.quantization, run.rng))
    held = FixedMask(run.model.encoder) if origin else None
    objective = SoftTargetLoss(run.heads, config.distillation)
    if config.distillation.hidden_states and origin is None:
        objective = SoftTargetLoss(run.heads, config.distillation, teacher=_whole(teacher, run), layers=layers)
    intents = IntentHead(data.labels)
    held_out = vocabulary.renumber(_tokenized(data.validation_texts, start, config))
    validation = Validation(EncodedExamples(held_out, {intents.name: data.validation_classes}), [intents])
    training = replace(run.messages.encoded, labels=data.targets(data.classes))  # alpha is for the users' labels
    fit(run.model, training, plan, objective=objective, rng=run.rng, pruning=held, validation=validation)
    if origin is None:
        run = prune(run)
    run = quantize(run, rounded=origin is not None)
    artifact = export(run, labelled=data.classes >= 0)
    compared = validation.examples
    score = score_of(predict(run.model, held_out), compared, [intents]) if held_out else None  # as it is exported
    described = {"config": config.to_dict(), "validation": {"student": score.to_dict()} if score else {}}
    responses = data.responses.to_manifest() if data.responses else {}
    return Artifact({**artifact.manifest, **described, **responses, "training_scores": {}}, artifact.files)


def _run_of(data: DistillationData, start: ModelState, config: DistilledIntentClassifierConfig) -> TrainingRun:
    """The training of the student; for pruning, the class of a synthetic message is the teacher's prediction."""
    options = _options(config)
    encoded, held_out = (_tokenized(texts, start, config) for texts in (data.texts, data.validation_texts))
    vocabulary = UsedVocabulary.of([*encoded, *held_out])
    classes = np.where(data.classes >= 0, data.classes, data.soft_targets.argmax(axis=1)).astype(np.int32)
    training = EncodedExamples(vocabulary.renumber(encoded), data.targets(classes))
    messages = Messages([Example(text) for text in data.texts], [], training, training, vocabulary)
    model, rng = first_model(start, messages, options), np.random.default_rng(config.random_seed)
    return TrainingRun(options, data.heads, start, messages, model, rng)


def _tokenized(texts: Sequence[str], start: ModelState, config: DistilledIntentClassifierConfig) -> List[np.ndarray]:
    pieces = WordpieceTokenizer(start.tokenizer, config.max_length)
    return [pieces.encode(text) for text in texts]


def _options(config: DistilledIntentClassifierConfig) -> PrunedBertIntentClassifierConfig:
    """The options of the student as a classifier."""
    return replace(
        config.teacher_options(),
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        pruning=config.pruning,
        quantization=config.quantization,
    )


def _whole(teacher: ModelState, run: TrainingRun) -> TaskModel:
    """The teacher with the student's wordpieces, so that both read the same input."""
    parameters = {**teacher.parameters, "embeddings.word": run.start.parameters["embeddings.word"]}
    return make_model(teacher.shape, run.messages.vocabulary.narrow(parameters), run.config, dropout=0.0)


def _fewer_layers(
    teacher: ModelState, chosen: Sequence[int], data: DistillationData, config: DistilledIntentClassifierConfig
) -> ModelState:
    """The teacher's head with the chosen layers and fewer wordpieces."""
    positions = teacher.shape.max_position_embeddings
    if config.max_length > positions:
        raise ConfigError(f"max_length: {config.max_length} is more than the {positions} positions of the teacher")
    options: Any = config.student  # a TransformerConfig
    tokenizer, rows = trim(teacher.tokenizer, data.texts, options.vocabulary_size)
    shape, parameters = keep_layers(teacher.shape, teacher.parameters, chosen)
    if data.responses is None:  # the teacher may select responses nevertheless
        parameters = {name: value for name, value in parameters.items() if not name.startswith(f"{SELECTOR.name}.")}
    parameters["embeddings.word"] = parameters["embeddings.word"][rows]
    return ModelState(replace(shape, vocab_size=len(rows)), parameters, tokenizer, teacher.dense_shape)


def _chosen(count: int, config: DistilledIntentClassifierConfig) -> Tuple[int, ...]:
    """The layers of the options, or else evenly spaced ones from the first to the last."""
    options: Any = config.student  # a TransformerConfig
    wanted, size = options.layers or (), options.num_layers
    if size > count or max(wanted, default=0) >= count:
        raise ConfigError(
            f"student: the teacher has {count} layers, 0 to {count - 1}; num_layers is {size} and layers is "
            f"{list(wanted) or 'null'}"
        )
    return wanted or tuple(int(index) for index in np.linspace(0, count - 1, size).round())
