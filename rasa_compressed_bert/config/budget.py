"""Options of the section `budget`: what a compressed model may cost, in the place of a sparsity."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Iterator, Optional

from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem, shown
from rasa_compressed_bert.config.pruning import PruningConfig


@dataclass(frozen=True)
class BudgetConfig:
    """Training measures on its machine, and picks the pruning that keeps within all that is given."""

    max_latency_ms: Optional[float] = option(
        None,
        float,
        above=0,
        optional=True,
        help="Milliseconds of the model for one message, the median of held-out ones, on one thread of the machine "
        "that trains.",
    )
    max_size_mb: Optional[float] = option(
        None, float, above=0, optional=True, help="Megabytes (10^6 bytes) of the model in the archive."
    )
    max_score_drop: Optional[float] = option(
        None,
        float,
        low=0,
        high=1,
        optional=True,
        help="How far the F1 on held-out messages may be below that of the model that is not compressed; with it, the "
        "strongest pruning is picked, and without it the weakest.",
    )

    @property
    def is_given(self) -> bool:
        """Whether anything is limited."""
        return any(limit is not None for limit in astuple(self))

    def conflicts(self, pruning: PruningConfig, validation_split: float) -> Iterator[Problem]:
        """Yield what does not go together with a budget."""
        if not self.is_given:
            return
        defaults = PruningConfig()
        for name in (
            "initial_sparsity",
            "final_sparsity",
            "query_key",
            "value",
            "attention_heads",
            "intermediate",
            "pooler",
            "layers",
        ):
            value = getattr(pruning, name)
            if value != getattr(defaults, name):
                yield Problem(
                    ("budget", f"pruning.{name}"),
                    f"pruning.{name}: {shown(value)} is what a budget finds; leave it or the budget out",
                )
        if pruning.method not in ("neuron", "head"):
            yield Problem(
                ("budget", "pruning.method"),
                f"pruning.method: {pruning.method} is not what a budget chooses a strength of; set it to neuron or "
                "head, or leave the budget out",
            )
        if not validation_split:
            yield Problem(
                ("budget", "validation_split"),
                "validation_split: 0.0 leaves no messages that a budget is measured on; raise it",
            )
