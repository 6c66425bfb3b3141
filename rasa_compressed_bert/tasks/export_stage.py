"""The last stages of training: refits linear layers on the trained model, and exports it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Optional

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.example import evenly_spaced
from rasa_compressed_bert.export.serving import Format
from rasa_compressed_bert.export.task_model import TrainedOutput, export_task_model
from rasa_compressed_bert.heads import kind_of
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.tasks.fitting import make_model
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.training.batches import NO_LABEL, Labels, select_labels
from rasa_compressed_bert.training.head import score_of
from rasa_compressed_bert.training.loop import predict, predict_inputs

_PARITY_MESSAGES = 500


def refit(run: TrainingRun) -> TrainingRun:
    """Fits the linear layers of heads again where these ask for it, on a copy of the model; see `Head.refitted`."""
    encoded, model, fitted = run.messages.encoded, run.model, run.model.values()
    for head in run.heads:
        inputs = partial(predict_inputs, model, head.layer.name, encoded.input_ids)
        measured, seed = run.cross_fitted.of(head), run.config.random_seed
        fitted.update(head.refitted(inputs, encoded.labels[head.name], measured, seed=seed))
    return replace(run, model=make_model(model.encoder.shape, fitted, run.config, quantizer=model.encoder.quantizer))


def export(run: TrainingRun, *, labelled: Optional[np.ndarray] = None) -> Artifact:
    """Exports a trained model in the format that the options ask for.

    Args:
        run: with the trained model.
        labelled: which messages have labels of the user, and not of a teacher, `(n,)`; None for all. The accuracy that
            the parity check reports is measured on these.

    Raises:
        ExportError: if the exported model disagrees with the trained one.
    """
    config, start, encoded, cross_fitted = run.config, run.start, run.messages.encoded, run.cross_fitted
    vocabulary, kind = run.messages.vocabulary, kind_of(run.heads)
    predictions = predict(run.model, encoded.input_ids)
    manifest = {
        "labels": [],
        "temperature": 1.0,
        "num_names": run.messages.num_names,
        "max_length": config.max_length,
        "dense_encoder": start.dense_shape.to_dict(),
        "cross_fitted": cross_fitted.to_dict() if cross_fitted.messages else None,
        "training_scores": {**run.scores, "final": score_of(predictions, encoded, run.heads).to_dict()},
        "config": config.to_dict(),
    }
    for head in run.heads:
        manifest.update(head.to_manifest(cross_fitted.of(head)))
    parameters = vocabulary.widen(run.model.values(), start.parameters["embeddings.word"])
    shape = replace(run.model.encoder.shape, vocab_size=start.shape.vocab_size)
    samples = vocabulary.whole(run.messages.to_calibrate_on)
    compared = evenly_spaced(len(encoded), _PARITY_MESSAGES)
    return export_task_model(
        ModelState(shape, parameters, start.tokenizer),
        Format(config.quantization, config.runtime, run.calibration, samples),
        kind=kind,
        manifest=manifest,
        input_ids=vocabulary.whole(encoded[compared].input_ids),
        trained=[
            TrainedOutput(
                head.layer.output,
                select_labels(predictions[head.layer.output], compared),
                head.temperature(cross_fitted.of(head)),
                _classes(encoded.labels[head.name], compared, labelled),
                head.parity_entry,
                head.compared_classes(select_labels(encoded.labels[head.name], compared)),
            )
            for head in run.heads
        ],
    )


def _classes(labels: Labels, places: np.ndarray, labelled: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """The user's labels of some messages, `(n,)`; None if messages have several each, or one for each wordpiece."""
    if not isinstance(labels, np.ndarray) or labels.ndim != 1:
        return None
    return labels[places] if labelled is None else np.where(labelled[places], labels[places], NO_LABEL)
