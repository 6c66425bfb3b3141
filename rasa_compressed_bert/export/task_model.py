"""A trained model of intents, of entities or of both as an artifact, or not at all."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.export.parity import Parity, check_confidences, compare_confidences
from rasa_compressed_bert.export.serving import Exported, Format, serving_artifact
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.runtime.ranking import softmax


class HeldOut(NamedTuple):
    """Messages that the exported model is compared on.

    Attributes:
        input_ids: `n` arrays of `(T_i,)`.
        classes: the labels, `(n,)`; -1 for a message without an intent.
        logits: the trained model's, `(n, C)`; None without intents.
        tag_logits: the trained model's, `n` arrays of `(T_i, K)`; None without entities.
    """

    input_ids: Sequence[np.ndarray]
    classes: np.ndarray
    logits: Optional[np.ndarray]
    tag_logits: Optional[Sequence[np.ndarray]] = None

    def at(self, places: np.ndarray) -> HeldOut:
        """Some of the messages."""
        return HeldOut(
            [self.input_ids[place] for place in places],
            self.classes[places],
            None if self.logits is None else self.logits[places],
            None if self.tag_logits is None else [self.tag_logits[place] for place in places],
        )


def export_task_model(
    model: Exported, form: Format, *, kind: str, manifest: Mapping[str, Any], held_out: HeldOut
) -> Artifact:
    """Builds the serving graph, serves messages with it and compares.

    Args:
        model: the trained model.
        form: how it is exported.
        kind: what it is, see `artifact.KINDS`.
        manifest: labels, max_length, temperature, and whatever else shall be known of the model.
        held_out: what it is compared on.

    Raises:
        ExportError: if the exported model disagrees with the trained one.
    """
    return checked(serving_artifact(model, form, kind=kind, manifest=manifest), held_out)


def checked(artifact: Artifact, held_out: HeldOut) -> Artifact:
    """The artifact with `parity` in its manifest, after messages were served with it.

    Raises:
        ExportError: if it disagrees with the trained model.
    """
    engine = open_engine(artifact)
    served = list(zip(*(run_message(engine, ids) for ids in held_out.input_ids)))  # each output, of every message
    report: Dict[str, Any] = {}
    if held_out.logits is not None:
        logits = np.array(served[0])  # (n, C)
        parity = _parity(held_out.logits, logits, artifact.manifest["temperature"])
        labelled = held_out.classes >= 0
        right = logits.argmax(axis=1)[labelled] == held_out.classes[labelled]
        report = {**asdict(parity), "accuracy": float(np.mean(right)) if len(right) else None}
    if held_out.tag_logits is not None and any(len(row) > 2 for row in held_out.tag_logits):
        trained, exported = (np.concatenate([row[1:-1] for row in part]) for part in (held_out.tag_logits, served[-1]))
        report["tags"] = asdict(_parity(trained, exported, artifact.manifest["entities"]["temperature"]))
    return Artifact({**artifact.manifest, "parity": report}, artifact.files)


def _parity(trained: np.ndarray, exported: np.ndarray, temperature: float) -> Parity:
    """Of logits (n, C), after it was found to be near enough."""
    if not np.isfinite(exported).all():
        raise ExportError("What the exported model gives are no numbers. Nothing was saved.")
    confidences = [np.array([softmax(row, temperature) for row in part]) for part in (trained, exported)]
    parity = compare_confidences(*confidences)
    check_confidences(parity)
    return parity
