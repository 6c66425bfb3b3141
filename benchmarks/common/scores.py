"""Scores of models without Rasa around them, and their deviation over seeds."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence, Union

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.example import Example, LabelledMessage
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.runtime.predictors import open_predictor

_HALF_UP = 1e-9  # published figures have four digits, and a decimal half has no exact binary form


def scores_of(artifact: Artifact, messages: Sequence[Union[Example, LabelledMessage]]) -> Dict[str, float]:
    """Accuracy and macro F1 of a served intent classifier."""
    predictor = open_predictor(artifact)
    rankings = [predictor.predict(message.text).ranking for message in messages]
    predicted = [ranking[0][0] if ranking else None for ranking in rankings]
    return intent_scores([message.intent for message in messages], predicted)


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation (n - 1) of a figure over seeds; 0 for a single seed."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def mean_and_deviation(
    values: Sequence[float], *, digits: int = 1, scale: float = 100.0, unit: str = "", sign: str = ""
) -> str:
    """Mean and sample standard deviation (n - 1) as text; a single value has no deviation. Halves are rounded up.

    Args:
        values: one value per seed.
        digits: number of digits after the decimal point.
        scale: a factor for all values.
        unit: appended to the text.
        sign: `+` to write the sign of a positive mean.
    """
    scaled = scale * np.asarray(values, np.float64) + _HALF_UP
    around = f" ± {deviation(scaled):.{digits}f}" if len(scaled) > 1 else ""
    return f"{scaled.mean():{sign}.{digits}f}{around}{unit}"


def seeds_in_words(seeds: int) -> str:
    """A sentence that explains the figures of `mean_and_deviation`."""
    return "One seed." if seeds == 1 else f"Mean and sample standard deviation of {seeds} seeds."


def reused_in_words(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """A sentence with the models that were trained with an earlier version of this package; empty without any.

    Args:
        results: the results of models, see `comparing.train_rows`.
        names: the name of each in tables.
    """
    older = dict.fromkeys(name for name, result in zip(names, results) if result.get("made_by_other_code"))
    return f"Trained with an earlier version of this package: {', '.join(older)}." if older else ""
