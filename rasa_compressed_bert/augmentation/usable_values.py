"""The listed entity values that can be learnt: those that the training messages do not use for something else."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Sequence, Set, Tuple

import numpy as np

from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import KnownValues
from rasa_compressed_bert.data.warnings import quoted
from rasa_compressed_bert.data.words import normalised, normalised_word, split_words

logger = logging.getLogger(__name__)
_LONGEST = 6  # words of a value that is searched for outside of entities
_LISTED = 3
_MOST_CHECKED = 20_000  # values of a type; of more, a random sample is used


def usable_values(
    examples: Sequence[Example], known: KnownValues, *, seed: int, warns: bool = True
) -> Dict[str, List[str]]:
    """The values that can be learnt, by type, in random order; one warning lists those that cannot.

    A synonym is a value of the types whose lookup table or annotations contain its canonical value or another synonym
    of it. A value is left out if it is empty, if it occurs in the messages more often outside of entities than as an
    entity of the type, or if it is annotated more often as another type. The last rule does not apply to types that
    have another annotated value in common: they are distinguished by their context.

    Args:
        examples: the training messages.
        known: lookup tables and synonyms.
        seed: random seed of the order and, for more than 20,000 values of a type, of the sample.
        warns: whether to log the warning.
    """
    if not known.lookups and not known.synonyms:
        return {}
    rng = np.random.default_rng(seed)
    usage = _Usage.of(examples)
    tables = {kind: _distinct(values) for kind, values in known.lookups.items()}
    for kind, values in _synonyms(usage, tables, known).items():
        tables[kind] = _distinct([*tables.get(kind, ()), *values])
    usable: Dict[str, List[str]] = {}
    problems: Dict[str, List[str]] = defaultdict(list)
    for kind in sorted(tables):
        listed = [tables[kind][place] for place in rng.permutation(len(tables[kind]))]
        if kind not in usage.annotated:
            problems["lookup tables of an entity that no message annotates"].append(f"{kind} ({len(listed)})")
            continue
        if len(listed) > _MOST_CHECKED and warns:
            logger.info(f"Only {_MOST_CHECKED} of the {len(listed)} values of {kind}, chosen at random, can be learnt.")
        usable[kind] = []
        for value in listed[:_MOST_CHECKED]:
            problem = usage.problem_of(value, kind)
            if problem:
                problems[problem].append(f"{quoted(value)} ({kind})")
            else:
                usable[kind].append(value)
    if warns:
        _warn(problems)
    return {kind: values for kind, values in usable.items() if values}


def are_usable(values: Sequence[Tuple[str, str]], examples: Iterable[Example]) -> List[bool]:
    """Whether each value, a pair of its type and its text, can be learnt from some messages, see `usable_values`."""
    if not values:  # counting the words of all messages would take longest
        return []
    usage = _Usage.of(examples)
    return [kind in usage.annotated and not usage.problem_of(value, kind) for kind, value in values]


def of_tables(values: Mapping[str, Sequence[str]], known: KnownValues) -> Dict[str, List[str]]:
    """The usable values that are in lookup tables, normalised and sorted, by type."""
    tables = {kind: {normalised(value) for value in known.lookups.get(kind, ())} for kind in values}
    listed = {kind: sorted({normalised(value) for value in own} & tables[kind]) for kind, own in values.items()}
    return {kind: own for kind, own in listed.items() if own}


class _Usage(NamedTuple):
    """How often the training messages use words as entities and otherwise.

    Attributes:
        annotated: how often each normalised value is annotated, by type.
        outside: how often each sequence of words occurs outside of entities.
    """

    annotated: Dict[str, Counter]
    outside: Counter

    @classmethod
    def of(cls, examples: Iterable[Example]) -> _Usage:
        annotated: Dict[str, Counter] = defaultdict(Counter)
        outside: Counter = Counter()
        for example in examples:
            if not example.annotated:
                continue
            for span in example.entities:
                annotated[span.entity][normalised(example.text[span.start : span.end])] += 1
            for text in _between(example.text, example.entities):
                outside.update(_ngrams(text))
        return cls(dict(annotated), outside)

    def problem_of(self, value: str, kind: str) -> str:
        """The reason why a value cannot be learnt; an empty string if it can."""
        key = normalised(value)
        if not key:
            return "empty values"
        own = self.annotated[kind][key]
        if self.outside[key] > own:
            return "values that occur more often outside of entities"
        for other, counts in self.annotated.items():
            if other != kind and counts[key] > own and not self._exchangeable(kind, other, key):
                return "values that are annotated more often as another entity"
        return ""

    def _exchangeable(self, kind: str, other: str, key: str) -> bool:
        """Whether two types have an annotated value in common, besides the one in question."""
        return bool((self.annotated[kind].keys() & self.annotated[other].keys()) - {key})


def annotated_alone_in(hidden: Iterable[Example], others: Iterable[Example]) -> Set[str]:
    """The normalised texts of entities that occur in `hidden` and not in `others`.

    Rasa adds a synonym for every annotation with a value, so a synonym of such a text comes from a held-out message.
    """
    inside, outside = (
        {normalised(example.text[span.start : span.end]) for example in part for span in example.entities}
        for part in (hidden, others)
    )
    return inside - outside


def without_held_out_synonyms(
    known: KnownValues, held_out: Sequence[Example], training: Sequence[Example]
) -> KnownValues:
    """Known values without the synonyms that Rasa read from annotations of held-out messages only."""
    told = annotated_alone_in(held_out, training)
    return replace(
        known, synonyms={text: value for text, value in known.synonyms.items() if normalised(text) not in told}
    )


def _distinct(values: Iterable[str]) -> List[str]:
    """Each value once, without surrounding whitespace; an empty one is kept, to be reported in the warning."""
    return list({normalised(value): value.strip() for value in values}.values())


def _synonyms(usage: _Usage, tables: Dict[str, List[str]], known: KnownValues) -> Dict[str, List[str]]:
    """Synonyms by the entity types that they are values of."""
    groups: Dict[str, Set[str]] = defaultdict(set)  # all synonyms of a canonical value, and itself
    for text, canonical in known.synonyms.items():
        groups[canonical].update((normalised(text), normalised(canonical)))
    of_kind = {kind: set(counts) for kind, counts in usage.annotated.items()}
    for kind, values in tables.items():
        of_kind.setdefault(kind, set()).update(map(normalised, values))
    kinds = {
        canonical: [kind for kind in sorted(of_kind) if of_kind[kind] & group] for canonical, group in groups.items()
    }
    found: Dict[str, List[str]] = defaultdict(list)
    for text, canonical in known.synonyms.items():
        for kind in kinds[canonical]:
            found[kind].append(text)
    return found


def _between(text: str, spans: Sequence[EntitySpan]) -> Iterator[str]:
    """The parts of a text outside of its entities."""
    start = 0
    for span in sorted(spans):
        yield text[start : span.start]
        start = span.end
    yield text[start:]


def _ngrams(text: str) -> Iterator[str]:
    """All sequences of up to `_LONGEST` words, normalised."""
    words = [normalised_word(word.text) for word in split_words(text)]
    for size in range(1, _LONGEST + 1):
        for start in range(len(words) - size + 1):
            yield " ".join(words[start : start + size])


def _warn(problems: Dict[str, List[str]]) -> None:
    """Logs one warning of all values that are left out, with counts and examples."""
    if problems:
        found = [
            f"{problem} ({len(values)}): {', '.join(values[:_LISTED])}{' ...' if len(values) > _LISTED else ''}"
            for problem, values in problems.items()
        ]
        count = sum(map(len, problems.values()))
        logger.warning(
            f"{counted(count, 'item of the lookup tables and synonyms is', 'items of lookup tables and synonyms are')} "
            f"not learnt: {'; '.join(found)}. Correct the training data, or annotate such values in messages."
        )
