"""Options of augmentation: the synthetic messages that a teacher labels for its student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Optional

from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem

_ROUNDING = 1e-9  # of sums: 0.33 + 0.56 + 0.11 is more than 1 in binary
_ASKED: Any = {
    "requires": {"teacher.predictions": (None,)},
    "because": "a file cannot be asked about other messages",
}


def _probability(default: float, text: str, **declaration: Any) -> Any:
    return option(default, float, low=0, high=1, help=text, **declaration)


@dataclass(frozen=True)
class AugmentationConfig:
    """Options of the section `augmentation`; probabilities of a word and of a message are those of Tang et al. 2019.

    `n_iter` has a value in the configuration of a component, where the user set null too.
    """

    n_iter: int = option(
        None,
        int,
        low=0,
        high=1000,
        optional=True,
        unused=(0,),
        **_ASKED,
        help="Synthetic messages made of each training message, before repeated ones are dropped; null means 20, and 0 "
        "with teacher.predictions, whose teacher cannot be asked about them.",
    )
    mask: float = _probability(0.1, "Probability that a word is masked.")
    pos: float = _probability(0.1, "Probability that a word is replaced by another one of the same part of speech.")
    neighbours: float = _probability(
        0.1, "Probability that a word is replaced by one of the nearest in the teacher's word embeddings."
    )
    ngram: float = _probability(0.25, "Probability that 1 to 5 words in a row are all that is kept of a message.")
    sentence: float = _probability(0.0, "Probability that one sentence is all that is kept of a longer message.")
    min_confidence: float = _probability(
        0.0,
        "Synthetic messages are dropped whose teacher gives the intent that they were made from less than this.",
        **_ASKED,
    )
    spacy_model: Optional[str] = option(
        None,
        str,
        optional=True,
        help="spaCy model that tags parts of speech; null means classes of words that occur between the same words of "
        "the training data.",
    )
    unlabelled: Optional[str] = option(
        None,
        str,
        optional=True,
        help="Text file with messages without an intent, one a line, to be labelled as well.",
        **_ASKED,
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yield probabilities of a word that are more than 1 together."""
        total = self.mask + self.pos + self.neighbours
        if total > 1 + _ROUNDING:
            yield Problem(
                ("augmentation.mask", "augmentation.pos", "augmentation.neighbours"),
                f"augmentation.mask, pos and neighbours are {total:g} together; make them 1 at most",
            )
        if self.spacy_model is not None and self.pos == 0:
            yield Problem(
                ("augmentation.spacy_model", "augmentation.pos"),
                f"augmentation.spacy_model: '{self.spacy_model}' is only for pos; set pos or leave spacy_model out",
            )
