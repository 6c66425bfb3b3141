"""Where the wordpieces of a message lie in its text, and which of them an entity consists of.

Entities are tagged wordpiece by wordpiece, of the text as it is: no tokenizer of Rasa's stands between them. An
annotation that begins or ends inside a wordpiece splits the word there, wherever the word occurs from then on.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from operator import index
from typing import Dict, Iterable, List, Mapping, NamedTuple, Sequence, Set, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import EntityLabel, EntitySpan, TagSpan
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

SplitPoints = Mapping[str, Sequence[int]]
"""Where words are split that annotations begin or end in: positions in the word, by the word."""

# one word to BERT at most: these control characters are none of its blanks, it drops them
_RUN = re.compile(r"[\S\x0b\x0c\x1c-\x1f\x85]+")
_WHOLE = 1_000_000  # wordpieces: texts are not truncated
_FEW = 0.1  # share of the annotations of a type
_JOINER = "\u200d"  # between the characters of one emoji


class Pieces(NamedTuple):
    """The wordpieces of a text, the two special ones left out but for `input_ids`.

    Attributes:
        input_ids: with the special ones, `(T + 2,)` int64.
        starts: where each begins in the text, `(T,)`.
        ends: where it ends, `(T,)`; the marks that belong to its last character included.
        continues: whether it continues the word of the one before it, `(T,)`.
        truncated: whether the end of the text is left out, as it is too long.
    """

    input_ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    continues: np.ndarray
    truncated: bool

    @property
    def words(self) -> List[Tuple[int, int]]:
        """Where each word begins and ends in the text; marks of words alone, which have no length, are none."""
        first = np.flatnonzero(~self.continues)
        last = np.append(first[1:], len(self.ends))[: len(first)] - 1
        bounds = zip(self.starts[first].tolist(), self.ends[last].tolist())
        return [(start, end) for start, end in bounds if start < end]


class PieceTokenizer:
    """Texts as wordpieces with their places.

    Args:
        json: the `tokenizers` library's own serialisation.
        max_length: wordpieces kept, the two special ones included.
        split_points: of words.

    Raises:
        TypeError: if a split point is no whole number.
    """

    def __init__(self, json: str, max_length: int, split_points: SplitPoints):
        self._tokenizer = WordpieceTokenizer(json, max_length)
        self._split_points = {word: tuple(map(index, places)) for word, places in split_points.items()}

    def encode(self, text: str) -> Pieces:
        """The wordpieces of a text."""
        read = self._tokenizer.read(text)
        pieces = _pieces(read, *self._tokenizer.encode_with_offsets(read, self._places(read)))
        return pieces._replace(truncated=pieces.truncated or len(read) < len(text))

    def _places(self, text: str) -> List[int]:
        """Where a text is split."""
        if not self._split_points:
            return []
        return [run.start() + place for run in _RUN.finditer(text) for place in self._split_points.get(run[0], ())]


def _pieces(text: str, input_ids: np.ndarray, offsets: np.ndarray, continues: np.ndarray, truncated: bool) -> Pieces:
    """Wordpieces whose ends include the marks behind their last characters, see `encode_with_offsets`."""
    starts, ends = offsets[:, 0].copy(), offsets[:, 1].copy()
    if not text.isascii():
        for index, (end, limit) in enumerate(zip(ends.tolist(), [*starts[1:].tolist(), len(text)])):
            while end < limit and (text[end] == _JOINER or unicodedata.category(text[end]).startswith("M")):
                end += 1
            ends[index] = end
    return Pieces(input_ids, starts, ends, continues, truncated)


def split_points_for(
    texts: Sequence[str], entities: Sequence[Sequence[EntitySpan]], json: str, *, before: SplitPoints
) -> Dict[str, List[int]]:
    """The split points that make every annotation begin and end where a wordpiece does.

    A word is split at every edge that any text has in it, or not at all: a split changes the wordpieces around it.

    Args:
        texts: of the training data.
        entities: of each text.
        json: the tokenizer.
        before: split points that stay.
    """
    tokenizer = PieceTokenizer(json, _WHOLE, {})
    split_points: Dict[str, Set[int]] = {word: set(places) for word, places in before.items()}
    edges: Dict[str, Set[int]] = defaultdict(set)
    for text, spans in zip(texts, entities):
        if not spans:
            continue
        pieces = tokenizer.encode(text)
        starts, ends = set(pieces.starts.tolist()), set(pieces.ends.tolist())
        own = {edge for span in spans for edge in (span.start, span.end)}
        missed = {span.start for span in spans} - starts | {span.end for span in spans} - ends
        missed |= {
            edge for edge in own if ((pieces.starts < edge) & (edge < pieces.ends)).any()
        }  # bytes of a character
        for run in _RUN.finditer(text):
            edges[run[0]].update(edge - run.start() for edge in own if run.start() < edge < run.end())
            if any(run.start() < edge < run.end() for edge in missed):
                split_points.setdefault(run[0], set())
    return {word: sorted(places | edges[word]) for word, places in sorted(split_points.items())}


def whole_words(
    texts: Sequence[str], entities: Sequence[Sequence[EntitySpan]], json: str
) -> List[Tuple[EntitySpan, ...]]:
    """Moves annotations that begin or end inside a word to whole words, where few of their type do.

    Few are one, or less than a tenth. A word belongs to an entity if at least half of it is annotated. An annotation
    stays as it is where another one lies in the same words: these are parts of words on purpose.

    Args:
        texts: of the training data.
        entities: of each text.
        json: the tokenizer.
    """
    tokenizer = PieceTokenizer(json, _WHOLE, {})
    words = [tokenizer.encode(text).words if spans else [] for text, spans in zip(texts, entities)]
    moved = [[_to_words(span, text, own) for span in spans] for text, spans, own in zip(texts, entities, words)]
    total = Counter(span.entity for spans in entities for span in spans)
    inside = Counter(
        span.entity for before, after in zip(entities, moved) for span, new in zip(before, after) if span != new
    )
    few = {kind for kind, count in inside.items() if count == 1 or count < _FEW * total[kind]}
    return [
        tuple(
            new if span.entity in few and not any(_overlap(new, other) for other in spans if other != span) else span
            for span, new in zip(spans, own)
        )
        for spans, own in zip(entities, moved)
    ]


def _to_words(span: EntitySpan, text: str, words: Sequence[Tuple[int, int]]) -> EntitySpan:
    """The words that an annotation covers by half, where it begins or ends inside of one."""
    edges = [edge for edge in (span.start, span.end) if 0 < edge < len(text) and _is_inside(text, edge)]
    if not any(start < edge < end for edge in edges for start, end in words):
        return span
    touched = [(start, end) for start, end in words if start < span.end and span.start < end]
    covered = [
        (start, end) for start, end in touched if 2 * (min(end, span.end) - max(start, span.start)) >= end - start
    ]
    chosen = covered or touched
    return span._replace(start=chosen[0][0], end=chosen[-1][1])


def _is_inside(text: str, edge: int) -> bool:
    """Whether letters, digits or their marks are on both sides: to BERT an emoji is a part of the word before it."""
    return all(unicodedata.category(character)[0] in "LNM" for character in text[edge - 1 : edge + 1])


def _overlap(one: EntitySpan, other: EntitySpan) -> bool:
    return one.start < other.end and other.start < one.end


def align_entities(
    entities: Iterable[EntitySpan], pieces: Pieces, labels: Mapping[EntityLabel, int]
) -> Tuple[List[TagSpan], List[TagSpan], List[EntitySpan]]:
    """The wordpieces of entities; what is left of truncated ones; and those that are not there as a whole.

    Args:
        entities: of a text.
        pieces: of the same text.
        labels: positions of labels.
    """
    spans, remains, lost = [], [], []
    for entity in entities:
        first = int(np.searchsorted(pieces.ends, entity.start, side="right"))
        end = int(np.searchsorted(pieces.starts, entity.end, side="left"))
        span = TagSpan(first, end, labels[entity.label])
        if first < end and not (pieces.truncated and end == len(pieces.starts) and entity.end > pieces.ends[-1]):
            spans.append(span)
            continue
        lost.append(entity)
        if first < end:
            remains.append(span)
    return spans, remains, lost
