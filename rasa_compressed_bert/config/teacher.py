"""Options of the section `teacher` of a distilled component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Optional

from rasa_compressed_bert.config.options import option
from rasa_compressed_bert.config.problems import Problem


def _of_training(default: Any, kind: type, **declaration: Any) -> Any:
    requires = {"teacher.model": (None,), "teacher.predictions": (None,)}
    return option(default, kind, requires=requires, because="a teacher that is given is not fine-tuned", **declaration)


@dataclass(frozen=True)
class TeacherConfig:
    """Options of the section `teacher`: BERT weights that are fine-tuned, a trained model, or a file of predictions."""

    model_weights: Optional[str] = option(
        None,
        str,
        optional=True,
        help="Pretrained weights to fine-tune: a local folder, an alias of weights that a Python package ships or a "
        "Hugging Face name; null means all-MiniLM-L6-v2. With predictions, the student uses their wordpieces.",
    )
    epochs: int = _of_training(8, int, low=1, high=1_000_000, help="Epochs of the teacher over the training data.")
    learning_rate: float = _of_training(1e-4, float, above=0, below=1, help="Peak learning rate of the teacher.")
    model: Optional[str] = option(
        None,
        str,
        optional=True,
        help="A trained teacher to use instead: a Rasa archive with exactly one component of this package that learns "
        "intents alone, such as PrunedBertIntentClassifier (a student must be a transformer), a folder of archives "
        "(the newest), or an artifact folder.",
    )
    predictions: Optional[str] = option(
        None,
        str,
        optional=True,
        help="The predictions of any other teacher to use instead: a CSV file with a column `text` and a column of "
        "probabilities for each intent; it has a row for every training message, and may have more.",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yield pairs of options that each give a teacher."""
        for other in ("model_weights", "predictions"):
            if self.model is not None and getattr(self, other) is not None:
                yield Problem(
                    ("teacher.model", f"teacher.{other}"),
                    f"teacher.model and teacher.{other} are two teachers; leave one of them out",
                )
