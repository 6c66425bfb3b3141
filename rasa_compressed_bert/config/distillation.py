"""Options of distillation: of a pruned model by the dense one, and of a student by its teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Optional

from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem


@dataclass(frozen=True)
class DistillationConfig:
    """Options of the section `distillation`."""

    enabled: bool = option(True, bool, help="Whether the dense fine-tuned model teaches the pruned one.")
    temperature: float = option(
        2.0, float, above=0, high=100, help="What logits are divided by; higher gives softer targets."
    )
    hidden_states: float = option(
        10.0,
        float,
        low=0,
        high=1000,
        help="Weight of the distance to the teacher's hidden states; 0 leaves them out.",
    )
    synthetic_messages: int = option(
        1,
        int,
        low=0,
        high=20,
        help="Synthetic messages made of each training message, which the dense model labels for the pruned one; "
        "there are fewer epochs then, so that training takes as long. 0 leaves them out; only for models with intents.",
    )
    alpha: float = option(0.3, float, low=0, high=1, help="Weight of the hard labels; the teacher has 1 - alpha.")


@dataclass(frozen=True)
class StudentDistillationConfig:
    """Options of the section `distillation`: how the student follows its teacher."""

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
        help="Distance of probabilities: squared (mse) or Kullback-Leibler (kl); logits and spacy_textcat have mse "
        "alone, and null means kl for the others.",
    )
    temperature: float = option(
        2.0,
        float,
        above=0,
        high=100,
        help="What logits are divided by before they become probabilities; nothing where targets are logits.",
    )
    alpha: float = option(
        0.0, float, low=0, high=1, help="Weight of the hard labels of the training messages; the teacher has 1 - alpha."
    )

    hidden_states: float = option(
        0.0,
        float,
        low=0,
        high=1000,
        help="Weight of the distance to the hidden states of those layers of the teacher that a transformer starts "
        "from; 0 leaves them out.",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yield a distance that there is not between logits."""
        if self.targets == "logits" and self.loss == "kl":
            yield Problem(
                ("distillation.loss", "distillation.targets"),
                "distillation.loss: kl is a distance of probabilities; set distillation.targets to probabilities",
            )
