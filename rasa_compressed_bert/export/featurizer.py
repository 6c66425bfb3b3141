"""Exports an encoder as an artifact, with a parity check."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.export.parity import check_features
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.runtime.engines import open_engine, run_message

KIND = "featurizer"


def export_featurizer(
    model: ModelState,
    form: Format,
    *,
    manifest: Mapping[str, Any],
    input_ids: Sequence[np.ndarray],
    hidden_states: Sequence[np.ndarray],
) -> Artifact:
    """Builds the serving graph, runs messages through it and compares the hidden states.

    Args:
        model: the encoder, without a head.
        form: the format of the export.
        manifest: further manifest entries, such as max_length.
        input_ids: messages to compare on, `n` arrays of `(T_i,)`.
        hidden_states: the hidden states of the encoder for these messages, `n` arrays of `(T_i, H)`.

    Raises:
        ExportError: if the hidden states of the exported encoder differ too much.
    """
    artifact = serving_artifact(model, form, kind=KIND, manifest=manifest)
    engine = open_engine(artifact)
    similarity = check_features(hidden_states, [run_message(engine, ids)[0] for ids in input_ids])
    parity = {"messages": len(input_ids), "similarity": similarity}
    return Artifact({**artifact.manifest, "parity": parity}, artifact.files)
