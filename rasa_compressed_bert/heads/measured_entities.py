"""Measurements of entities on held-out messages: their score, and the calibration of their confidences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.metrics.entities import are_right, entity_f1
from rasa_compressed_bert.runtime.entity_decoder import FoundEntity
from rasa_compressed_bert.runtime.platt_scaling import PlattScaling
from rasa_compressed_bert.training.calibration import MIN_EXAMPLES, fit_platt_scaling
from rasa_compressed_bert.training.scores import Score, labelled_rows, negative_log_likelihood

_NEARLY_0 = 1e-15  # of probabilities, so that log-odds are finite


class HeldOutEntities(NamedTuple):
    """Tags, logits and entities of held-out messages.

    Attributes:
        tags: `(T_i,)` of each message.
        logits: `(T_i, K)` of each message.
        annotated: the entities of each message.
        found: the entities that a model without calibrated confidences finds in each message.
    """

    tags: List[np.ndarray]
    logits: List[np.ndarray]
    annotated: List[Tuple[EntitySpan, ...]]
    found: List[List[FoundEntity]]


@dataclass(frozen=True)
class MeasuredEntities:
    """The measurements of entities on held-out messages.

    Attributes:
        score: score of the dense model, in which entities are right if they match annotations exactly.
        entity_confidences: calibration of confidences; None if too few entities were found.
    """

    score: Score
    entity_confidences: Optional[PlattScaling] = None

    @classmethod
    def of(cls, parts: Sequence[HeldOutEntities], *, num_tags: int) -> MeasuredEntities:
        """Measures the entities of several parts of the messages."""
        annotated = [spans for part in parts for spans in part.annotated]
        found = [entities for part in parts for entities in part.found]
        logits = [rows for part in parts for rows in part.logits]
        rows, classes = labelled_rows(logits, [tags for part in parts for tags in part.tags], width=num_tags)
        loss = negative_log_likelihood(rows, classes) if len(classes) else 0.0
        spans = [[(one.start, one.end, *one.label) for one in entities] for entities in found]
        f1 = entity_f1(annotated, spans)
        confidences = [one.confidence for entities in found for one in entities]
        calibrated = _calibrated(np.array(confidences), np.array(are_right(annotated, spans), bool))
        return cls(Score(loss, {} if f1 is None else {"entity_f1": f1}), calibrated)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MeasuredEntities:
        """Reads the measurements, except for the score, from a manifest."""
        scaling = values.get("entity_confidences")
        if "tag_temperature" in values:  # of older models: the scaling that is closest to it
            scaling = (1.0 / values["tag_temperature"], 0.0)
        return cls(Score(), None if scaling is None else PlattScaling(*scaling))


def _calibrated(confidences: np.ndarray, right: np.ndarray) -> Optional[PlattScaling]:
    """The calibration of confidences; None if there are too few.

    Args:
        confidences: uncalibrated confidences of entities, `(n,)`.
        right: whether each entity is right, `(n,)`.
    """
    if len(confidences) < MIN_EXAMPLES:
        return None
    probabilities = np.clip(confidences, _NEARLY_0, 1.0 - _NEARLY_0)
    return PlattScaling(*fit_platt_scaling(np.log(probabilities) - np.log1p(-probabilities), right))
