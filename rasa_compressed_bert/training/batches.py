"""Batches of messages of similar length: padding costs as much time as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import TagScheme

_POOL = 50  # batches that are sorted together: enough to avoid padding, few enough to keep batches mixed
_MIN_STEPS, _MIN_BATCH = 50, 8
NO_TAG = -1
"""The tag of what is no wordpiece of the text: the special ones, and padding."""


@dataclass(frozen=True)
class EncodedExamples:
    """Tokenized examples with their labels, and what a teacher said of them."""

    input_ids: Sequence[np.ndarray]  # n arrays of (T_i,)
    classes: np.ndarray  # (n,)
    soft_targets: Optional[np.ndarray] = None  # (n, C) logits
    tags: Optional[Sequence[np.ndarray]] = None  # n arrays of (T_i,), `NO_TAG` where nothing is known
    scheme: Optional[TagScheme] = None  # of the tags
    continues: Optional[Sequence[np.ndarray]] = None  # see `TagScheme.viterbi_decode`, n arrays of (T_i - 2,)

    def targets(self, indices: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What there is to learn of some examples.

        Returns:
            Classes `(B,)`, tags `(B, T)` and soft targets `(B, C)`, which have a width of 0 where there are none.
        """
        soft = np.zeros((len(indices), 0), np.float32) if self.soft_targets is None else self.soft_targets[indices]
        tags = np.zeros((len(indices), 0), np.int32)
        if self.tags is not None:
            tags, mask = pad([self.tags[index] for index in indices])
            tags[mask == 0] = NO_TAG
        return self.classes[indices], tags, soft

    def joined(self, unlabelled: Sequence[np.ndarray]) -> EncodedExamples:
        """The examples, followed by messages of which nothing is known, given as wordpiece ids."""
        count = len(unlabelled)
        tags, continues = self.tags, self.continues
        if tags is not None:
            tags = [*tags, *(np.full(len(ids), NO_TAG, np.int32) for ids in unlabelled)]
        if continues is not None:
            continues = [*continues, *(np.zeros(len(ids) - 2, bool) for ids in unlabelled)]
        classes = np.concatenate([self.classes, np.full(count, -1)]).astype(np.int32)
        return EncodedExamples(
            [*self.input_ids, *unlabelled], classes, tags=tags, scheme=self.scheme, continues=continues
        )

    def __getitem__(self, indices: np.ndarray) -> EncodedExamples:
        """Some of the examples."""
        return EncodedExamples(
            [self.input_ids[index] for index in indices],
            self.classes[indices],
            None if self.soft_targets is None else self.soft_targets[indices],
            None if self.tags is None else [self.tags[index] for index in indices],
            self.scheme,
            None if self.continues is None else [self.continues[index] for index in indices],
        )

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class Batch:
    """Padded examples."""

    indices: np.ndarray  # (B,), positions in the encoded examples
    input_ids: np.ndarray  # (B, T)
    attention_mask: np.ndarray  # (B, T)


def pad(input_ids: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask as rectangles; padding is id 0 under mask 0.  # (B, T), (B, T)"""
    lengths = np.array([len(ids) for ids in input_ids])
    mask = (np.arange(lengths.max()) < lengths[:, np.newaxis]).astype(np.int32)
    padded = np.zeros(mask.shape, np.int32)
    padded[mask == 1] = np.concatenate(input_ids)
    return padded, mask


def batch_size_for(size: int, batch_size: int) -> int:
    """The batch size for a training set: a small set gets smaller batches, for an epoch of `_MIN_STEPS` steps.

    A pruned model needs train steps to recover, however few examples there are.
    """
    return min(batch_size, max(_MIN_BATCH, size // _MIN_STEPS))


def batch_count(size: int, batch_size: int) -> int:
    """Number of batches of an epoch."""
    return -(-size // batch_size)


def sorted_batches(input_ids: Sequence[np.ndarray], batch_size: int) -> Iterator[Batch]:
    """All examples once, shortest first; for prediction."""
    order = np.argsort([len(ids) for ids in input_ids], kind="stable")
    for start in range(0, len(order), batch_size):
        yield _batch(input_ids, order[start : start + batch_size])


def shuffled_batches(input_ids: Sequence[np.ndarray], batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """All examples once, in random batches of similar length; for training."""
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
