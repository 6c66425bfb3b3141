"""The stage that prepares a model for quantization: calibrates it, and trains it or clusters its weights."""

from __future__ import annotations

import math
from dataclasses import replace

from rasa_compressed_bert.compression.fake_quantization import FakeQuantizer
from rasa_compressed_bert.compression.quantization import Calibration, calibration_for
from rasa_compressed_bert.tasks.fitting import STUDENT_RATE, make_model, plan_of, train
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.training.activations import activation_extremes
from rasa_compressed_bert.training.pruning import FixedMask

_AWARE_SHARE = 0.5  # of the epochs


def quantize(run: TrainingRun, *, rounded: bool = False) -> TrainingRun:
    """Prepares the model for its format; its weights are still floats.

    Quantization-aware training trains the model as it will be served, with the unquantized model as the teacher. With
    k-means, the returned model has clustered weights.

    Args:
        run: the training run.
        rounded: whether the returned model computes with rounded weights and activations in all formats, so that linear
            layers are refitted to what is served.

    Raises:
        DataError: if there is nothing to calibrate on.
    """
    quantization, before = run.config.quantization, run.model
    run = replace(run, calibration=_calibrate(run))
    if quantization.method == "none" or not (quantization.aware_training or quantization.method == "kmeans" or rounded):
        return run
    quantizer, values = FakeQuantizer(quantization, run.calibration), before.values()
    run = replace(run, model=make_model(before.encoder.shape, values, run.config, dropout=0.0, quantizer=quantizer))
    if quantization.aware_training:
        plan = plan_of(run, "quantize", math.ceil(run.config.epochs * _AWARE_SHARE), rate=STUDENT_RATE)
        teacher = before if run.config.distillation.enabled else None
        train(run, plan, teacher=teacher, pruning=FixedMask(run.model.encoder))
    return run


def _calibrate(run: TrainingRun) -> Calibration:
    """Calibrates a trained model; dynamic_int8 needs no ranges here, as it keeps its scores without smoothing."""
    extremes = {}
    if run.config.quantization.method == "static_int8":
        extremes = activation_extremes(run.model, run.model.encoder, run.messages.to_calibrate_on)
    return calibration_for(run.model.values(), run.config.quantization, extremes)
