"""The end of the training of a BERT: its format, and its export."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Dict, List, Optional, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.compression.fake_quantization import FakeQuantizer
from rasa_compressed_bert.compression.quantization import Calibration, calibration_for
from rasa_compressed_bert.data.example import spread
from rasa_compressed_bert.export.serving import Exported, Format
from rasa_compressed_bert.export.task_model import HeldOut, export_task_model
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.tasks.bert_task import STUDENT_RATE, BertTask
from rasa_compressed_bert.training.activations import activation_extremes
from rasa_compressed_bert.training.calibration import calibration_temperature
from rasa_compressed_bert.training.loop import fit, predict
from rasa_compressed_bert.training.pruning import HeldZeros
from rasa_compressed_bert.training.scores import Predictions, Score, score_of, tags_alone

Scores = Dict[str, Optional[Score]]

_AWARE_SHARE = 0.5  # of the epochs
_CALIBRATION_MESSAGES, _CALIBRATION_WORDPIECES, _PARITY_MESSAGES = 300, 20_000, 500


def quantize_and_export(
    model: TaskModel,
    task: BertTask,
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
            scores["quantized"] = score_of(predict(model, task.validation.input_ids), task.validation)
    return _export(model, task, calibration, scores, origin=origin)


def _calibrate(model: TaskModel, task: BertTask) -> Calibration:
    """What quantization needs to know of a trained model; dynamic_int8 keeps its scores without smoothing."""
    extremes = {}
    if task.config.quantization.method == "static_int8":
        extremes = activation_extremes(model, model.encoder, _to_calibrate_on(task))
    return calibration_for(model.values(), task.config.quantization, extremes)


def _train_quantized(
    model: TaskModel, task: BertTask, calibration: Calibration, *, rng: np.random.Generator
) -> Tuple[TaskModel, Optional[Score]]:
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
    model: TaskModel,
    task: BertTask,
    calibration: Calibration,
    scores: Scores,
    *,
    origin: Optional[Artifact],
) -> Artifact:
    config, start = task.config, task.start
    held_out = task.validation if len(task.validation) else task.training
    said = predict(model, held_out.input_ids)
    known = task.targets.to_manifest()
    if task.targets.scheme is not None:
        known["entities"]["temperature"] = _tag_temperature(said, task)
    manifest = {
        **known,
        "max_length": config.max_length,
        "temperature": _temperature(said, task),
        "dense_encoder": start.dense.to_dict(),
        "validation": {
            **(origin.manifest["validation"] if origin else {}),
            **{stage: asdict(score) for stage, score in scores.items() if score is not None},
        },
        "config": config.to_dict(),
    }
    parameters = task.vocabulary.widen(model.values(), start.parameters["embeddings.word"])
    messages = task.whole_ids(_to_calibrate_on(task))
    return export_task_model(
        Exported(replace(model.encoder.shape, vocab_size=start.shape.vocab_size), parameters, start.tokenizer),
        Format(config.quantization, config.runtime, calibration, messages),
        kind=task.targets.kind,
        manifest=manifest,
        held_out=HeldOut(task.whole_ids(held_out.input_ids), held_out.classes, said.logits, said.tag_logits).at(
            spread(len(held_out), _PARITY_MESSAGES)
        ),
    )


def _to_calibrate_on(task: BertTask) -> List[np.ndarray]:
    input_ids = task.training.input_ids
    return [input_ids[place] for place in spread(len(input_ids), _CALIBRATION_MESSAGES)]


def _temperature(said: Predictions, task: BertTask) -> float:
    """Of the intents of held-out messages; 1 where none are held out, or have an intent."""
    labelled = np.flatnonzero(task.validation.classes >= 0)
    if said.logits is None or not len(labelled):
        return 1.0
    return calibration_temperature(said.logits[labelled], task.validation.classes[labelled])


def _tag_temperature(said: Predictions, task: BertTask) -> float:
    """Of the tags of held-out messages' wordpieces; 1 where none are held out.

    It is never below 1: where a few messages are tagged without a mistake, the likeliest temperature is 0, and every
    entity would be certain.
    """
    if not len(task.validation):
        return 1.0
    logits, tags = tags_alone(said.tag_logits, task.validation.tags)
    places = spread(len(tags), _CALIBRATION_WORDPIECES)
    return max(1.0, calibration_temperature(logits[places], tags[places]))
