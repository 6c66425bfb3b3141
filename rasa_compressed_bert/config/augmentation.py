"""Options of augmentation: the synthetic messages that a teacher labels for its student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Optional

from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem

_ROUNDING = 1e-9  # tolerance of sums: 0.33 + 0.56 + 0.11 is more than 1 in binary
_ASKED: Any = {
    "requires": {"teacher.predictions": (None,)},
    "because": "a file has no predictions for other messages",
}


def _probability(default: float, text: str, **declaration: Any) -> Any:
    return option(default, float, low=0, high=1, help=text, **declaration)


@dataclass(frozen=True)
class AugmentationConfig:
    """Options of the section `augmentation`; the probabilities are those of Tang et al. 2019.

    In the configuration of a component, `n_iter` has a value even if the user set null.
    """

    n_iter: int = option(
        None,
        int,
        low=0,
        high=1000,
        optional=True,
        unused=(0,),
        **_ASKED,
        help="Number of synthetic messages generated from each training message, before duplicates are dropped; null "
        "means 20, or 0 with teacher.predictions, as a file has no predictions for them.",
    )
    mask: float = _probability(0.1, "Probability that a word is masked.")
    pos: float = _probability(0.1, "Probability that a word is replaced by another one of the same part of speech.")
    neighbours: float = _probability(
        0.1, "Probability that a word is replaced by one of its nearest neighbours in the teacher's word embeddings."
    )
    ngram: float = _probability(0.25, "Probability that a message is cut down to 1 to 5 consecutive words.")
    sentence: float = _probability(0.0, "Probability that a message of several sentences is cut down to one of them.")
    min_confidence: float = _probability(
        0.0,
        "Minimum probability that the teacher gives to the intent of the original message; other synthetic messages "
        "are dropped.",
        **_ASKED,
    )
    spacy_model: Optional[str] = option(
        None,
        str,
        optional=True,
        help="spaCy model that tags parts of speech; null uses classes of words that occur between the same words in "
        "the training data instead.",
    )
    unlabelled: Optional[str] = option(
        None,
        str,
        optional=True,
        help="Text file of messages without intents, one per line, that the teacher labels as well.",
        **_ASKED,
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yield probabilities that sum to more than 1, and a spaCy model that is not used."""
        total = self.mask + self.pos + self.neighbours
        if total > 1 + _ROUNDING:
            yield Problem(
                ("augmentation.mask", "augmentation.pos", "augmentation.neighbours"),
                f"augmentation.mask, pos and neighbours add up to {total:g}; their sum must be at most 1",
            )
        if self.spacy_model is not None and self.pos == 0:
            yield Problem(
                ("augmentation.spacy_model", "augmentation.pos"),
                f"augmentation.spacy_model: '{self.spacy_model}' is only for pos; set pos or leave spacy_model out",
            )
