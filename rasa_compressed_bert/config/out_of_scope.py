"""Options of the section `out_of_scope`: detection of messages that belong to no intent, by a low confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from rasa_compressed_bert.config.options import option

_DETECTED: Any = {"out_of_scope.detector": ("neighbours",)}


@dataclass(frozen=True)
class OutOfScopeConfig:
    """Options of the detector of messages that belong to no intent."""

    detector: str = option(
        "neighbours",
        str,
        choices=("neighbours", "none"),
        help="How messages out of scope are detected: by their similarity to the training messages, in the features of "
        "the fine-tuned model and in their characters (neighbours), or not at all (none), in which case confidences "
        "are the calibrated softmax of the classifier alone.",
    )
    in_scope_recall: float = option(
        0.95,
        float,
        above=0,
        high=1,
        requires=_DETECTED,
        help="Share of the training messages whose confidence, computed by comparing each message with the others, is "
        "at least threshold.",
    )
    threshold: float = option(
        0.3,
        float,
        above=0,
        below=1,
        requires=_DETECTED,
        help="The threshold of the pipeline's FallbackClassifier; confidences of messages out of scope lie below it.",
    )
    messages: Optional[str] = option(
        None,
        str,
        optional=True,
        requires=_DETECTED,
        help="Text file of at least ten messages that belong to no intent, one per line: more messages in scope then "
        "keep a high confidence, as long as nine of ten of these stay below threshold.",
    )
