"""Options of distillation: the dense fine-tuned model teaches the pruned one."""

from __future__ import annotations

from dataclasses import dataclass

from rasa_compressed_bert.config.options import option


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
