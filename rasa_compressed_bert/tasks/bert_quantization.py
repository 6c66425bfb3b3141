"""The end of the training of a BERT: its format, and its export."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Dict, List, Optional

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.compression.fake_quantization import FakeQuantizer
from rasa_compressed_bert.compression.quantization import Calibration, calibration_for
from rasa_compressed_bert.data.example import evenly_spaced
from rasa_compressed_bert.export.serving import Exported, Format
from rasa_compressed_bert.export.task_model import HeldOut, export_task_model
from rasa_compressed_bert.models.task_model import CLASSIFIER, TaskModel
from rasa_compressed_bert.tasks.bert_task import STUDENT_RATE, BertTask
from rasa_compressed_bert.tasks.cross_fitting import CrossFitted
from rasa_compressed_bert.training.activations import activation_extremes
from rasa_compressed_bert.training.loop import fit, predict, predict_features
from rasa_compressed_bert.training.pruning import FixedMask
from rasa_compressed_bert.training.scores import score_of
from rasa_compressed_bert.training.view_fitting import refit_classifier

Scores = Dict[str, Dict[str, Optional[float]]]

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
        cross_fitted: what held-out messages told; None where none were held out.
        refit: whether logistic regression takes the place of the linear layer of the intents.

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
    if task.targets.labels and refit:
        _refit(model, task)
    return _export(model, task, calibration, scores, cross_fitted=cross_fitted)


def _refit(model: TaskModel, task: BertTask) -> None:
    """Replaces the linear layer of the intents by logistic regression on the features of the trained model."""
    labelled = task.training[np.flatnonzero(task.training.classes >= 0)]
    features = predict_features(model, labelled.input_ids)
    fitted = refit_classifier(features, labelled.classes, len(task.targets.labels), seed=task.config.random_seed)
    model.assign(dict(zip(CLASSIFIER, fitted)))


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
    plan = task.plan("quantize", math.ceil(config.epochs * _AWARE_SHARE), rate=STUDENT_RATE)
    held = FixedMask(quantized.encoder)
    teacher = model if config.distillation.enabled else None
    fit(quantized, task.training, plan, rng=rng, pruning=held, objective=task.make_loss(teacher))
    return quantized


def _export(
    model: TaskModel,
    task: BertTask,
    calibration: Calibration,
    scores: Scores,
    *,
    cross_fitted: Optional[CrossFitted],
) -> Artifact:
    config, start, training = task.config, task.start, task.training
    predictions = predict(model, training.input_ids)
    known = task.targets.to_manifest()
    if task.targets.scheme is not None:
        known["entities"]["temperature"] = cross_fitted.tag_temperature if cross_fitted else 1.0
    manifest = {
        **known,
        "num_names": task.num_names,
        "max_length": config.max_length,
        "temperature": cross_fitted.temperature if cross_fitted else 1.0,
        "dense_encoder": start.dense.to_dict(),
        "cross_fitted": asdict(cross_fitted) if cross_fitted else None,
        "training_scores": {**scores, "final": asdict(score_of(predictions, training))},
        "config": config.to_dict(),
    }
    parameters = task.vocabulary.widen(model.values(), start.parameters["embeddings.word"])
    messages = task.whole_ids(_to_calibrate_on(task))
    return export_task_model(
        Exported(replace(model.encoder.shape, vocab_size=start.shape.vocab_size), parameters, start.tokenizer),
        Format(config.quantization, config.runtime, calibration, messages),
        kind=task.targets.kind,
        manifest=manifest,
        held_out=HeldOut(
            task.whole_ids(training.input_ids), training.classes, predictions.logits, predictions.tag_logits
        ).at(evenly_spaced(len(training), _PARITY_MESSAGES)),
    )


def _to_calibrate_on(task: BertTask) -> List[np.ndarray]:
    input_ids = task.training.input_ids
    return [input_ids[place] for place in evenly_spaced(len(input_ids), _CALIBRATION_MESSAGES)]
