"""The positions of wordpieces in the text of a message, and the alignment of entities with wordpieces.

Entities are tagged on the wordpieces of the raw text, independently of Rasa's tokenizers. If an annotation begins or
ends inside a wordpiece, the word is split there wherever it occurs, in training and in serving.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from operator import index
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Sequence, Set, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import EntityLabel, EntitySpan, TagSpan
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

SplitPoints = Mapping[str, Sequence[int]]
"""Where words are split in which annotations begin or end: positions within the word, by the word."""

# never more than one word to BERT, which does not split at these control characters but drops them
_RUN = re.compile(r"[\S\x0b\x0c\x1c-\x1f\x85]+")
_WHOLE = 1_000_000  # wordpieces, so that texts are not truncated
_FEW = 0.1  # share of the annotations of a type
_JOINER = "\u200d"  # between the characters of one emoji
_JAMO = frozenset(map(chr, range(0x1160, 0x1200)))  # vowels and final consonants, from which syllables are composed


class Pieces(NamedTuple):
    """The wordpieces of a text; only `input_ids` includes the two special ones.

    Attributes:
        input_ids: ids with the special ones, `(T + 2,)` int64.
        starts: where each wordpiece begins in the text, `(T,)`.
        ends: where it ends, including the marks that belong to its last character, `(T,)`.
        continues: whether it continues the word of the wordpiece before it, `(T,)`.
        truncated: whether the end of the text is left out because the text is too long.
    """

    input_ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    continues: np.ndarray
    truncated: bool

    @property
    def words(self) -> List[Tuple[int, int]]:
        """The start and the end of each word in the text; markers of words, which have no length, are left out."""
        first = np.flatnonzero(~self.continues)
        last = np.append(first[1:], len(self.ends))[: len(first)] - 1
        bounds = zip(self.starts[first].tolist(), self.ends[last].tolist())
        return [(start, end) for start, end in bounds if start < end]


class PieceTokenizer:
    """Encodes texts as wordpieces with their positions.

    Args:
        json: the `tokenizers` library's own serialisation.
        max_length: the largest number of wordpieces, including the two special ones.
        split_points: where words are split.

    Raises:
        TypeError: if a split point is not an integer.
        ValueError: if one is outside of its word.
    """

    def __init__(self, json: str, max_length: int, split_points: SplitPoints):
        self._tokenizer = WordpieceTokenizer(json, max_length)
        self._split_points = {word: _inside(word, places) for word, places in split_points.items()}

    def encode(self, text: str) -> Pieces:
        """The wordpieces of a text."""
        read = self._tokenizer.read(text)
        pieces = _pieces(read, *self._tokenizer.encode_with_offsets(read, self._places(read)))
        return pieces._replace(truncated=pieces.truncated or len(read) < len(text))

    def _places(self, text: str) -> List[int]:
        """The positions at which a text is split."""
        if not self._split_points:
            return []
        return [run.start() + place for run in _RUN.finditer(text) for place in self._split_points.get(run[0], ())]


def _inside(word: str, places: Sequence[int]) -> Tuple[int, ...]:
    """The split points of a word, each once, so that a message never has more of them than characters.

    Raises the errors of `PieceTokenizer`.
    """
    own = tuple(sorted(set(map(index, places))))
    if own and not 0 <= own[0] <= own[-1] <= len(word):
        raise ValueError(f"the split points of {word!r} are outside of it")
    return own


def _pieces(text: str, input_ids: np.ndarray, offsets: np.ndarray, continues: np.ndarray, truncated: bool) -> Pieces:
    """Extends the ends of wordpieces by the marks that follow their last characters, see `encode_with_offsets`."""
    starts, ends = offsets[:, 0].copy(), offsets[:, 1].copy()
    if not text.isascii():
        for index, (end, limit) in enumerate(zip(ends.tolist(), [*starts[1:].tolist(), len(text)])):
            while end < limit and _continues_character(text[end]):
                end += 1
            ends[index] = end
    return Pieces(input_ids, starts, ends, continues, truncated)


def _continues_character(character: str) -> bool:
    """Whether a character without a wordpiece of its own belongs to the one before it.

    Tokenizers remove marks, or compose a character from its parts, of which the library gives the place of the first:
    marks, the vowel and the final consonant of a Korean syllable, and the marks of narrow Japanese letters, which are
    letters to Unicode.
    """
    wide = unicodedata.normalize("NFKC", character)[0]
    return character == _JOINER or unicodedata.category(wide).startswith("M") or wide in _JAMO


def split_points_for(
    texts: Sequence[str], entities: Sequence[Sequence[EntitySpan]], json: str, *, before: SplitPoints
) -> Dict[str, List[int]]:
    """Finds the split points with which all annotations begin and end at the boundaries of wordpieces.

    As a split changes the wordpieces around it, a word that has to be split is split at the edges of all annotations
    within it, in all texts.

    Args:
        texts: the training texts.
        entities: the annotations of each text.
        json: the tokenizer.
        before: split points to keep.
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
        in_order = np.array(sorted(own))
        last = np.searchsorted(pieces.starts, in_order) - 1  # the last wordpiece that begins before each edge
        reached = np.append(pieces.ends, 0)[last]  # 0 where there is none
        missed |= set(in_order[reached > in_order].tolist())  # bytes of a character
        for run in _RUN.finditer(text):
            inside = in_order[slice(*np.searchsorted(in_order, [run.start() + 1, run.end()]))].tolist()
            if not inside:
                continue
            edges[run[0]].update(edge - run.start() for edge in inside)
            if not missed.isdisjoint(inside):
                split_points.setdefault(run[0], set())
    return {word: sorted(places | edges[word]) for word, places in sorted(split_points.items())}


