"""Batches of messages of similar length, since padding costs as much time as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

import numpy as np

_POOL = 50  # batches that are sorted together: enough to avoid padding, few enough to keep batches mixed
_MIN_STEPS, _MIN_BATCH = 50, 8
NO_LABEL = -1
"""Stands for a missing label, of a message or of a wordpiece; special wordpieces and padding have it too."""
_SOFT_TARGETS = "soft targets"

Labels = Any
"""Labels of messages are an array, `(n,)` or `(n, C)`; labels of wordpieces a list of `n` arrays, `(T_i,)`."""


@dataclass(frozen=True)
class EncodedExamples:
    """Tokenized examples with their labels.

    Attributes:
        input_ids: wordpieces with the two special ones, `n` arrays of `(T_i,)`.
        labels: labels, by the name of the head that learns them.
        continues: whether a wordpiece continues the word of the one before it, `n` arrays of `(T_i - 2,)`; None if
            only whole messages are labelled.
    """

    input_ids: Sequence[np.ndarray]
    labels: Mapping[str, Labels]
    continues: Optional[Sequence[np.ndarray]] = None

    def targets(self, indices: np.ndarray) -> Dict[str, np.ndarray]:
        """The labels of some examples: `(B,)`, `(B, C)` or, padded, `(B, T)`."""
        return {name: _batch_of(labels, indices) for name, labels in self.labels.items()}

    def joined(self, unlabelled: Sequence[np.ndarray]) -> EncodedExamples:
        """The examples, followed by unlabelled messages, given as wordpiece ids; soft targets are dropped."""
        labels = {name: _joined(own, unlabelled) for name, own in self.labels.items() if _SOFT_TARGETS not in name}
        continues = self.continues
        if continues is not None:
            continues = [*continues, *(np.zeros(len(ids) - 2, bool) for ids in unlabelled)]
        return EncodedExamples([*self.input_ids, *unlabelled], labels, continues)

    def __getitem__(self, indices: np.ndarray) -> EncodedExamples:
        """Selects some of the examples."""
        return EncodedExamples(
            [self.input_ids[index] for index in indices],
            {name: select_labels(labels, indices) for name, labels in self.labels.items()},
            None if self.continues is None else [self.continues[index] for index in indices],
        )

    def __len__(self) -> int:
        return len(self.input_ids)


def soft_targets_of(head: str) -> str:
    """The name under which a teacher's logits for a head, `(n, C)`, are stored among the labels of examples."""
    return f"{_SOFT_TARGETS} of {head}"


def select_labels(labels: Labels, indices: np.ndarray) -> Labels:
    """The labels of some examples."""
    return labels[indices] if isinstance(labels, np.ndarray) else [labels[index] for index in indices]


def _batch_of(labels: Labels, indices: np.ndarray) -> np.ndarray:
    if isinstance(labels, np.ndarray):
        return labels[indices]
    padded, mask = pad([labels[index] for index in indices])
    padded[mask == 0] = NO_LABEL
    return padded


def _joined(labels: Labels, unlabelled: Sequence[np.ndarray]) -> Labels:
    if isinstance(labels, np.ndarray):
        return np.concatenate([labels, np.full((len(unlabelled), *labels.shape[1:]), NO_LABEL, labels.dtype)])
    return [*labels, *(np.full(len(ids), NO_LABEL, np.int32) for ids in unlabelled)]


@dataclass(frozen=True)
class Batch:
    """Padded examples."""

    indices: np.ndarray  # (B,), positions in the encoded examples
    input_ids: np.ndarray  # (B, T)
    attention_mask: np.ndarray  # (B, T)


def pad(input_ids: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Padded ids and their mask; padding has id 0 and mask 0.  # (B, T), (B, T)"""
    lengths = np.array([len(ids) for ids in input_ids])
    mask = (np.arange(lengths.max()) < lengths[:, np.newaxis]).astype(np.int32)
    padded = np.zeros(mask.shape, np.int32)
    padded[mask == 1] = np.concatenate(input_ids)
    return padded, mask


def batch_size_for(size: int, batch_size: int) -> int:
    """The batch size for a training set; for a small one it is reduced, so that an epoch has about `_MIN_STEPS` steps.

    A pruned model needs train steps to recover, however few examples there are.
    """
    return min(batch_size, max(_MIN_BATCH, size // _MIN_STEPS))


def batch_count(size: int, batch_size: int) -> int:
    """The number of batches in an epoch."""
    return -(-size // batch_size)


def sorted_batches(input_ids: Sequence[np.ndarray], batch_size: int) -> Iterator[Batch]:
    """Batches of all examples, shortest first, for prediction."""
    order = np.argsort([len(ids) for ids in input_ids], kind="stable")
    for start in range(0, len(order), batch_size):
        yield _batch(input_ids, order[start : start + batch_size])


def shuffled_batches(input_ids: Sequence[np.ndarray], batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Batches of all examples, in random order and of similar length each, for training."""
    lengths = np.array([len(ids) for ids in input_ids])
    order = rng.permutation(len(input_ids))
    batches: List[np.ndarray] = []
    for start in range(0, len(order), batch_size * _POOL):
        pool = order[start : start + batch_size * _POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches.extend(pool[i : i + batch_size] for i in range(0, len(pool), batch_size))
    for position in rng.permutation(len(batches)):
        yield _batch(input_ids, batches[position])


def _batch(input_ids: Sequence[np.ndarray], indices: np.ndarray) -> Batch:
    return Batch(indices, *pad([input_ids[index] for index in indices]))
