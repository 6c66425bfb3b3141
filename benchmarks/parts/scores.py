"""Scores of models without Rasa around them, and their spread over seeds."""

from __future__ import annotations

from typing import Dict, Sequence, Union

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.benchmark.comparison import LabelledMessage
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.runtime.predictors import open_predictor

_HALF_UP = 1e-9  # published figures have four digits, and a decimal half has no exact binary form


def scores_of(artifact: Artifact, messages: Sequence[Union[Example, LabelledMessage]]) -> Dict[str, float]:
    """Accuracy and macro F1 of an intent classifier as it is served."""
    predictor = open_predictor(artifact)
    rankings = [predictor.predict(message.text) for message in messages]
    predicted = [ranking[0][0] if ranking else None for ranking in rankings]
    return intent_scores([message.intent for message in messages], predicted)


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean and standard deviation of shares, in per cent."""
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values):.1f} %"


def mean_and_deviation(values: Sequence[float], *, digits: int = 1, scale: float = 100.0, unit: str = "") -> str:
    """Mean and sample standard deviation (n - 1); of a single value, the value alone. Halves are rounded up.

    Args:
        values: one of each seed.
        digits: after the decimal point.
        scale: what values are multiplied by.
        unit: appended.
    """
    scaled = scale * np.asarray(values, np.float64) + _HALF_UP
    spread = f" ± {scaled.std(ddof=1):.{digits}f}" if len(scaled) > 1 else ""
    return f"{scaled.mean():.{digits}f}{spread}{unit}"


def seeds_in_words(seeds: int) -> str:
    """What the figures of `mean_and_deviation` are, as a sentence."""
    return "One seed." if seeds == 1 else f"Mean and sample standard deviation of {seeds} seeds."
