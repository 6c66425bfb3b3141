"""A BERT of few layers, initialised from layers of its teacher: options and search space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Iterator, Optional, Tuple

from rasa_compressed_bert.config import Problem, Student, StudentConfig, option


@dataclass(frozen=True)
class TransformerConfig(StudentConfig):
    """Options of the student transformer; `num_layers` has a value once they are `resolved`."""

    learning_rate: ClassVar[float] = 3e-4
    is_bert: ClassVar[bool] = True
    selects_responses: ClassVar[bool] = True

    vocabulary_size: int = option(8000, int, low=1, help="Number of wordpieces, first those of the training data.")
    num_layers: int = option(
        None, int, low=1, high=100, optional=True, help="Number of layers; null means that of layers, or else 2."
    )
    layers: Optional[Tuple[int, ...]] = option(
        None,
        tuple,
        optional=True,
        help="Layers of the teacher, counted from 0, to initialise it with; null means num_layers evenly spaced ones.",
    )

    def resolved(self) -> TransformerConfig:
        if self.num_layers is not None:
            return self
        return replace(self, num_layers=2 if self.layers is None else len(self.layers))

    def conflicts(self) -> Iterator[Problem]:
        if self.layers is not None and self.num_layers != len(self.layers):
            yield Problem(
                ("student.layers", "student.num_layers"),
                f"student.layers: {list(self.layers)} contradicts student.num_layers: {self.num_layers}; leave one out",
            )

    def conflicts_with(self, config: Any) -> Iterator[Problem]:
        if config.pruning.pooler is not None:
            yield Problem(
                ("pruning.pooler",),
                f"pruning.pooler: {config.pruning.pooler} is for a pooler, which a student does not have; leave it out",
            )
        kept = config.pruning.layers
        if kept is not None and self.num_layers is not None and max(kept) >= self.num_layers:
            yield Problem(
                ("pruning.layers", "student.num_layers"),
                f"pruning.layers: {list(kept)} names layers that the student does not have: student.num_layers is "
                f"{self.num_layers}; name those from 0 to {self.num_layers - 1}",
            )
        if config.teacher.predictions is not None:
            yield Problem(
                ("student.architecture", "teacher.predictions"),
                "student.architecture: transformer is initialised from layers of its teacher, and teacher.predictions "
                "has none; choose another architecture",
            )


class TransformerStudent(Student):
    """A BERT that is pruned, quantized and exported like any other."""

    options = TransformerConfig
    search_space = {
        "student.num_layers": {"low": 1, "high": 4},
        "student.vocabulary_size": [4000, 8000, 16000],
        "pruning.final_sparsity": {"low": 0.3, "high": 0.95},
    }

    def check(self, labels: Any, config: Any) -> None:
        from rasa_compressed_bert.students.transformer.training import check

        check(config)

    def train(self, data: Any, teacher: Any, config: Any, *, origin: Any, cache: Any) -> Any:
        from rasa_compressed_bert.students.transformer.training import train

        return train(data, teacher, config=config, origin=origin)


STUDENT = TransformerStudent()
