"""Options of pruning: what is removed, how much of it and when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Iterator, Optional, Tuple

from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem

IMPORTANCE = ["taylor", "magnitude"]
"""Criteria of structured pruning; `training.criteria` registers others."""
END_EPOCH_SHARE = 0.625
"""Default end of pruning, as a share of the epochs: after 5 of 8."""


def _sparsity(default: float, text: str) -> Any:
    return option(default, float, low=0, high=0.99, help=text)


def _own_sparsity(units: str, *methods: str, **declaration: Any) -> Any:
    return option(
        None,
        float,
        low=0,
        high=0.99,
        optional=True,
        help=f"Separate final sparsity of the {units}; null leaves it to the global ranking.",
        **{"requires": {"pruning.method": methods}, **declaration},
    )


@dataclass(frozen=True)
class PruningConfig:
    """Options of the section `pruning`; sparsities are the shares that are removed, and epochs may be fractional.

    `end_epoch` has a value once the options are `resolved`.
    """

    method: str = option(
        "neuron",
        str,
        choices=("none", "neuron", "head", "weight"),
        help="What is removed: nothing (none), neurons of every kind, whole attention heads or single weights.",
    )
    importance: str = option(
        "taylor",
        str,
        choices=IMPORTANCE,
        help="How the methods neuron and head score units; weight always uses magnitude.",
    )
    schedule: str = option(
        "polynomial_decay",
        str,
        choices=("polynomial_decay", "constant"),
        help="How sparsity grows between begin_epoch and end_epoch.",
    )
    initial_sparsity: float = _sparsity(0.0, "Sparsity at begin_epoch; a constant schedule has final_sparsity.")
    final_sparsity: float = _sparsity(
        0.6, "Share of the encoder's weights that are removed by end_epoch; with method head, of the heads' weights."
    )
    begin_epoch: float = option(0.0, float, low=0, help="Epoch at which pruning begins.")
    end_epoch: float = option(
        None,
        float,
        low=0,
        optional=True,
        help=f"Epoch at which pruning ends and recovery begins; null means {END_EPOCH_SHARE} * epochs (5 of 8).",
    )
    frequency: int = option(
        20,
        int,
        low=1,
        help="Training steps between two updates of the masks; fewer if there would be fewer than ten updates.",
    )
    query_key: Optional[float] = _own_sparsity("query and key dimensions", "neuron")
    value: Optional[float] = _own_sparsity("value dimensions", "neuron")
    attention_heads: Optional[float] = _own_sparsity("attention heads", "neuron", "head")
    intermediate: Optional[float] = _own_sparsity("intermediate neurons", "neuron")
    pooler: Optional[float] = _own_sparsity(
        "pooler's neurons",
        requires={"pruning.method": ("neuron",), "pooling": ("cls",)},
    )
    layers: Optional[Tuple[int, ...]] = option(
        None,
        tuple,
        optional=True,
        requires={"pruning.method": ("neuron", "head", "weight")},
        help="Layers of the dense model, counted from 0, that the pruned one is initialised with; sparsities are then "
        "shares of these. null means all.",
    )
    pattern: str = option(
        "unstructured",
        str,
        choices=("unstructured", "block_4x4", "n2_m4"),
        requires={"pruning.method": ("weight",)},
        help="Which weights are removed together: none (unstructured), blocks of 4 x 4, or 2 of every 4.",
    )

    def resolved(self, epochs: int, finetuning_epoch_fraction: float) -> PruningConfig:
        """Return the options with `end_epoch` set, for a training of `epochs` epochs.

        `epochs` is already multiplied by `finetuning_epoch_fraction`; begin and end, where set, are not.
        """
        end_epoch = END_EPOCH_SHARE * epochs if self.end_epoch is None else self.end_epoch * finetuning_epoch_fraction
        return replace(self, begin_epoch=self.begin_epoch * finetuning_epoch_fraction, end_epoch=end_epoch)

    def conflicts(self) -> Iterator[Problem]:
        """Yield the contradictions within the section, once it is resolved."""
        if self.initial_sparsity > self.final_sparsity:
            yield _problem(
                "initial_sparsity",
                f"{self.initial_sparsity} is above pruning.final_sparsity ({self.final_sparsity}); "
                "lower initial_sparsity or raise final_sparsity",
                "final_sparsity",
            )
        if self.begin_epoch > self.end_epoch:
            yield _problem(
                "begin_epoch",
                f"{self.begin_epoch} is after pruning.end_epoch ({self.end_epoch}, which is {END_EPOCH_SHARE} * epochs "
                "unless set); lower begin_epoch or raise end_epoch",
                "end_epoch",
            )
        if self.pattern == "n2_m4" and self.method == "weight" and self.final_sparsity != 0.5:
            yield _problem(
                "final_sparsity",
                f"{self.final_sparsity} does not fit pruning.pattern: n2_m4, which removes 2 of every 4 weights; "
                "set final_sparsity to 0.5",
                "pattern",
                "method",
            )

    def end_conflicts(self, epochs: int) -> Iterator[Problem]:
        """Yield an end of pruning that is after the end of a training of `epochs` epochs."""
        if self.method != "none" and self.end_epoch > epochs:
            yield Problem(
                ("pruning.end_epoch", "epochs", "pruning.method"),
                f"pruning.end_epoch: {self.end_epoch} is after the end of training (epochs: {epochs}); raise epochs, "
                f"lower end_epoch or leave it out, which gives {END_EPOCH_SHARE} * epochs",
            )


def _problem(name: str, text: str, *others: str) -> Problem:
    return Problem(tuple(f"pruning.{option_name}" for option_name in (name, *others)), f"pruning.{name}: {text}")
