"""Options of the section `budget`: limits of the compressed model, given instead of a sparsity."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Iterator, Optional

from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem, shown
from rasa_compressed_bert.config.pruning import PruningConfig


@dataclass(frozen=True)
class BudgetConfig:
    """Limits of the compressed model, measured on the training machine; the chosen pruning meets all of them."""

    max_latency_ms: Optional[float] = option(
        None,
        float,
        above=0,
        optional=True,
        help="Maximum milliseconds that the forward pass takes for one message: the median over held-out messages (at "
        "most 60), on one thread of the machine that trains.",
    )
    max_size_mb: Optional[float] = option(
        None, float, above=0, optional=True, help="Maximum megabytes (10^6 bytes) of the model in the archive."
    )
    max_score_drop: Optional[float] = option(
        None,
        float,
        low=0,
        high=1,
        optional=True,
        help="Maximum drop of the F1 on held-out messages, compared with the uncompressed model. If it is set, the "
        "strongest pruning within the budget is chosen, otherwise the weakest.",
    )

    @property
    def is_given(self) -> bool:
        """Whether any limit is set."""
        return any(limit is not None for limit in astuple(self))

    def conflicts(self, pruning: PruningConfig, validation_split: float) -> Iterator[Problem]:
        """Yield the options that cannot be combined with a budget."""
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
                    f"pruning.{name}: {shown(value)} is set, but a budget chooses it; leave it or the budget out",
                )
        if pruning.method not in ("neuron", "head"):
            yield Problem(
                ("budget", "pruning.method"),
                f"pruning.method: {pruning.method} cannot be combined with a budget; set it to neuron or head, or "
                "leave the budget out",
            )
        if not validation_split:
            yield Problem(
                ("budget", "validation_split"),
                "validation_split: 0.0 holds out no messages to measure a budget on; raise it",
            )
