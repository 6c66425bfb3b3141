"""Students: their interface, and the registry of them by `student.architecture`."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Iterator, List, Mapping, Type, Union

from rasa_compressed_bert.config.options import Variants, option, options_of
from rasa_compressed_bert.config.problems import Problem
from rasa_compressed_bert.errors import ConfigError, ExportError

ARCHITECTURES: List[str] = ["bilstm", "transformer", "ngrams", "spacy_textcat"]
"""The names of the registered students."""


@dataclass(frozen=True)
class StudentConfig(Variants):
    """Options of the section `student` that every student has; a student adds its own in a class derived from this.

    Attributes:
        learning_rate: default peak learning rate of the student.
        default_loss: default of `distillation.loss` for probabilities.
        is_bert: whether it is a BERT, which is pruned and quantized like any other.
        is_quantizable: whether it is stored in one of the formats of the section `quantization`.
        selects_responses: whether it learns the responses of retrieval intents.
    """

    variant_option: ClassVar[str] = "architecture"
    learning_rate: ClassVar[float] = 1e-3
    default_loss: ClassVar[str] = "kl"
    is_bert: ClassVar[bool] = False
    is_quantizable: ClassVar[bool] = True
    selects_responses: ClassVar[bool] = False

    architecture: str = option(
        "bilstm",
        str,
        choices=ARCHITECTURES,
        help="A bidirectional LSTM, a BERT of few layers, sums over n-grams of wordpieces, or spaCy's text classifier. "
        "The other options of each student are below; null means the default.",
    )

    @classmethod
    def variants(cls) -> Dict[str, Type[StudentConfig]]:
        """The options of each student, by its name."""
        return {name: student_of(name).options for name in ARCHITECTURES}

    def resolved(self) -> StudentConfig:
        """The options, with null replaced wherever the student needs a value."""
        return self

    def conflicts(self) -> Iterator[Problem]:
        """Yield the contradictions within the section."""
        return iter(())

    def conflicts_with(self, config: Any) -> Iterator[Problem]:
        """Yield the contradictions with other options of `DistilledIntentClassifierConfig`."""
        return iter(())


class Student(ABC):
    """An architecture that a BERT can teach; importing its module, as reading options does, must not load TensorFlow.

    Attributes:
        options: the class of its options.
        search_space: what `search` varies by default: dotted names of options, with values or ranges.
    """

    options: ClassVar[Type[StudentConfig]]
    search_space: ClassVar[Mapping[str, Any]] = {}

    def check(self, labels: Any, config: Any) -> None:
        """Raises an error if the student cannot be trained, before its teacher is trained; accepts all by default.

        Args:
            labels: the intents.
            config: all options, a `DistilledIntentClassifierConfig`.
        """
        return

    @abstractmethod
    def train(self, data: Any, teacher: Any, config: Any, *, origin: Any, cache: Any) -> Any:
        """Trains and exports a student.

        Args:
            data: the training data, a `DistillationData`.
            teacher: the teacher's encoder and tokenizer.
            config: all options, a `DistilledIntentClassifierConfig`.
            origin: the artifact of a student to continue training from; None trains a new one.
            cache: keeps results of the teacher for the next training, see `tasks.teacher.Cache`.

        Returns:
            An `Artifact`, without the teacher and views.

        Raises:
            ExportError: if the exported student disagrees with the trained one.
        """

    def graph(self, options: Any, tensors: Any) -> Any:
        """The serving graph of a student in ONNX, an `OnnxModel`.

        Args:
            options: options of the student.
            tensors: its packed parameters.

        Raises:
            ExportError: if the student has no such graph.
        """
        raise ExportError(f"A student of the architecture {options.architecture} has no ONNX graph to export.")


_STUDENTS: Dict[str, Union[str, Student]] = {
    name: f"rasa_compressed_bert.students.{name}.student" for name in ARCHITECTURES
}


def register_student(name: str, student: Student) -> None:
    """Adds a student, or replaces one.

    Args:
        name: the value of `student.architecture` that chooses it.
        student: its options, training, graph and search space.
    """
    _STUDENTS[name] = student
    if name not in ARCHITECTURES:
        ARCHITECTURES.append(name)


def student_of(name: str) -> Student:
    """A registered student; its module is imported on first use.

    Raises:
        ConfigError: if no student has that name.
    """
    if name not in _STUDENTS:
        raise ConfigError(
            f"student.architecture: '{name}' is not registered here, only {', '.join(ARCHITECTURES)}; import the "
            "module that registers it first"
        )
    student = _STUDENTS[name]
    return importlib.import_module(student).STUDENT if isinstance(student, str) else student


def student_options(values: Mapping[str, Any]) -> StudentConfig:
    """The options of a student from a manifest; null means the default, and options of other students are ignored."""
    cls = student_of(values["architecture"]).options
    own = {name: value for name, value in values.items() if name in options_of(cls) and value is not None}
    return cls(**own).resolved()
