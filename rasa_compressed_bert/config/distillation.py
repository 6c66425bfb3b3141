"""Options of distillation: from the dense model into the pruned one, and from a teacher into its student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Optional

from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem


@dataclass(frozen=True)
class DistillationConfig:
    """Options of the section `distillation`."""

    enabled: bool = option(True, bool, help="Whether the pruned model is distilled from the dense one.")
    temperature: float = option(
        2.0, float, above=0, high=100, help="Divisor of the logits; higher temperatures give softer targets."
    )
    hidden_states: float = option(
        10.0,
        float,
        low=0,
        high=1000,
        help="Weight of the distance to the teacher's hidden states in the loss; 0 leaves it out.",
    )
    synthetic_messages: int = option(
        1,
        int,
        low=0,
        high=20,
        help="Number of synthetic messages generated from each training message, which the dense model labels for the "
        "pruned one; the number of epochs is reduced so that training takes no longer. 0 generates none. Only for "
        "models that learn intents.",
    )
    alpha: float = option(0.3, float, low=0, high=1, help="Weight of the hard labels; the teacher's is 1 - alpha.")


@dataclass(frozen=True)
class StudentDistillationConfig:
    """Options of the section `distillation`: how the student imitates its teacher."""

    targets: str = option(
        "probabilities",
        str,
        choices=("logits", "probabilities"),
        help="What the student imitates: the teacher's logits (their squared distance), or its probabilities.",
    )
    loss: Optional[str] = option(
        None,
        str,
        choices=("mse", "kl"),
        optional=True,
        help="Distance between probabilities: squared (mse) or Kullback-Leibler divergence (kl). Logits and "
        "spacy_textcat support only mse; null means mse for these, and kl otherwise.",
    )
    temperature: float = option(
        2.0,
        float,
        above=0,
        high=100,
        help="Divisor of the logits before the softmax; not used if targets are logits.",
    )
    alpha: float = option(
        0.0, float, low=0, high=1, help="Weight of the training messages' hard labels; the teacher's is 1 - alpha."
    )

    hidden_states: float = option(
        0.0,
        float,
        low=0,
        high=1000,
        help="Weight of the distance between the hidden states of a transformer student and those of the teacher's "
        "layers that it was initialised from; 0 leaves it out.",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yield a loss that is not defined for logits."""
        if self.targets == "logits" and self.loss == "kl":
            yield Problem(
                ("distillation.loss", "distillation.targets"),
                "distillation.loss: kl is a distance between probabilities; set distillation.targets to probabilities",
            )