def whole_words(
    texts: Sequence[str], entities: Sequence[Sequence[EntitySpan]], json: str
) -> List[Tuple[EntitySpan, ...]]:
    """Extends annotations that begin or end inside a word to whole words, if they are exceptions in their type.

    They are exceptions if there is a single one, or less than a tenth of the annotations of the type. A word belongs to
    an entity if at least half of it is annotated. An annotation is kept if there is another one in the same words:
    these annotate parts of words on purpose.

    Args:
        texts: the training texts.
        entities: the annotations of each text.
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
            new if span.entity in few and _overlapping(new, spans) in ([], [span]) else span
            for span, new in zip(spans, own)
        )
        for spans, own in zip(entities, moved)
    ]


def _to_words(span: EntitySpan, text: str, words: Sequence[Tuple[int, int]]) -> EntitySpan:
    """If an annotation begins or ends inside a word, changes it to the words of which it covers at least half."""
    edges = [edge for edge in (span.start, span.end) if 0 < edge < len(text) and _is_inside(text, edge)]
    touched = _overlapping(span, words)
    if not any(start < edge < end for edge in edges for start, end in touched):
        return span
    covered = [
        (start, end) for start, end in touched if 2 * (min(end, span.end) - max(start, span.start)) >= end - start
    ]
    chosen = covered or touched
    return span._replace(start=chosen[0][0], end=chosen[-1][1])


def _is_inside(text: str, edge: int) -> bool:
    """Whether letters, digits or marks are on both sides; BERT takes an emoji for a part of the word before it."""
    return all(unicodedata.category(character)[0] in "LNM" for character in text[edge - 1 : edge + 1])


def _overlapping(one: EntitySpan, others: Sequence[Any]) -> List[Any]:
    """Those of many spans, each with a start and an end, that overlap one; they are sorted and do not overlap."""
    first = _count(others, lambda other: other[1] <= one.start)
    return list(others[first : _count(others, lambda other: other[0] < one.end)])


def _count(spans: Sequence[Any], is_before: Callable[[Any], bool]) -> int:
    """The number of spans at the beginning of a sorted sequence with a property, by bisection."""
    low, high = 0, len(spans)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if is_before(spans[middle]) else (low, middle)
    return low


def align_entities(
    entities: Iterable[EntitySpan], pieces: Pieces, labels: Mapping[EntityLabel, int]
) -> Tuple[List[TagSpan], List[TagSpan], List[EntitySpan]]:
    """Aligns entities with wordpieces.

    Args:
        entities: the entities of a text.
        pieces: the wordpieces of the same text.
        labels: the position of each label.

    Returns:
        The wordpieces of complete entities, those that remain of truncated entities, and the entities that are not
        complete.
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
