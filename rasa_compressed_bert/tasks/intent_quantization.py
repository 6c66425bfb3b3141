"""The end of the training of an intent classifier: its format, and its export."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Dict, Optional, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.compression.fake_quantization import FakeQuantizer
from rasa_compressed_bert.compression.quantization import Calibration, calibration_for
from rasa_compressed_bert.export.intent_classifier import HeldOut, export_intent_classifier
from rasa_compressed_bert.export.serving import Exported, Format
from rasa_compressed_bert.models.intent_model import IntentModel
from rasa_compressed_bert.tasks.intent_task import STUDENT_RATE, IntentTask
from rasa_compressed_bert.training.activations import activation_extremes
from rasa_compressed_bert.training.calibration import calibration_temperature
from rasa_compressed_bert.training.loop import Score, evaluate, fit, predict_logits
from rasa_compressed_bert.training.pruning import HeldZeros

Scores = Dict[str, Optional[Score]]

_AWARE_SHARE = 0.5  # of the epochs
_CALIBRATION_MESSAGES, _PARITY_MESSAGES = 300, 500


def quantize_and_export(
    model: IntentModel,
    task: IntentTask,
    scores: Scores,
    *,
    rng: np.random.Generator,
    origin: Optional[Artifact] = None,
) -> Artifact:
    """The artifact of a trained model in the format that the options ask for.

    Args:
        model: in floats.
        task: what it was trained on.
        scores: of the stretches so far.
        rng: of the order of the examples, where the format is trained for.
        origin: the artifact that training started from.

    Raises:
        DataError: if there is nothing to calibrate on.
        ExportError: if the exported model disagrees with the quantized one.
    """
    quantization = task.config.quantization
    calibration = _calibrate(model, task)
    if quantization.aware_training:
        model, scores["quantized"] = _train_quantized(model, task, calibration, rng=rng)
    elif quantization.method == "kmeans":  # clustered weights are another model, which is what is exported
        quantizer = FakeQuantizer(quantization, calibration)
        model = task.model(model.encoder.shape, model.values(), quantizer=quantizer)
        if len(task.validation):
            scores["quantized"] = evaluate(predict_logits(model, task.validation.input_ids), task.validation.classes)
    return _export(model, task, calibration, scores, origin=origin)


def _calibrate(model: IntentModel, task: IntentTask) -> Calibration:
    """What quantization needs to know of a trained model; dynamic_int8 keeps its scores without smoothing."""
    extremes = {}
    if task.config.quantization.method == "static_int8":
        extremes = activation_extremes(model, model.encoder, task.training.input_ids[:_CALIBRATION_MESSAGES])
    return calibration_for(model.values(), task.config.quantization, extremes)


def _train_quantized(
    model: IntentModel, task: IntentTask, calibration: Calibration, *, rng: np.random.Generator
) -> Tuple[IntentModel, Optional[Score]]:
    """A last stretch, with the model before it as the teacher: what is served is what learns."""
    config = task.config
    quantizer = FakeQuantizer(config.quantization, calibration)
    quantized = task.model(model.encoder.shape, model.values(), dropout=0.0, quantizer=quantizer)
    plan = task.plan("quantize", math.ceil(config.epochs * _AWARE_SHARE), rate=STUDENT_RATE)
    held = HeldZeros(quantized.encoder)
    teacher = model if config.distillation.enabled else None
    score = fit(quantized, task.training, task.validation, plan, rng=rng, pruning=held, objective=task.follow(teacher))
    return quantized, score


def _export(
    model: IntentModel,
    task: IntentTask,
    calibration: Calibration,
    scores: Scores,
    *,
    origin: Optional[Artifact],
) -> Artifact:
    config, start = task.config, task.start
    held_out = task.validation if len(task.validation) else task.training
    logits = predict_logits(model, held_out.input_ids)
    manifest = {
        "labels": list(task.labels),
        "max_length": config.max_length,
        "temperature": calibration_temperature(logits, held_out.classes) if len(task.validation) else 1.0,
        "dense_encoder": start.dense.to_dict(),
        "validation": {
            **(origin.manifest["validation"] if origin else {}),
            **{stage: asdict(score) for stage, score in scores.items() if score is not None},
        },
        "config": config.to_dict(),
    }
    parameters = task.vocabulary.widen(model.values(), start.parameters["embeddings.word"])
    messages = task.whole_ids(task.training.input_ids[:_CALIBRATION_MESSAGES])
    return export_intent_classifier(
        Exported(replace(model.encoder.shape, vocab_size=start.shape.vocab_size), parameters, start.tokenizer),
        Format(config.quantization, config.runtime, calibration, messages),
        manifest=manifest,
        held_out=HeldOut(
            task.whole_ids(held_out.input_ids[:_PARITY_MESSAGES]),
            logits[:_PARITY_MESSAGES],
            held_out.classes[:_PARITY_MESSAGES],
        ),
    )
