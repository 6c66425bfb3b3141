"""From labelled messages to the artifact of a pruned, quantized BERT classifier, top to bottom."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Dict, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.compression.fake_quantization import FakeQuantizer
from rasa_compressed_bert.compression.quantization import Calibration, calibration_for
from rasa_compressed_bert.compression.shrinking import shrink
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example, class_indices, intent_labels, stratified_split
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.export.intent_classifier import HeldOut, export_intent_classifier
from rasa_compressed_bert.export.serving import Exported, Format
from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.intent_model import IntentModel
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.tasks.start import Start, start_from_artifact, start_from_pretrained
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.activations import activation_extremes
from rasa_compressed_bert.training.batches import EncodedExamples, batch_count, batch_size_for
from rasa_compressed_bert.training.calibration import calibration_temperature
from rasa_compressed_bert.training.linear_probe import linear_probe
from rasa_compressed_bert.training.loop import Plan, Score, evaluate, fit, predict_features, predict_logits
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.pruning import HeldZeros, NeuronPruning, NoPruning, pruning_for
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

_DROPOUT = 0.1  # of a model that learns from labels; one that follows a teacher needs none
_STUDENT_RATE = 3.0  # times the learning rate: a pruned model has further to go, and its teacher holds it
_DENSE_SHARE = 0.5  # of the epochs: a dense model that starts from a linear probe is done sooner than a pruned one
_QUANTIZED_SHARE = 0.5  # of the epochs, at the rate of a student
_PARITY_MESSAGES = 500
_CALIBRATION_MESSAGES = 300


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
    start = _with_head(start_from_pretrained(config, [example.text for example in examples]), len(labels), config)
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
    return _export(model, start, data, labels, config, scores, rng=rng)


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
    start = start_from_artifact(artifact)
    data = _prepare(examples, labels, start.tokenizer, config)
    rng = np.random.default_rng(config.random_seed)

    model = _model(start.shape, data.vocabulary.narrow(start.parameters), config)
    plan = _plan("fine-tune", config.epochs, data, config)
    scores = {"finetuned": fit(model, data.training, data.validation, plan, rng=rng, pruning=HeldZeros(model.encoder))}
    return _export(model, start, data, labels, config, scores, rng=rng, origin=artifact)


def requantize_intent_classifier(
    examples: Sequence[Example], config: PrunedBertIntentClassifierConfig, artifact: Artifact
) -> Artifact:
    """The same model in the format and for the runtime of other options; `aware_training` trains it for them.

    Args:
        examples: of the same labels: for calibration, for validation, and to train on.
        config: the options.
        artifact: of a trained model, best one in floats.

    Raises:
        DataError: if there are no examples, or if their labels are not those of the artifact.
        ExportError: if the exported model disagrees with the trained one.
    """
    labels = _labels(examples)
    _require_same_labels(artifact.manifest["labels"], labels)
    start = start_from_artifact(artifact)
    data = _prepare(examples, labels, start.tokenizer, config)
    model = _model(start.shape, data.vocabulary.narrow(start.parameters), config)
    rng = np.random.default_rng(config.random_seed)
    return _export(model, start, data, labels, config, {}, rng=rng, origin=artifact)


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


def _with_head(start: Start, num_classes: int, config: PrunedBertIntentClassifierConfig) -> Start:
    """Adds a linear layer and, for `pooling: cls`, the pooler of the weights or a new one."""
    parameters, features = dict(start.parameters), start.shape.hidden_size
    if config.pooling == "cls":
        parameters.update(start.pooler or _new_pooler(start.shape, config))
        features = parameters["pooler.kernel"].shape[1]
    parameters["classifier.kernel"] = np.zeros((features, num_classes), np.float32)
    parameters["classifier.bias"] = np.zeros(num_classes, np.float32)
    return start._replace(parameters=parameters)


def _new_pooler(shape: EncoderShape, config: PrunedBertIntentClassifierConfig) -> Parameters:
    rng = np.random.default_rng(config.random_seed)
    kernel = rng.normal(0.0, 0.02, (shape.hidden_size, shape.hidden_size)).astype(np.float32)
    return {"pooler.kernel": kernel, "pooler.bias": np.zeros(shape.hidden_size, np.float32)}


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
    shape: EncoderShape,
    parameters: Parameters,
    config: PrunedBertIntentClassifierConfig,
    *,
    dropout: float = _DROPOUT,
    quantizer: Optional[Quantizer] = None,
) -> IntentModel:
    narrow = replace(shape, vocab_size=len(parameters["embeddings.word"]))
    return IntentModel(narrow, parameters, dropout=Dropout(dropout, seed=config.random_seed), quantizer=quantizer)


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


def _calibrate(model: IntentModel, data: Data, config: PrunedBertIntentClassifierConfig) -> Calibration:
    """What quantization needs to know of a trained model; dynamic_int8 keeps its scores without smoothing."""
    extremes = {}
    if config.quantization.method == "static_int8":
        extremes = activation_extremes(model, model.encoder, data.training.input_ids[:_CALIBRATION_MESSAGES])
    return calibration_for(model.values(), config.quantization, extremes)


def _train_quantized(
    model: IntentModel,
    data: Data,
    config: PrunedBertIntentClassifierConfig,
    rng: np.random.Generator,
    *,
    calibration: Calibration,
) -> Tuple[IntentModel, Optional[Score]]:
    """A last stretch, with the model before it as the teacher: what is served is what learns."""
    quantizer = FakeQuantizer(config.quantization, calibration)
    quantized = _model(model.encoder.shape, model.values(), config, dropout=0.0, quantizer=quantizer)
    epochs = math.ceil(config.epochs * _QUANTIZED_SHARE)
    plan = _plan("quantize", epochs, data, config, rate=_STUDENT_RATE)
    held = HeldZeros(quantized.encoder)
    teacher = model if config.distillation.enabled else None
    score = fit(quantized, data.training, data.validation, plan, rng=rng, pruning=held, teacher=teacher)
    return quantized, score


def _export(
    model: IntentModel,
    start: Start,
    data: Data,
    labels: Sequence[str],
    config: PrunedBertIntentClassifierConfig,
    scores: Dict[str, Optional[Score]],
    *,
    rng: np.random.Generator,
    origin: Optional[Artifact] = None,
) -> Artifact:
    calibration = _calibrate(model, data, config)
    if config.quantization.aware_training:
        model, scores["quantized"] = _train_quantized(model, data, config, rng, calibration=calibration)
    elif config.quantization.method == "kmeans":
        quantizer = FakeQuantizer(config.quantization, calibration)
        model = _model(model.encoder.shape, model.values(), config, quantizer=quantizer)
    held_out = data.validation if len(data.validation) else data.training
    logits = predict_logits(model, held_out.input_ids)
    if config.quantization.method == "kmeans" and len(data.validation):
        scores["quantized"] = evaluate(logits, held_out.classes)
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
    exported = Exported(
        shape, data.vocabulary.widen(model.values(), start.parameters["embeddings.word"]), start.tokenizer
    )
    messages = [data.vocabulary.rows[ids] for ids in data.training.input_ids[:_CALIBRATION_MESSAGES]]
    return export_intent_classifier(
        exported,
        Format(config.quantization, config.runtime, calibration, messages),
        manifest=manifest,
        held_out=HeldOut(
            [data.vocabulary.rows[ids] for ids in held_out.input_ids[:_PARITY_MESSAGES]],
            logits[:_PARITY_MESSAGES],
            held_out.classes[:_PARITY_MESSAGES],
        ),
    )
