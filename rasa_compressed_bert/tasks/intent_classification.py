"""From labelled messages to the artifact of a pruned, quantized BERT classifier, top to bottom."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.compression.shrinking import shrink
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example, class_indices, intent_labels, stratified_split
from rasa_compressed_bert.errors import ConfigError, DataError
from rasa_compressed_bert.export.intent_classifier import export_intent_classifier
from rasa_compressed_bert.export.packing import unpack
from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.intent_model import IntentModel
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.batches import EncodedExamples, batch_count, batch_size_for
from rasa_compressed_bert.training.calibration import calibration_temperature
from rasa_compressed_bert.training.linear_probe import linear_probe
from rasa_compressed_bert.training.loop import Plan, Score, fit, predict_features, predict_logits
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.pruning import HeldZeros, NeuronPruning, NoPruning, pruning_for
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

_DROPOUT = 0.1  # of a model that learns from labels; one that follows a teacher needs none
_STUDENT_RATE = 3.0  # times the learning rate: a pruned model has further to go, and its teacher holds it
_DENSE_SHARE = 0.5  # of the epochs: a dense model that starts from a linear probe is done sooner than a pruned one
_PARITY_MESSAGES = 500


class Start(NamedTuple):
    """What training starts from."""

    shape: EncoderShape
    parameters: Parameters  # of encoder and head
    tokenizer: str


@dataclass(frozen=True)
class Data:
    """Tokenized messages, with ids of `vocabulary`."""

    training: EncodedExamples
    validation: EncodedExamples
    vocabulary: UsedVocabulary


def train_intent_classifier(examples: Sequence[Example], config: PrunedBertIntentClassifierConfig) -> Artifact:
    """Fine-tunes the pretrained weights, prunes them under the dense model's guidance, quantizes and exports.

    Args:
        examples: the labelled messages.
        config: all options.

    Raises:
        DataError: if there are no examples.
        WeightsError: if the pretrained weights cannot be read.
        ExportError: if the exported model disagrees with the trained one.
    """
    labels = _labels(examples)
    start = _start_from_pretrained(config, len(labels))
    data = _prepare(examples, labels, start.tokenizer, config)
    rng = np.random.default_rng(config.random_seed)

    model = _model(start.shape, data.vocabulary.narrow(start.parameters), config)
    features = predict_features(model, data.training.input_ids)
    model.assign(linear_probe(features, data.training.classes, len(labels), seed=config.random_seed))
    pruned = config.pruning.method != "none"
    plan = _plan("fine-tune", math.ceil(config.epochs * _DENSE_SHARE) if pruned else config.epochs, data, config)
    scores = {"dense": fit(model, data.training, data.validation, plan, rng=rng)}
    if pruned:
        model, scores["pruned"] = _prune(model, data, config, rng)
    return _export(model, start, data, labels, config, scores)


def finetune_intent_classifier(
    examples: Sequence[Example], config: PrunedBertIntentClassifierConfig, artifact: Artifact
) -> Artifact:
    """Continues training a compressed model on examples of the same labels; it stays as small as it is.

    Raises:
        DataError: if there are no examples, or if their labels are not those of the artifact.
        ExportError: if the exported model disagrees with the trained one.
    """
    labels = _labels(examples)
    _require_same_labels(artifact.manifest["labels"], labels)
    start = _start_from_artifact(artifact)
    data = _prepare(examples, labels, start.tokenizer, config)
    rng = np.random.default_rng(config.random_seed)

    model = _model(start.shape, data.vocabulary.narrow(start.parameters), config)
    plan = _plan("fine-tune", config.epochs, data, config)
    scores = {"finetuned": fit(model, data.training, data.validation, plan, rng=rng, pruning=HeldZeros(model.encoder))}
    return _export(model, start, data, labels, config, scores, origin=artifact)


def _labels(examples: Sequence[Example]) -> Tuple[str, ...]:
    labels = intent_labels(examples)
    if not labels:
        raise DataError("There are no examples with an intent to train on.")
    return labels


def _require_same_labels(before: Sequence[str], now: Sequence[str]) -> None:
    added, removed = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    if added or removed:
        raise DataError(
            f"--finetune needs the intents that the model was trained on. New: {added or 'none'}; "
            f"gone: {removed or 'none'}. Train without --finetune."
        )


def _start_from_pretrained(config: PrunedBertIntentClassifierConfig, num_classes: int) -> Start:
    checkpoint = load_pretrained(config.model_weights)
    positions = checkpoint.shape.max_position_embeddings
    if config.max_length > positions:
        raise ConfigError(f"max_length: {config.max_length} is more than the {positions} positions of the weights")
    shape = replace(checkpoint.shape, max_position_embeddings=config.max_length)
    parameters = dict(checkpoint.parameters)
    parameters["embeddings.position"] = parameters["embeddings.position"][: config.max_length]
    if config.pooling == "cls":
        parameters.update(checkpoint.pooler or _new_pooler(shape, config))
    features = parameters["pooler.kernel"].shape[1] if config.pooling == "cls" else shape.hidden_size
    parameters["classifier.kernel"] = np.zeros((features, num_classes), np.float32)
    parameters["classifier.bias"] = np.zeros(num_classes, np.float32)
    return Start(shape, parameters, checkpoint.tokenizer)


def _new_pooler(shape: EncoderShape, config: PrunedBertIntentClassifierConfig) -> Parameters:
    rng = np.random.default_rng(config.random_seed)
    kernel = rng.normal(0.0, 0.02, (shape.hidden_size, shape.hidden_size)).astype(np.float32)
    return {"pooler.kernel": kernel, "pooler.bias": np.zeros(shape.hidden_size, np.float32)}


def _start_from_artifact(artifact: Artifact) -> Start:
    shape = EncoderShape.from_dict(artifact.manifest["encoder"])
    parameters = unpack(shape, tensors_from_bytes(artifact.files[WEIGHTS]))
    return Start(shape, parameters, artifact.files[TOKENIZER].decode("utf-8"))


def _prepare(
    examples: Sequence[Example], labels: Sequence[str], tokenizer: str, config: PrunedBertIntentClassifierConfig
) -> Data:
    input_ids = WordpieceTokenizer(tokenizer, config.max_length).encode_all([example.text for example in examples])
    vocabulary = UsedVocabulary.of(input_ids)
    renumbered = vocabulary.renumber(input_ids)
    classes = class_indices(examples, labels)
    training, validation = stratified_split(classes, config.validation_split, seed=config.random_seed)
    return Data(
        EncodedExamples([renumbered[index] for index in training], classes[training]),
        EncodedExamples([renumbered[index] for index in validation], classes[validation]),
        vocabulary,
    )


def _model(
    shape: EncoderShape, parameters: Parameters, config: PrunedBertIntentClassifierConfig, *, dropout: float = _DROPOUT
) -> IntentModel:
    narrow = replace(shape, vocab_size=len(parameters["embeddings.word"]))
    return IntentModel(narrow, parameters, dropout=Dropout(dropout, seed=config.random_seed))


def _plan(name: str, epochs: int, data: Data, config: PrunedBertIntentClassifierConfig, *, rate: float = 1.0) -> Plan:
    batch_size = batch_size_for(len(data.training), config.batch_size)
    steps = epochs * batch_count(len(data.training), batch_size)
    schedule = WarmUpLinearDecay(config.learning_rate * rate, steps)
    return Plan(name, epochs, batch_size, schedule, distillation=config.distillation)


def _prune(
    dense: IntentModel, data: Data, config: PrunedBertIntentClassifierConfig, rng: np.random.Generator
) -> Tuple[IntentModel, Optional[Score]]:
    """Prunes a copy of the dense model, which is its teacher, cuts out what is pruned, and lets the rest recover."""
    teacher = dense if config.distillation.enabled else None
    dropout = 0.0 if teacher else _DROPOUT
    model = _model(dense.encoder.shape, dense.values(), config, dropout=dropout)
    rate = _STUDENT_RATE if teacher else 1.0
    whole = _plan(f"prune ({config.pruning.method})", config.epochs, data, config, rate=rate)
    pruning = pruning_for(config.pruning, model, batch_count(len(data.training), whole.batch_size))
    pruning_epochs = max(1, math.ceil(config.pruning.end_epoch))
    plan = replace(whole, epochs=pruning_epochs, keep_from=pruning_epochs)
    score = fit(model, data.training, data.validation, plan, rng=rng, pruning=pruning, teacher=teacher)

    afterwards: NoPruning = HeldZeros(model.encoder)
    if isinstance(pruning, NeuronPruning):
        shape, parameters = shrink(model.encoder.shape, model.values(), pruning.final_gates())
        model = _model(shape, parameters, config, dropout=dropout)
        afterwards = NoPruning(pruning.sparsity)
    if pruning_epochs < config.epochs:
        plan = replace(whole, name="recover", epochs=config.epochs - pruning_epochs, schedule=_rest(whole, plan))
        score = fit(model, data.training, data.validation, plan, rng=rng, pruning=afterwards, teacher=teacher)
    return model, score


def _rest(whole: Plan, done: Plan) -> WarmUpLinearDecay:
    steps = whole.schedule.steps
    return WarmUpLinearDecay(whole.schedule.peak, steps, first_step=steps * done.epochs // whole.epochs)


def _export(
    model: IntentModel,
    start: Start,
    data: Data,
    labels: Sequence[str],
    config: PrunedBertIntentClassifierConfig,
    scores: Dict[str, Optional[Score]],
    *,
    origin: Optional[Artifact] = None,
) -> Artifact:
    held_out = data.validation if len(data.validation) else data.training
    logits = predict_logits(model, held_out.input_ids)
    temperature = calibration_temperature(logits, held_out.classes) if len(data.validation) else 1.0
    shape = replace(model.encoder.shape, vocab_size=start.shape.vocab_size)
    manifest = {
        "labels": list(labels),
        "max_length": config.max_length,
        "temperature": temperature,
        "dense_encoder": origin.manifest["dense_encoder"] if origin else start.shape.to_dict(),
        "validation": {
            **(origin.manifest["validation"] if origin else {}),
            **{stage: asdict(score) for stage, score in scores.items() if score is not None},
        },
        "config": config.to_dict(),
    }
    return export_intent_classifier(
        shape,
        data.vocabulary.widen(model.values(), start.parameters["embeddings.word"]),
        tokenizer=start.tokenizer,
        quantization=config.quantization,
        manifest=manifest,
        input_ids=[data.vocabulary.rows[ids] for ids in held_out.input_ids[:_PARITY_MESSAGES]],
        logits=logits[:_PARITY_MESSAGES],
        classes=held_out.classes[:_PARITY_MESSAGES],
    )
