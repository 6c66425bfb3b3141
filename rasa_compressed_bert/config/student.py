"""Options of the sections `student` and `distillation`: who learns from the teacher, and what."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Dict, Iterator, Optional, Tuple

from rasa_compressed_bert.config.component import Problem
from rasa_compressed_bert.config.options import option

ARCHITECTURES = ("bilstm", "transformer", "ngrams", "spacy_textcat")
_DEFAULTS: Dict[str, Dict[str, Any]] = {  # what each option is unless set, by architecture; others have no use for it
    "vocabulary_size": {"bilstm": 32_000, "transformer": 8000, "ngrams": 32_000},
    "embedding_size": {"bilstm": 96, "ngrams": 64},
    "hidden_size": {"bilstm": 128},
    "dense_size": {"bilstm": 256},
    "pooling": {"bilstm": "max"},
    "buckets": {"ngrams": 20_000},
    "num_layers": {"transformer": 2},
    "layers": {"transformer": None},
    "language": {"spacy_textcat": "xx"},
}
PAIR_FACTOR = 31_337
"""A pair of wordpieces `a b` has row `(31337 a + b) mod buckets` of the table of ngrams."""
_LEARNING_RATES = {"bilstm": 2e-3, "transformer": 3e-4, "ngrams": 5e-3, "spacy_textcat": 1e-3}


def _size(text: str, *, low: int = 1, high: Optional[int] = None) -> Any:
    return option(None, int, low=low, high=high, optional=True, help=text)


@dataclass(frozen=True)
class StudentConfig:
    """Options of the student; those that its architecture has no use for stay null.

    Types are those of `resolved()`, for the architecture that uses an option.
    """

    architecture: str = option(
        "bilstm",
        str,
        choices=ARCHITECTURES,
        help="A bidirectional LSTM, a BERT of few layers, sums over n-grams of wordpieces, or spaCy's text classifier.",
    )
    vocabulary_size: int = _size(
        "Wordpieces of bilstm, transformer and ngrams, those of the training data first; null means 8000 of a "
        "transformer and 32000 of the others, more than most weights have: words that training never saw count too."
    )
    embedding_size: int = _size("Width of the embeddings of bilstm and ngrams; null means 96 and 64.", high=4096)
    hidden_size: int = _size("Units of each direction of bilstm; null means 128.", high=4096)
    dense_size: int = _size("Units of the ReLU layer of bilstm; null means 256.", high=4096)
    pooling: str = option(
        None,
        str,
        choices=("max", "last"),
        optional=True,
        help="What bilstm classifies: the largest value of each unit (max), or the last state of each direction (last, "
        "as in Tang et al. 2019); null means max.",
    )
    buckets: int = _size("Rows of the table of ngrams that pairs of wordpieces share; null means 20000.")
    num_layers: int = _size("Layers of transformer; null means 2, or as many as layers names.", high=100)
    layers: Optional[Tuple[int, ...]] = option(
        None,
        tuple,
        optional=True,
        help="Layers of the teacher, from 0, that transformer starts from; null means num_layers evenly spaced ones.",
    )
    language: str = option(
        None,
        str,
        optional=True,
        help="Language of spacy_textcat's tokenizer, such as en; null means any (xx).",
    )

    @property
    def learning_rate(self) -> float:
        """The rate that suits the architecture."""
        return _LEARNING_RATES[self.architecture]

    def resolved(self) -> StudentConfig:
        """The options with a value wherever the architecture needs one."""
        defaults: Dict[str, Any] = {name: values.get(self.architecture) for name, values in _DEFAULTS.items()}
        if self.layers is not None and self.num_layers is None:
            defaults["num_layers"] = len(self.layers) or None
        return replace(self, **{name: value for name, value in defaults.items() if getattr(self, name) is None})

    def conflicts(self) -> Iterator[Problem]:
        """Yield options of other architectures, and layers that are not as many as they should be."""
        for item in fields(self):
            value, users = getattr(self, item.name), _DEFAULTS.get(item.name, {})
            if value is not None and users and self.architecture not in users:
                yield Problem(
                    (f"student.{item.name}", "student.architecture"),
                    f"student.{item.name}: {value} is only for student.architecture: {' or '.join(users)}, not "
                    f"{self.architecture}; change architecture or leave {item.name} out",
                )
        if self.layers is not None and self.num_layers != len(self.layers):
            yield Problem(
                ("student.layers", "student.num_layers"),
                f"student.layers: {list(self.layers)} are not student.num_layers: {self.num_layers}; leave one out",
            )


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
