"""The end of the training of a BERT: its format, and its export."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Dict, List, Optional

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.compression.fake_quantization import FakeQuantizer
from rasa_compressed_bert.compression.quantization import Calibration, calibration_for
from rasa_compressed_bert.data.example import evenly_spaced
from rasa_compressed_bert.export.serving import Format
from rasa_compressed_bert.export.task_model import TrainedOutput, export_task_model
from rasa_compressed_bert.heads import kind_of
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.tasks.bert_task import STUDENT_RATE, BertTask
from rasa_compressed_bert.tasks.cross_fitting import CrossFitted, measured_of
from rasa_compressed_bert.training.activations import activation_extremes
from rasa_compressed_bert.training.batches import Labels, select_labels
from rasa_compressed_bert.training.head import score_of
from rasa_compressed_bert.training.loop import fit, predict, predict_inputs
from rasa_compressed_bert.training.pruning import FixedMask

Scores = Dict[str, Dict[str, float]]

_AWARE_SHARE = 0.5  # of the epochs
_CALIBRATION_MESSAGES, _PARITY_MESSAGES = 300, 500


def quantize_and_export(
    model: TaskModel,
    task: BertTask,
    scores: Scores,
    *,
    rng: np.random.Generator,
    cross_fitted: Optional[CrossFitted] = None,
    refit: bool = False,
) -> Artifact:
    """The artifact of a trained model in the format that the options ask for.

    Args:
        model: in floats.
        task: what it was trained on.
        scores: of the training messages after each stage so far.
        rng: of the order of the examples, where the format is trained for.
        cross_fitted: what held-out messages showed; None where none were held out.
        refit: whether heads may replace their linear layers, see `Head.refitted`.

    Raises:
        DataError: if there is nothing to calibrate on.
        ExportError: if the exported model disagrees with the quantized one.
    """
    quantization = task.config.quantization
    calibration = _calibrate(model, task)
    if quantization.aware_training:
        model = _train_quantized(model, task, calibration, rng=rng)
    elif quantization.method == "kmeans":  # clustered weights are another model, which is what is exported
        quantizer = FakeQuantizer(quantization, calibration)
        model = task.model(model.encoder.shape, model.values(), quantizer=quantizer)
    if refit:
        _refit(model, task, cross_fitted)
    return _export(model, task, calibration, scores, cross_fitted=cross_fitted)


def _refit(model: TaskModel, task: BertTask, cross_fitted: Optional[CrossFitted]) -> None:
    """Replaces linear layers by those that are fitted again to what the trained model computes."""
    for head in task.heads:
        inputs = partial(predict_inputs, model, head.layer.name, task.training.input_ids)
        measured, labels = measured_of(cross_fitted, head), task.training.labels[head.name]
        model.assign(head.refitted(inputs, labels, measured, seed=task.config.random_seed))


def _calibrate(model: TaskModel, task: BertTask) -> Calibration:
    """What quantization needs to know of a trained model; dynamic_int8 keeps its scores without smoothing."""
    extremes = {}
    if task.config.quantization.method == "static_int8":
        extremes = activation_extremes(model, model.encoder, _to_calibrate_on(task))
    return calibration_for(model.values(), task.config.quantization, extremes)


def _train_quantized(
    model: TaskModel, task: BertTask, calibration: Calibration, *, rng: np.random.Generator
) -> TaskModel:
    """A last stage, with the model before it as the teacher: what is served is what learns."""
    config = task.config
    quantizer = FakeQuantizer(config.quantization, calibration)
    quantized = task.model(model.encoder.shape, model.values(), dropout=0.0, quantizer=quantizer)
    training = task.with_filled()
    epochs = math.ceil(config.epochs * _AWARE_SHARE)
    plan = task.plan("quantize", epochs, rate=STUDENT_RATE, messages=len(training))
    held = FixedMask(quantized.encoder)
    teacher = model if config.distillation.enabled else None
    fit(quantized, training, plan, objective=task.make_loss(teacher), rng=rng, pruning=held)
    return quantized


def _export(
    model: TaskModel,
    task: BertTask,
    calibration: Calibration,
    scores: Scores,
    *,
    cross_fitted: Optional[CrossFitted],
) -> Artifact:
    config, state, training = task.config, task.state, task.training
    predictions = predict(model, training.input_ids)
    manifest = {
        "labels": [],
        "temperature": 1.0,
        "num_names": task.num_names,
        "max_length": config.max_length,
        "dense_encoder": state.dense_shape.to_dict(),
        "cross_fitted": cross_fitted.to_dict() if cross_fitted else None,
        "training_scores": {**scores, "final": score_of(predictions, training, task.heads).to_dict()},
        "config": config.to_dict(),
    }
    for head in task.heads:
        manifest.update(head.to_manifest(measured_of(cross_fitted, head)))
    parameters = task.vocabulary.widen(model.values(), state.parameters["embeddings.word"])
    shape = replace(model.encoder.shape, vocab_size=state.shape.vocab_size)
    compared = evenly_spaced(len(training), _PARITY_MESSAGES)
    return export_task_model(
        ModelState(shape, parameters, state.tokenizer),
        Format(config.quantization, config.runtime, calibration, task.whole_ids(_to_calibrate_on(task))),
        kind=kind_of(task.heads),
        manifest=manifest,
        input_ids=task.whole_ids(training[compared].input_ids),
        trained=[
            TrainedOutput(
                head.layer.output,
                select_labels(predictions[head.layer.output], compared),
                head.temperature(measured_of(cross_fitted, head)),
                _classes(training.labels[head.name], compared),
                head.parity_entry,
                head.compared_classes(select_labels(training.labels[head.name], compared)),
            )
            for head in task.heads
        ],
    )


def _classes(labels: Labels, places: np.ndarray) -> Optional[np.ndarray]:
    """The labels of some messages, `(n,)`; None where messages have several each, or their wordpieces have them."""
    return labels[places] if isinstance(labels, np.ndarray) and labels.ndim == 1 else None


def _to_calibrate_on(task: BertTask) -> List[np.ndarray]:
    input_ids = task.training.input_ids
    return [input_ids[place] for place in evenly_spaced(len(input_ids), _CALIBRATION_MESSAGES)]
