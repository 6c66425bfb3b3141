"""A trained intent model as an artifact, or not at all."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.export.parity import check_confidences, compare_confidences
from rasa_compressed_bert.export.serving import Exported, Format, serve, serving_artifact
from rasa_compressed_bert.runtime.engines import open_engine
from rasa_compressed_bert.runtime.intent_predictor import softmax

KIND = "intent_classifier"


class HeldOut(NamedTuple):
    """Messages that the exported model is compared on.

    Attributes:
        input_ids: `n` arrays of `(T_i,)`.
        logits: the trained model's, `(n, C)`.
        classes: the labels, `(n,)`.
    """

    input_ids: Sequence[np.ndarray]
    logits: np.ndarray
    classes: np.ndarray


def export_intent_classifier(
    model: Exported, form: Format, *, manifest: Mapping[str, Any], held_out: HeldOut
) -> Artifact:
    """Builds the serving graph, serves messages with it and compares.

    Args:
        model: the trained model.
        form: how it is exported.
        manifest: labels, max_length, temperature, and whatever else shall be known of the model.
        held_out: what it is compared on.

    Raises:
        ExportError: if the exported model disagrees with the trained one.
    """
    return checked(serving_artifact(model, form, kind=KIND, manifest=manifest), held_out)


def checked(artifact: Artifact, held_out: HeldOut) -> Artifact:
    """The artifact of an intent classifier with `parity` in its manifest, after messages were served with it.

    Raises:
        ExportError: if it disagrees with the trained model.
    """
    served = np.array(serve(open_engine(artifact), held_out.input_ids))  # (n, C)
    temperature = artifact.manifest["temperature"]
    parity = compare_confidences(
        np.array([softmax(row, temperature) for row in held_out.logits]),
        np.array([softmax(row, temperature) for row in served]),
    )
    check_confidences(parity)
    accuracy = float(np.mean(served.argmax(axis=1) == held_out.classes))
    return Artifact({**artifact.manifest, "parity": {**asdict(parity), "accuracy": accuracy}}, artifact.files)
