"""The pruning that keeps within a budget: a few are trained and measured, by bisection."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.config import BertConfig
from rasa_compressed_bert.data.example import spread
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.export.serving import serve
from rasa_compressed_bert.runtime.engines import open_engine
from rasa_compressed_bert.runtime.timing import quietest_median
from rasa_compressed_bert.tasks.bert_task import BertTask
from rasa_compressed_bert.training.scores import Predictions, Score, score_of

logger = logging.getLogger(__name__)
SPARSITIES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
_TIMED_MESSAGES = 60


@dataclass(frozen=True)
class Tried:
    """What pruning of one sparsity gave."""

    sparsity: float
    score_drop: float
    latency_ms: float
    size_mb: float

    def __str__(self) -> str:
        return (
            f"{100 * self.sparsity:.0f} % pruned: {self.latency_ms:.3g} ms, {self.size_mb:.3g} MB, "
            f"F1 {100 * self.score_drop:+.2f} points below the dense model's"
        )


def compress_within(
    dense: Optional[Score], config: BertConfig, compress: Callable[[BertConfig], Artifact], task: BertTask
) -> Artifact:
    """The strongest compression whose score keeps within the budget, or, where that has no limit, the weakest one.

    A stronger one is never slower, larger or better than a weaker one, but for noise; so bisection finds the edge in
    three or four trainings.

    Args:
        dense: score of the model that is not compressed, on the validation messages.
        config: all options, with a budget.
        compress: trains a compressed model with other options.
        task: whose validation messages are measured on.

    Raises:
        DataError: if no compression keeps within the budget, with what came nearest.
    """
    budget = config.budget
    if dense is None:
        raise DataError("budget: there are too few messages to hold some out, which a budget is measured on.")
    artifacts: Dict[int, Artifact] = {}
    tried: Dict[int, Tried] = {}

    def attempt(place: int) -> Tried:
        if place not in tried:
            artifacts[place] = compress(_with_sparsity(config, SPARSITIES[place]))
            tried[place] = _measured(artifacts[place], dense, task, SPARSITIES[place])
            logger.info(f"budget: {tried[place]}.")
        return tried[place]

    def affordable(found: Tried) -> bool:
        return _within(found.latency_ms, budget.max_latency_ms) and _within(found.size_mb, budget.max_size_mb)

    if budget.max_score_drop is None:
        place = _first(lambda place: affordable(attempt(place)), len(SPARSITIES))
    else:
        place = _first(lambda place: attempt(place).score_drop > budget.max_score_drop, len(SPARSITIES)) - 1
    if not 0 <= place < len(SPARSITIES) or not affordable(attempt(place)):
        asked = ", ".join(f"{name}: {limit:g}" for name, limit in asdict(budget).items() if limit is not None)
        lines = [f"  - {found}" for _, found in sorted(tried.items())]
        raise DataError("\n".join([f"budget: no compression keeps within {asked}. Tried:", *lines, "Raise a limit."]))
    chosen, artifact = attempt(place), artifacts[place]
    why = "the weakest that is cheap enough" if budget.max_score_drop is None else "the strongest that is good enough"
    logger.info(f"budget: {100 * chosen.sparsity:.0f} % is chosen, {why}.")
    described = {"chosen": chosen.sparsity, "why": why, "tried": [asdict(found) for _, found in sorted(tried.items())]}
    return Artifact({**artifact.manifest, "budget": described}, artifact.files)


def _first(holds: Callable[[int], bool], size: int) -> int:
    """The first place at which something holds that holds at all places behind it; `size` if it never does."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _with_sparsity(config: BertConfig, sparsity: float) -> BertConfig:
    method = config.pruning.method if sparsity else "none"
    return replace(config, pruning=replace(config.pruning, method=method, final_sparsity=sparsity))


def _measured(artifact: Artifact, dense: Score, task: BertTask, sparsity: float) -> Tried:
    """A model as it is served, on validation messages."""
    engine, input_ids = open_engine(artifact), task.whole_ids(task.validation.input_ids)
    outputs: List[Any] = list(serve(engine, input_ids))
    logits = np.array(outputs.pop(0)) if task.targets.labels else None
    score = score_of(Predictions(logits, outputs[0] if outputs else None), task.validation)
    timed = [input_ids[place] for place in spread(len(input_ids), _TIMED_MESSAGES)]
    milliseconds = quietest_median(lambda ids: serve(engine, [ids]), timed)
    return Tried(sparsity, dense.f1 - score.f1, milliseconds, artifact.archived_size / 1e6)


def _within(value: float, limit: Optional[float]) -> bool:
    return limit is None or value <= limit
