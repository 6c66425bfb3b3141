"""The view of characters: a linear classifier over hashed character n-grams, and the similarity to training messages.

It needs no forward pass, and distinguishes what the vocabulary of a pretrained model cannot: emoji, typos, other
scripts. An n-gram is 2 to 4 characters of a word padded with spaces, in lower case, without control characters
(scikit-learn's `char_wb`), and with combining marks composed (Unicode's NFC), so that both encodings of an accent are
equal. N-grams are hashed into `BUCKETS` buckets (Weinberger et al. 2009, "Feature hashing for large scale multitask
learning"), counted as `1 + log(count)`, multiplied by the inverse document frequency, and normalised to length 1.
N-grams in buckets that no training message has are ignored.
"""

from __future__ import annotations

import unicodedata
from typing import Dict, Mapping, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.views.view import (
    Evidence,
    Reading,
    dequantized_rows,
    quantized_rows,
    require_bounds,
    require_tensors,
    softmax,
)

BUCKETS = 4096
LONGEST_TEXT = 1000
"""Maximum number of characters of a message that are read, so that longer texts take no more time."""
_BLANK = 32
_MULTIPLIER, _MIX, _SHIFT = np.uint32(0x01000193), np.uint32(0x9E3779B1), np.uint32(20)  # 32 - 20 = 12 bits
_THREE, _FOUR = np.uint32(3), np.uint32(4)
CANDIDATES = 8
"""Number of intents whose messages are compared."""
_SHARPNESS = 12.0
_MOST_CLASSES = 2**17  # the table of more takes over 4 GB, however small it is stored


def hashed_ngrams(text: str) -> Tuple[np.ndarray, np.ndarray]:
    """The buckets of a text's n-grams, sorted, and how often each occurs.  # (k,) int64, (k,) int64

    Args:
        text: text of a message, of which the first `LONGEST_TEXT` characters are read.
    """
    read = text[:LONGEST_TEXT]
    if not read.isprintable():  # a reader does not see control characters either
        read = "".join(character for character in read if character.isprintable() or character.isspace())
    words = unicodedata.normalize("NFC", read).lower().split()
    if not words:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    padded = f" {'  '.join(words)} "  # a space on both sides of each word
    codes = np.frombuffer(padded.encode("utf-32-le", "surrogatepass"), np.uint32)
    letter = codes != _BLANK
    of_2 = codes[:-1] * _MULTIPLIER ^ codes[1:]
    of_3 = of_2[:-1] * _MULTIPLIER ^ codes[2:]
    of_4 = of_3[:-1] * _MULTIPLIER ^ codes[3:]
    kept = np.concatenate((letter[:-1] | letter[1:], letter[1:-1], letter[1:-2] & letter[2:-1]))  # spaces at ends only
    mixed = np.concatenate((of_2, of_3 + _THREE, of_4 + _FOUR))[kept] * _MIX >> _SHIFT
    mixed.sort()
    first = np.empty(len(mixed) + 1, bool)  # marks the first of equal ones, and the end
    first[0] = first[-1] = True
    np.not_equal(mixed[1:], mixed[:-1], out=first[1:-1])
    begins = first.nonzero()[0]
    return mixed[begins[:-1]].astype(np.int64), begins[1:] - begins[:-1]


class CharacterView:
    """A linear classifier, centroids and messages, all over hashed character n-grams.

    Only the messages of the `CANDIDATES` intents that the linear classifier finds most probable are compared, so that a
    prediction takes no longer with more intents.

    Args:
        frequency: inverse document frequency of each bucket, `(BUCKETS,)`; 0 if no training message has it.
        kernel: kernel of the linear classifier, `(BUCKETS, C)`.
        bias: bias of the linear classifier, `(C,)`.
        centroids: the mean direction of each intent's messages, `(BUCKETS, C)`, columns of length 1.
        messages: weighted n-grams of training messages, sorted by class.
    """

    def __init__(
        self, frequency: np.ndarray, kernel: np.ndarray, bias: np.ndarray, centroids: np.ndarray, messages: SparseRows
    ):
        self._frequency, self._bias, self._messages = frequency, bias, messages
        # (BUCKETS, 2 C): a single look-up, which takes 30 times as long if rows are not contiguous
        self._table = np.ascontiguousarray(np.concatenate([kernel, centroids], axis=1), np.float32)

    @property
    def size(self) -> int:
        """The number of stored messages."""
        return len(self._messages)

    def evidence(self, reading: Reading) -> Evidence:
        """The mean of the linear classifier's probabilities and those of the nearest messages, weighted 2 to 1.

        Familiarity is `0.35 cosine(nearest message) + 0.2 cosine(centroid) + 0.3 probability(linear classifier)`.
        """
        places, weights = weighted(reading.text, self._frequency)
        scores, size = weights @ self._table.take(places, axis=0), len(self._bias)
        linear = softmax(scores[:size] + self._bias)
        candidates = np.arange(size) if size <= CANDIDATES else linear.argpartition(-CANDIDATES)[-CANDIDATES:]
        nearest = self._messages.nearest(places, weights, candidates.tolist())
        probabilities = (2.0 / 3.0) * linear
        probabilities[candidates] += softmax(_SHARPNESS * nearest) / 3.0
        familiarity = 0.3 * linear + 0.2 * scores[size:]
        familiarity[candidates] += 0.35 * nearest
        return Evidence(probabilities, familiarity)

    def tensors(self) -> Dict[str, np.ndarray]:
        """The parameters of the buckets that occur, matrices in int8, and the messages."""
        used = np.flatnonzero(self._frequency)
        return {
            "places": used.astype(np.uint16),
            "frequency": self._frequency[used].astype(np.float16),
            "bias": self._bias.astype(np.float32),
            **quantized_rows(self._table[used, : len(self._bias)], "kernel"),
            **quantized_rows(self._table[used, len(self._bias) :], "centroids"),
            **self._messages.tensors(),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], num_classes: int) -> CharacterView:
        """The inverse of `tensors`, up to rounding.

        Raises:
            KeyError: if a tensor is missing.
            ValueError: if these are not the tensors of such a view.
        """
        if num_classes > _MOST_CLASSES:
            raise ValueError(f"it has {num_classes} intents")
        count = len(tensors["places"])
        shapes = {
            **{"places": (count,), "frequency": (count,), "bias": (num_classes,)},
            **{"kernel": (count, num_classes), "kernel.row_scale": (count,)},
            **{"centroids": (count, num_classes), "centroids.row_scale": (count,)},
        }
        require_tensors(tensors, shapes)
        _require_places(tensors["places"])
        places = tensors["places"].astype(np.int64)
        frequency = np.zeros(BUCKETS, np.float32)
        frequency[places] = tensors["frequency"]
        tables = []
        for name in ("kernel", "centroids"):
            table = np.zeros((BUCKETS, len(tensors["bias"])), np.float32)
            table[places] = dequantized_rows(dict(tensors), name)
            tables.append(table)
        messages = SparseRows.from_tensors(tensors, num_classes)
        return cls(frequency, tables[0], tensors["bias"], tables[1], messages)


