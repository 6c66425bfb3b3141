"""Exports a trained model as an artifact, with a parity check between the exported and the trained model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.export.parity import Parity, check_confidences, compare_confidences
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.models.head_layer import LAYERS
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.runtime.ranking import softmax

_FAR_BELOW = np.float32(-1e9)


class TrainedOutput(NamedTuple):
    """One output of the trained model for some messages.

    Attributes:
        output: the name of the output in the graph.
        logits: the logits of each message, `(C,)`, or of its wordpieces with the two special ones, `(T_i, C)`.
        temperature: the temperature of its confidences.
        classes: the labels of the messages, `(n,)`; -1 for a message without one; None to measure no accuracy.
        entry: its key in the report; None puts its results at the top level.
        compared: which logits of each message are compared, `(n, C)`; None for all. A message without any is left out.
    """

    output: str
    logits: Sequence[np.ndarray]
    temperature: float
    classes: Optional[np.ndarray] = None
    entry: Optional[str] = None
    compared: Optional[np.ndarray] = None


def export_task_model(
    model: ModelState,
    form: Format,
    *,
    kind: str,
    manifest: Mapping[str, Any],
    input_ids: Sequence[np.ndarray],
    trained: Sequence[TrainedOutput],
) -> Artifact:
    """Builds the serving graph, runs messages through it and compares the outputs.

    Args:
        model: the trained model.
        form: the format of the export.
        kind: the kind of the artifact, see `artifact.KINDS`.
        manifest: labels, max_length, temperature, and further manifest entries.
        input_ids: messages to compare on, `n` arrays of `(T_i,)`.
        trained: the outputs of the trained model for these messages.

    Raises:
        ExportError: if the exported model disagrees with the trained one.
    """
    return checked(serving_artifact(model, form, kind=kind, manifest=manifest), input_ids, trained)


def checked(artifact: Artifact, input_ids: Sequence[np.ndarray], trained: Sequence[TrainedOutput]) -> Artifact:
    """Runs messages through an artifact, compares the outputs, and adds the report `parity` to its manifest.

    Raises:
        ExportError: if it disagrees with the trained model.
    """
    engine = open_engine(artifact)
    rows = zip(*(run_message(engine, ids) for ids in input_ids))
    served = dict(zip(artifact.manifest["outputs"], rows))  # each output for all messages
    report: Dict[str, Any] = {}
    for one in trained:
        if not any(len(row) > 2 or row.ndim == 1 for row in one.logits):
            continue  # no message has a wordpiece
        if one.compared is not None and not one.compared.any():
            continue
        described = _compared(one, served[one.output])
        report.update(described if one.entry is None else {one.entry: described})
    return Artifact({**artifact.manifest, "parity": report}, artifact.files)


def _compared(trained: TrainedOutput, served: Sequence[np.ndarray]) -> Dict[str, Any]:
    """Checks one output, and returns its report."""
    if any(layer.over_wordpieces for layer in LAYERS if layer.output == trained.output):
        before, after = (_columns(part) for part in (trained.logits, served))
    else:
        before, after = (np.concatenate([_rows(row) for row in part]) for part in (trained.logits, served))
    classes = trained.classes
    if trained.compared is not None:
        kept = trained.compared.any(axis=1)
        before, after = (np.where(trained.compared, logits, _FAR_BELOW)[kept] for logits in (before, after))
        classes = None if classes is None else classes[kept]
    report = asdict(_parity(before, after, trained.temperature))
    if classes is None:
        return report
    labelled = classes >= 0
    right = after.argmax(axis=1)[labelled] == classes[labelled]
    return {**report, "labelled": len(right), "accuracy": float(np.mean(right)) if len(right) else None}


def _rows(logits: np.ndarray) -> np.ndarray:
    """The logits of a message, or of its wordpieces without the special ones, as rows.  # (1, C) or (T_i - 2, C)"""
    return logits[np.newaxis] if logits.ndim == 1 else logits[1:-1]


def _columns(logits: Sequence[np.ndarray]) -> np.ndarray:
    """The columns `(T_i,)` of the logits of each message, padded to the same length, as rows.  # (n C, T)"""
    longest = max(map(len, logits))
    padded = [np.pad(one, ((0, longest - len(one)), (0, 0)), constant_values=_FAR_BELOW) for one in logits]
    return np.concatenate([one.T for one in padded])


def _parity(trained: np.ndarray, exported: np.ndarray, temperature: float) -> Parity:
    """Checks logits (n, C) of the exported model against those of the trained one."""
    if not np.isfinite(exported).all():
        raise ExportError("The exported model's outputs are not finite numbers. Nothing was saved.")
    confidences = [np.array([softmax(row, temperature) for row in part]) for part in (trained, exported)]
    parity = compare_confidences(*confidences)
    check_confidences(parity)
    return parity
