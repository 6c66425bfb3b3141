"""Scores of models without Rasa around them, and their spread over seeds."""

from __future__ import annotations

from typing import Dict, Sequence, Union

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.example import Example, LabelledMessage
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.runtime.predictors import open_predictor

_HALF_UP = 1e-9  # published figures have four digits, and a decimal half has no exact binary form


def scores_of(artifact: Artifact, messages: Sequence[Union[Example, LabelledMessage]]) -> Dict[str, float]:
    """Accuracy and macro F1 of an intent classifier as it is served."""
    predictor = open_predictor(artifact)
    rankings = [predictor.predict(message.text).ranking for message in messages]
    predicted = [ranking[0][0] if ranking else None for ranking in rankings]
    return intent_scores([message.intent for message in messages], predicted)


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation (n - 1) of a figure over seeds; 0 of a single one, which has none to draw."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def mean_and_deviation(
    values: Sequence[float], *, digits: int = 1, scale: float = 100.0, unit: str = "", sign: str = ""
) -> str:
    """Mean and sample standard deviation (n - 1); of a single value, the value alone. Halves are rounded up.

    Args:
        values: one of each seed.
        digits: after the decimal point.
        scale: what values are multiplied by.
        unit: appended.
        sign: `+` writes that of a positive mean too.
    """
    scaled = scale * np.asarray(values, np.float64) + _HALF_UP
    around = f" ± {deviation(scaled):.{digits}f}" if len(scaled) > 1 else ""
    return f"{scaled.mean():{sign}.{digits}f}{around}{unit}"


def seeds_in_words(seeds: int) -> str:
    """What the figures of `mean_and_deviation` are, as a sentence."""
    return "One seed." if seeds == 1 else f"Mean and sample standard deviation of {seeds} seeds."