class SparseRows:
    """Weighted n-grams of messages, sorted by class; every class has a row.

    Args:
        places: buckets of all messages, concatenated, `(z,)`.
        values: their weights, `(z,)`; those of a message have length 1.
        rows: where each message begins in them, and `z`, `(n + 1,)`; every message has at least one bucket.
        starts: the first message of each class, and the number of messages, `(C + 1,)`.
    """

    def __init__(self, places: np.ndarray, values: np.ndarray, rows: np.ndarray, starts: np.ndarray):
        self._places, self._values = places.astype(np.int64), values.astype(np.float32)
        self._rows, self._starts = rows.astype(np.int64), starts.astype(np.int64)
        self._classes = []  # of each class: buckets, weights, and where its messages begin in them
        for first, last in zip(self._starts[:-1], self._starts[1:]):
            begin, end = self._rows[first], self._rows[last]
            self._classes.append((self._places[begin:end], self._values[begin:end], self._rows[first:last] - begin))

    def __len__(self) -> int:
        return len(self._rows) - 1

    def nearest(self, places: np.ndarray, weights: np.ndarray, classes: Sequence[int]) -> np.ndarray:
        """The largest cosine similarity to a message of each of some classes.  # (k,)"""
        query = np.zeros(BUCKETS, np.float32)
        query[places] = weights
        similarities = []
        for label in classes:
            own, values, rows = self._classes[label]
            # indexing is three times as fast as `take`, and so is the maximum of a short list compared with an array
            similarities.append(max(np.add.reduceat(query[own] * values, rows).tolist()))
        return np.array(similarities)

    def tensors(self) -> Dict[str, np.ndarray]:
        """Buckets in 16 bits, and weights in 8 bits."""
        return {
            "message.places": self._places.astype(np.uint16),
            "message.values": np.rint(self._values * 255.0).astype(np.uint8),
            "message.rows": self._rows.astype(np.int32),
            "message.starts": self._starts.astype(np.int32),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], num_classes: int) -> SparseRows:
        """The inverse of `tensors`, up to rounding.

        Raises:
            KeyError: if a tensor is missing.
            ValueError: if these are not the tensors of such rows.
        """
        names = ("message.places", "message.values", "message.rows", "message.starts")
        places, values, rows, starts = (tensors[name] for name in names)
        shapes = ((len(places),), (len(places),), (len(rows),), (num_classes + 1,))
        require_tensors(tensors, dict(zip(names, shapes)))
        _require_places(places)
        require_bounds("message.rows", rows, len(places))
        require_bounds("message.starts", starts, len(rows) - 1)
        return cls(places, values.astype(np.float32) / 255.0, rows, starts)


def weighted(text: str, frequency: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The buckets of a text's n-grams and their weights, normalised to length 1; 0 for those not seen in training.

    Args:
        text: text of a message.
        frequency: inverse document frequency of each bucket, `(BUCKETS,)`.
    """
    places, counts = hashed_ngrams(text)
    weights = (1.0 + np.log(counts)) * frequency[places]
    norm = float(np.sqrt(weights @ weights))
    return places, (weights / norm if norm else weights).astype(np.float32)


def _require_places(places: np.ndarray) -> None:
    """Checks that places are those of buckets.

    Raises:
        ValueError: if one is negative or too large.
    """
    if places.min(initial=0) < 0 or places.max(initial=0) >= BUCKETS:
        raise ValueError(f"places of n-grams are not below {BUCKETS}")
