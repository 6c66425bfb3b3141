"""Platt scaling: the probability that a prediction is right, from its margin."""

from __future__ import annotations

import math
from typing import Any, Mapping, NamedTuple

from rasa_compressed_bert.errors import ArtifactError


class PlattScaling(NamedTuple):
    """`1 / (1 + exp(-(slope margin + intercept)))` (Platt 1999).

    With the default values, a margin is the log-odds of the probability.
    """

    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> PlattScaling:
        """Reads `slope` and `intercept` from a manifest entry.

        Raises:
            ArtifactError: if they are not finite numbers, or the slope is not positive.
        """
        scaling = cls(float(entry["slope"]), float(entry["intercept"]))
        if not 0.0 < scaling.slope < math.inf or not math.isfinite(scaling.intercept):
            raise ArtifactError("The model's calibration of confidences is not valid: it is damaged. Train it again.")
        return scaling

    def probability(self, margin: float) -> float:
        """The probability that a prediction with this margin is right."""
        return 0.5 * (1.0 + math.tanh(0.5 * (self.slope * margin + self.intercept)))
