"""spaCy's text classifier as a student: its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Iterator

from rasa_compressed_bert.config import Problem, Student, StudentConfig, option


@dataclass(frozen=True)
class SpacyTextcatConfig(StudentConfig):
    """Options of the student spacy_textcat."""

    learning_rate: ClassVar[float] = 1e-3
    default_loss: ClassVar[str] = "mse"
    is_quantizable: ClassVar[bool] = False

    language: str = option("xx", str, help="Language of the tokenizer, such as en; xx is for any.")

    def conflicts_with(self, config: Any) -> Iterator[Problem]:
        if (config.distillation.targets, config.distillation.loss) != ("probabilities", "mse"):
            yield Problem(
                ("distillation.targets", "distillation.loss", "student.architecture"),
                f"distillation: student.architecture: {self.architecture} learns probabilities by their mse, not "
                f"{config.distillation.targets} by {config.distillation.loss}; leave targets and loss out",
            )


class SpacyTextcatStudent(Student):
    """A spaCy pipeline, which is stored and served by spaCy."""

    options = SpacyTextcatConfig

    def check(self, labels: Any, config: Any) -> None:
        from rasa_compressed_bert.students.spacy_textcat.training import new_pipeline

        new_pipeline(labels, config)

    def train(self, data: Any, teacher: Any, config: Any, *, origin: Any, cache: Any) -> Any:
        from rasa_compressed_bert.students.spacy_textcat.training import train

        return train(data, config, origin=origin)


STUDENT = SpacyTextcatStudent()
