"""Options shared by the components that fine-tune, compress and serve a BERT."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Iterator, Mapping, Optional

from rasa_compressed_bert.config.budget import BudgetConfig
from rasa_compressed_bert.config.distillation import DistillationConfig
from rasa_compressed_bert.config.encoder import EncoderConfig
from rasa_compressed_bert.config.options import Option, option, section
from rasa_compressed_bert.config.problems import Problem
from rasa_compressed_bert.config.pruning import PruningConfig

SEED = 42
FINETUNING_EPOCH_FRACTION: Mapping[str, Option] = {
    "finetuning_epoch_fraction": Option(
        float, low=0, high=100, optional=True, help="Share of the usual epochs to fine-tune for; set by Rasa."
    )
}


def seed_option() -> Any:
    """The option `random_seed`; configurations that have it replace null by `SEED`."""
    return option(
        SEED,
        int,
        low=0,
        high=2**32 - 1,
        optional=True,
        help=f"Seed of all randomness in training; null, the default of DIETClassifier, means {SEED}.",
    )


def tensorboard_option() -> Any:
    """The option `tensorboard_log_directory`."""
    return option(
        None,
        str,
        optional=True,
        help="Folder to write the curves of each stage of training to, for `tensorboard --logdir`; null writes none.",
    )


@dataclass(frozen=True)
class BertOptions(EncoderConfig):
    """Shared options; `pruning.end_epoch`, `pooling` and `random_seed` have a value even if the user set null.

    Rasa adds `finetuning_epoch_fraction` under `--finetune`. It has already multiplied `epochs` by it and lets the user
    change no other option, so a begin and an end of pruning that were set are multiplied here; it is not kept.
    """

    injected: ClassVar[Mapping[str, Option]] = FINETUNING_EPOCH_FRACTION

    epochs: int = option(
        8,
        int,
        low=1,
        high=1_000_000,
        help="Epochs of pruning and recovery, after half as many epochs of fine-tuning the dense model; without "
        "pruning, epochs of fine-tuning.",
    )
    batch_size: int = option(
        32, int, low=1, help="Messages per training step; reduced, to 8 at the least, for small training sets."
    )
    pooling: str = option(
        None,
        str,
        choices=("mean", "cls"),
        optional=True,
        help="What intents are predicted from: the mean of a message's hidden states, or the first one after BERT's "
        "pooler (cls); null means cls if pruning.pooler is set, and mean otherwise.",
    )
    learning_rate: float = option(
        1e-4,
        float,
        above=0,
        below=1,
        help="Peak learning rate; a pruned model that is distilled from the dense one, and quantization-aware "
        "training, have three times this rate.",
    )
    random_seed: int = seed_option()
    validation_split: float = option(
        0.1,
        float,
        low=0,
        high=0.5,
        help="Share of the examples that are held out from separate dense models, to calibrate confidences and to "
        "weight the views of a message; with fewer than 3,000 examples, each half is held out in turn. The saved model "
        "is trained on all examples. 0 disables this.",
    )
    tensorboard_log_directory: Optional[str] = tensorboard_option()
    pruning: PruningConfig = section(PruningConfig)
    distillation: DistillationConfig = section(DistillationConfig)
    budget: BudgetConfig = section(BudgetConfig)

    finetuning_epoch_fraction: InitVar[Optional[float]] = None

    def __post_init__(self, finetuning_epoch_fraction: Optional[float]) -> None:
        super().__post_init__()
        fraction = 1.0 if finetuning_epoch_fraction is None else finetuning_epoch_fraction
        if self.random_seed is None:
            object.__setattr__(self, "random_seed", SEED)
        object.__setattr__(self, "pruning", self.pruning.resolved(self.epochs, fraction))
        if self.pooling is None:
            object.__setattr__(self, "pooling", "mean" if self.pruning.pooler is None else "cls")

    @property
    def entity_loss_weight(self) -> float:
        """The weight of the entity loss; an option only of components that learn intents as well."""
        return 1.0

    def conflicts(self) -> Iterator[Problem]:
        """Yield contradictions within the sections and between the end of pruning and the end of training."""
        yield from super().conflicts()
        synthetic = self.distillation.synthetic_messages
        if not self.learns_intents and synthetic not in (0, DistillationConfig.synthetic_messages):
            yield Problem(
                ("distillation.synthetic_messages",),
                f"distillation.synthetic_messages: {synthetic} is for intents, which {self.component()} does not "
                "learn; leave it out",
            )
        yield from self.pruning.conflicts()
        yield from self.pruning.end_conflicts(self.epochs)
        yield from self.budget.conflicts(self.pruning, self.validation_split)
