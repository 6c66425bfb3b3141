"""Options of `rasa_compressed_bert.DistilledIntentClassifier`."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from typing import ClassVar, Iterator, Mapping, Optional, Sequence, Tuple

from rasa_compressed_bert.config.augmentation import AugmentationConfig
from rasa_compressed_bert.config.bert import FINETUNING_EPOCH_FRACTION, SEED, seed_option, tensorboard_option
from rasa_compressed_bert.config.component import ComponentConfig
from rasa_compressed_bert.config.distillation import StudentDistillationConfig
from rasa_compressed_bert.config.intent_classifier import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.config.options import Option, option, section
from rasa_compressed_bert.config.out_of_scope import OutOfScopeConfig
from rasa_compressed_bert.config.problems import Problem
from rasa_compressed_bert.config.pruning import PruningConfig
from rasa_compressed_bert.config.quantization import QuantizationConfig
from rasa_compressed_bert.config.student import StudentConfig
from rasa_compressed_bert.config.teacher import TeacherConfig

_WEIGHTS = "all-MiniLM-L6-v2"
_N_ITER = 20  # Tang et al. 2019
_OF_TRANSFORMERS = "student.architecture: transformer"


@dataclass(frozen=True)
class DistilledIntentClassifierConfig(ComponentConfig):
    """Options of the distilled intent classifier.

    All options that the student needs have a value here, even if the user set null.
    """

    injected: ClassVar[Mapping[str, Option]] = FINETUNING_EPOCH_FRACTION
    learns_intents: ClassVar[bool] = True

    max_length: int = option(
        128,
        int,
        low=3,
        high=512,
        help="Maximum number of wordpieces of a message, the two special ones included, or of words for spacy_textcat; "
        "longer messages are truncated. At most 100 times as many characters are read.",
    )
    epochs: int = option(
        10, int, low=1, high=1_000_000, help="Epochs of the student over the training data and the synthetic messages."
    )
    patience: int = option(
        3,
        int,
        low=1,
        help="Training stops early after this many epochs in a row without improvement on the synthetic and unlabelled "
        "messages that validation_split holds out, and the best epoch is kept.",
    )
    batch_size: int = option(
        64,
        int,
        low=1,
        help="Messages per training step of the student; reduced, to 8 at the least, for small training sets, except "
        "for spacy_textcat.",
    )
    learning_rate: float = option(
        None,
        float,
        above=0,
        below=1,
        optional=True,
        help="Peak learning rate of the student; null means the default of its architecture. Pruning and "
        "quantization-aware training of a transformer have three times this rate.",
    )
    random_seed: int = seed_option()
    validation_split: float = option(
        0.1,
        float,
        low=0,
        high=0.5,
        help="Share of the examples that are held out from models like the teacher, to calibrate confidences and to "
        "weight the views of a message; with fewer than 3,000 examples, each half is held out in turn. The saved model "
        "is trained on all examples. The same share of the synthetic and unlabelled messages, at most 1,000, is held "
        "out from the student, to compare its epochs; if these are fewer than 20, none are. 0 disables both.",
    )
    num_threads: int = option(
        1,
        int,
        low=0,
        high=256,
        help="Threads of the serving engine; 0 means all cores. spacy_textcat ignores this.",
    )
    ranking_length: int = option(10, int, low=0, help="Maximum number of intents in a ranking; 0 means all.")
    response_selection: bool = option(
        True,
        bool,
        help="Whether the responses of retrieval intents (faq/ask_name) are selected in the same forward pass, if "
        "the training data has such intents and the teacher selects their responses too: not with "
        "teacher.predictions, and not by spacy_textcat. If the pipeline has a ResponseSelector for a retrieval intent, "
        "its responses are left to that one.",
    )
    tensorboard_log_directory: Optional[str] = tensorboard_option()
    teacher: TeacherConfig = section(TeacherConfig)
    student: StudentConfig = section(StudentConfig)
    augmentation: AugmentationConfig = section(AugmentationConfig)
    distillation: StudentDistillationConfig = section(StudentDistillationConfig)
    pruning: PruningConfig = section(PruningConfig)
    quantization: QuantizationConfig = section(QuantizationConfig)
    out_of_scope: OutOfScopeConfig = section(OutOfScopeConfig)

    finetuning_epoch_fraction: InitVar[Optional[float]] = None

    def __post_init__(self, finetuning_epoch_fraction: Optional[float]) -> None:
        n_iter = self.augmentation.n_iter
        resolved = {
            "random_seed": SEED if self.random_seed is None else self.random_seed,
            "student": self.student.resolved(),
            "learning_rate": self.student.learning_rate if self.learning_rate is None else self.learning_rate,
            "augmentation": replace(self.augmentation, n_iter=self._default_n_iter if n_iter is None else n_iter),
            "distillation": replace(self.distillation, loss=self.distillation.loss or self._default_loss),
        }
        if self.student.is_bert:
            resolved["pruning"] = self.pruning.resolved(self.epochs, finetuning_epoch_fraction or 1.0)
        elif self.pruning == PruningConfig():
            resolved["pruning"] = replace(self.pruning, method="none")
        for name, value in resolved.items():
            object.__setattr__(self, name, value)

    @property
    def weights_to_start_from(self) -> Optional[str]:
        """Pretrained weights to fine-tune or, with a file of predictions, whose wordpieces the student uses."""
        return None if self.teacher.model is not None else self.teacher.model_weights or _WEIGHTS

    @property
    def weights_option(self) -> str:
        """The option of the section `teacher` or, for a trained teacher, the one that it was trained with."""
        return "teacher.model_weights" if self.teacher.model is None else "model_weights of the teacher"

    def named_paths(self) -> Sequence[Tuple[str, str]]:
        """The teacher, unlabelled messages, and messages out of scope."""
        named = {
            "teacher.model": self.teacher.model,
            "teacher.predictions": self.teacher.predictions,
            "augmentation.unlabelled": self.augmentation.unlabelled,
            "out_of_scope.messages": self.out_of_scope.messages,
        }
        return [(option, path) for option, path in named.items() if path is not None]

    def files_to_read(self) -> Sequence[str]:
        """These, and the spaCy model, which may be a package."""
        model = self.augmentation.spacy_model
        return [*super().files_to_read(), *([] if model is None else [model])]

    @property
    def learns_responses(self) -> bool:
        """Whether the student selects responses, if its teacher does."""
        return self.response_selection and self.student.selects_responses

    @property
    def _default_n_iter(self) -> int:
        return 0 if self.teacher.predictions is not None else _N_ITER

    @property
    def _default_loss(self) -> str:
        return "mse" if self.distillation.targets == "logits" else self.student.default_loss

    def teacher_options(self) -> PrunedBertIntentClassifierConfig:
        """The teacher's options as a classifier: fine-tuned, not pruned or quantized, and the same for all students."""
        return PrunedBertIntentClassifierConfig(
            model_weights=self.weights_to_start_from or _WEIGHTS,
            max_length=self.max_length,
            epochs=self.teacher.epochs,
            learning_rate=self.teacher.learning_rate,
            random_seed=self.random_seed,
            validation_split=self.validation_split,
            pruning=PruningConfig(method="none"),
            quantization=QuantizationConfig(method="none"),
            out_of_scope=self.out_of_scope,
            response_selection=self.response_selection,
        )

    def conflicts(self) -> Iterator[Problem]:
        """Yield unmet requirements, and the contradictions within the sections and between them."""
        yield from super().conflicts()
        for part in (self.teacher, self.student, self.augmentation, self.distillation):
            yield from part.conflicts()
        if self.student.is_bert:
            yield from self.pruning.conflicts()
            yield from self.pruning.end_conflicts(self.epochs)
        else:
            yield from self._conflicts_of_others_than_berts()
        yield from self.student.conflicts_with(self)

    def _conflicts_of_others_than_berts(self) -> Iterator[Problem]:
        architecture, method = self.student.architecture, self.quantization.method
        if self.pruning.method != "none":
            yield Problem(
                ("pruning.method", "student.architecture"),
                f"pruning is only for {_OF_TRANSFORMERS}, not {architecture}; leave it out",
            )
        if self.distillation.hidden_states:
            yield Problem(
                ("distillation.hidden_states", "student.architecture"),
                f"distillation.hidden_states: {self.distillation.hidden_states} is only for {_OF_TRANSFORMERS}, not "
                f"{architecture}; leave it out",
            )
        if not self.student.is_quantizable:
            if self.quantization not in (QuantizationConfig(), QuantizationConfig(method="none")):
                yield Problem(
                    ("quantization", "student.architecture"),
                    f"quantization is not for student.architecture: {architecture}, which is stored in a format of its "
                    "own; leave it out",
                )
            return
        if method not in ("none", "dynamic_int8"):
            yield Problem(
                ("quantization.method", "student.architecture"),
                f"quantization.method: {method} is only for {_OF_TRANSFORMERS}, not {architecture}; choose "
                "dynamic_int8 or none",
            )
        if self.quantization.aware_training:
            yield Problem(
                ("quantization.aware_training", "student.architecture"),
                f"quantization.aware_training: true is only for {_OF_TRANSFORMERS}; leave it out",
            )
