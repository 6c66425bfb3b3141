"""Options of the section `teacher` of a distilled component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Optional

from rasa_compressed_bert.config.component import Problem
from rasa_compressed_bert.config.options import option


@dataclass(frozen=True)
class TeacherConfig:
    """Options of the section `teacher`: BERT weights that are fine-tuned, a trained model, or a file of predictions."""

    model_weights: Optional[str] = option(
        None,
        str,
        optional=True,
        help="Pretrained weights that are fine-tuned: a local folder, an alias of weights that a package ships or a "
        "Hugging Face name; null means all-MiniLM-L6-v2. With predictions, the student has their wordpieces.",
    )
    epochs: int = option(8, int, low=1, high=1_000_000, help="Passes over the training data of the teacher.")
    learning_rate: float = option(1e-4, float, above=0, below=1, help="Peak learning rate of the teacher.")
    model: Optional[str] = option(
        None,
        str,
        optional=True,
        help="A trained teacher instead: a Rasa archive with one of our intent classifiers, or its artifact folder.",
    )
    predictions: Optional[str] = option(
        None,
        str,
        optional=True,
        help="What any other teacher said instead: a CSV file with a column `text` and a column of probabilities for "
        "each intent, with a row for every training message and as many more as there are.",
    )

    @property
    def is_given(self) -> bool:
        """Whether nothing is fine-tuned here."""
        return self.model is not None or self.predictions is not None

    def conflicts(self) -> Iterator[Problem]:
        """Yield two teachers at once, and options of a training that there is none of."""
        usual = TeacherConfig()
        for name in ("epochs", "learning_rate"):
            if self.is_given and getattr(self, name) != getattr(usual, name):
                given = "model" if self.model is not None else "predictions"
                yield Problem(
                    (f"teacher.{name}", f"teacher.{given}"),
                    f"teacher.{name}: {getattr(self, name)} is for a teacher that is fine-tuned, and teacher.{given} "
                    f"is one that is there; leave {name} out",
                )
        for other in ("model_weights", "predictions"):
            if self.model is not None and getattr(self, other) is not None:
                yield Problem(
                    ("teacher.model", f"teacher.{other}"),
                    f"teacher.model and teacher.{other} are two teachers; leave one of them out",
                )
