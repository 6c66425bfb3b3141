"""Finds the sparsity that stays within a budget, by bisection over a few trained and measured models."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.config import BertOptions, BudgetConfig
from rasa_compressed_bert.data.example import Example, evenly_spaced
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.runtime.timing import quietest_median
from rasa_compressed_bert.tasks.served_outputs import encoder_of, served_scores
from rasa_compressed_bert.units import MB

logger = logging.getLogger(__name__)
SPARSITIES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
_TIMED_MESSAGES = 60


@dataclass(frozen=True)
class Tried:
    """The measurements of a model of one sparsity."""

    sparsity: float
    score_drop: float
    latency_ms: float
    size_mb: float

    def __str__(self) -> str:
        return (
            f"{100 * self.sparsity:.0f} % pruned: {self.latency_ms:.3g} ms, {self.size_mb:.3g} MB, "
            f"F1 {100 * self.score_drop:+.2f} points below the dense model's"
        )


class Choice(NamedTuple):
    """The options with the chosen sparsity, and the manifest entry that describes the choice."""

    config: BertOptions
    described: Dict[str, Any]


def compress_within(
    held_out: Sequence[Example], config: BertOptions, compress: Callable[[BertOptions], Artifact]
) -> Choice:
    """The strongest compression within the limit on the score or, without one, the weakest within the other limits.

    Apart from noise, a stronger compression is never slower, larger or better than a weaker one, so bisection finds the
    limit in three or four trainings.

    Args:
        held_out: labelled messages to measure on, at least one.
        config: all options, with a budget.
        compress: trains a model with the given options, on messages other than the held-out ones.

    Raises:
        DataError: if no compression stays within the budget; the message lists what was tried.
    """
    budget = config.budget
    dense = _f1(compress(_uncompressed(config)), held_out)
    tried: Dict[int, Tried] = {}

    def attempt(place: int) -> Tried:
        if place not in tried:
            artifact = compress(_with_sparsity(config, SPARSITIES[place]))
            tried[place] = _measured(artifact, dense, held_out, SPARSITIES[place])
            logger.info(f"budget: {tried[place]}.")
        return tried[place]

    def affordable(found: Tried) -> bool:
        return _within(found.latency_ms, budget.max_latency_ms) and _within(found.size_mb, budget.max_size_mb)

    limit = budget.max_score_drop
    if limit is None:
        place = _first(lambda place: affordable(attempt(place)), len(SPARSITIES))
    else:
        place = _first(lambda place: attempt(place).score_drop > limit, len(SPARSITIES)) - 1
    if not 0 <= place < len(SPARSITIES) or not affordable(attempt(place)):
        asked = ", ".join(f"{name}: {limit:g}" for name, limit in asdict(budget).items() if limit is not None)
        lines = [f"  - {found}" for _, found in sorted(tried.items())]
        raise DataError("\n".join([f"budget: no compression meets {asked}. Tried:", *lines, "Raise a limit."]))
    chosen = attempt(place)
    why = "the weakest that is cheap enough" if limit is None else "the strongest that is good enough"
    logger.info(f"budget: {100 * chosen.sparsity:.0f} % is chosen, {why}.")
    described = {"chosen": chosen.sparsity, "why": why, "tried": [asdict(found) for _, found in sorted(tried.items())]}
    return Choice(_with_sparsity(config, chosen.sparsity), described)


def warn_of_size(artifact: Artifact, budget: BudgetConfig) -> None:
    """Warns of a model that exceeds its budget: the final model stores more messages than those that were measured."""
    size = artifact.archived_size / MB
    if not _within(size, budget.max_size_mb):
        logger.warning(
            f"budget: the final model, trained on all messages, has {size:.4g} MB, more than max_size_mb: "
            f"{budget.max_size_mb:g}; those that were measured had learnt only a part of them. Lower max_size_mb by "
            "the difference, and train again."
        )


def _first(holds: Callable[[int], bool], size: int) -> int:
    """The first position at which a monotone condition holds (it holds at all later ones); `size` if at none."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _with_sparsity(config: BertOptions, sparsity: float) -> BertOptions:
    method = config.pruning.method if sparsity else "none"
    return replace(config, pruning=replace(config.pruning, method=method, final_sparsity=sparsity))


def _uncompressed(config: BertOptions) -> BertOptions:
    pruning = replace(config.pruning, method="none")
    return replace(
        config, pruning=pruning, quantization=replace(config.quantization, method="none", aware_training=False)
    )


def _measured(artifact: Artifact, dense: float, held_out: Sequence[Example], sparsity: float) -> Tried:
    """Measures a model on held-out messages, as it is served."""
    engine, encode = open_engine(artifact), encoder_of(artifact)
    timed = [encode(held_out[place].text) for place in evenly_spaced(len(held_out), _TIMED_MESSAGES)]
    milliseconds = quietest_median(lambda ids: run_message(engine, ids), timed)
    return Tried(sparsity, dense - _f1(artifact, held_out), milliseconds, artifact.archived_size / MB)


def _f1(artifact: Artifact, held_out: Sequence[Example]) -> float:
    """Macro F1 of the intents, F1 of the entities or, for a model with both, their mean, as it is served."""
    predictor = MessagePredictor(artifact)
    scores = served_scores(artifact, [predictor.predict(example.text) for example in held_out], held_out)
    f1 = [score for name, score in scores.items() if name != "accuracy"]
    return sum(f1) / len(f1) if f1 else 0.0


def _within(value: float, limit: Optional[float]) -> bool:
    return limit is None or value <= limit
