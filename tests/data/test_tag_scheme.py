"""Tags encode spans, and decoding finds the best of all valid tag sequences."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_compressed_bert.data import entities
from rasa_compressed_bert.data.entities import OUTSIDE, EntityLabel, EntitySpan, TagScheme, TagSpan, entity_labels

CITY, DATE = EntityLabel("city"), EntityLabel("date", "from", "1")
SCHEMES = {bilou: TagScheme((CITY, DATE), bilou) for bilou in (True, False)}
either = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=["bilou", "plain"])


@st.composite
def tag_spans(draw, length=12, labels=2):
    """Spans in order, some of them adjacent."""
    edges = sorted(draw(st.sets(st.integers(0, length))))
    spans = [TagSpan(first, end, draw(st.integers(0, labels - 1))) for first, end in zip(edges, edges[1:])]
    return [span for span in spans if draw(st.booleans())]


def joined(spans):
    """The spans without BILOU: adjacent entities of the same label are merged."""
    merged = []
    for span in spans:
        if merged and (merged[-1].end, merged[-1].label) == (span.first, span.label):
            merged[-1] = merged[-1]._replace(end=span.end)
        else:
            merged.append(span)
    return merged


@given(tag_spans())
def test_spans_become_tags_become_spans(spans):
    assert SCHEMES[True].spans(SCHEMES[True].tags(spans, 12)) == spans
    assert SCHEMES[False].spans(SCHEMES[False].tags(spans, 12)) == joined(spans)


def test_tags_by_hand():
    spans = [TagSpan(0, 1, 0), TagSpan(1, 4, 1)]
    assert SCHEMES[True].tags(spans, 5).tolist() == [4, 5, 6, 7, OUTSIDE]  # U-city, B-date, I-date, L-date
    assert SCHEMES[False].tags(spans, 5).tolist() == [1, 2, 2, 2, OUTSIDE]
    assert [scheme.num_tags for scheme in SCHEMES.values()] == [9, 3]


@either
def test_a_scheme_as_json(scheme):
    assert TagScheme.from_dict(scheme.to_dict()) == scheme


@pytest.mark.parametrize("label", [[None], [""], ["city", ""], ["city", 0], ["city", None, []], [1]])
def test_labels_that_are_no_names_are_refused(label):
    with pytest.raises(ValueError, match="not all of these are names"):
        TagScheme.from_dict({"labels": [label], "bilou": True})


def test_labels_are_sorted_with_and_without_roles():
    spans = [EntitySpan(0, 1, "city", role) for role in ("to", None, "from", "to")] + [EntitySpan(1, 2, "a", None, "g")]
    expected = [("a", None, "g"), ("city", None, None), ("city", "from", None), ("city", "to", None)]
    assert list(entity_labels(spans)) == expected
    assert entity_labels([]) == ()


def with_invalid(scheme, transitions):
    """Scores of transitions, minus infinity for those that are in no valid sequence."""
    return np.where(scheme.valid_transitions(), transitions, -np.inf)


def valid(scheme, length, continues):
    """Every valid tag sequence, by exhaustive search."""
    for tags in itertools.product(range(scheme.num_tags), repeat=length):
        spans, position, right = [], 0, True
        while position < length and right:
            if tags[position] == OUTSIDE:
                position += 1
                continue
            right = False
            for end in range(position + 1, length + 1):
                label = (tags[position] - 1) // (4 if scheme.bilou else 1)
                span = TagSpan(position, end, label)
                if scheme.tags([span], length)[position:end].tolist() == list(tags[position:end]):
                    if scheme.bilou or end == length or tags[end] != tags[position]:
                        spans.append(span)
                        position, right = end, True
                        break
        edges = {edge for span in spans for edge in (span.first, span.end)}
        if right and not any(continues[edge] for edge in edges if edge < length):
            yield tags


@either
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_best_tags_are_the_best_valid_ones(scheme, data):
    scheme = TagScheme(scheme.labels[: data.draw(st.integers(1, 2 if not scheme.bilou else 1))], scheme.bilou)
    length = data.draw(st.integers(1, 4))
    continues = np.array([False] + data.draw(st.lists(st.booleans(), min_size=length - 1, max_size=length - 1)))
    scores = np.random.default_rng(data.draw(st.integers(0, 10**6))).normal(size=(length, scheme.num_tags))
    best = max(valid(scheme, length, continues), key=lambda tags: scores[range(length), tags].sum())
    found = scheme.viterbi_decode(scores, with_invalid(scheme, 0.0), continues)
    assert scores[range(length), found].sum() == pytest.approx(scores[range(length), best].sum())
    assert tuple(found) in set(valid(scheme, length, continues))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_transitions_count_if_the_best_tags_are_not_valid(seed, length):
    scheme, rng = SCHEMES[True], np.random.default_rng(seed)
    scores, transitions = rng.normal(size=(length, 9)), rng.normal(size=(10, 10))

    def total(tags):
        return scores[range(length), tags].sum() + transitions[[9, *tags], [*tags, 9]].sum()

    found, every = scheme.viterbi_decode(scores, with_invalid(scheme, transitions)), np.zeros(length, bool)
    if tuple(scores.argmax(axis=1)) in set(valid(scheme, length, every)):
        assert found.tolist() == scores.argmax(axis=1).tolist()
    else:
        assert total(found) == pytest.approx(max(total(tags) for tags in valid(scheme, length, every)))


def test_tags_of_words_are_those_of_their_wordpieces():
    spans = [TagSpan(1, 3, 0), TagSpan(4, 7, 1)]  # two wordpieces of one word, and three of two words
    starts = np.array([0, 1, 3, 4, 6])
    for scheme in SCHEMES.values():
        assert scheme.tags_of_words(spans, starts).tolist() == [OUTSIDE, 4, OUTSIDE, 5, 7]  # U-city, B-date, L-date


@given(st.integers(0, 10**6), st.integers(1, 30), st.booleans())
def test_best_tags_are_always_valid(seed, length, words):
    rng = np.random.default_rng(seed)
    continues = np.append(False, rng.random(length - 1) < 0.4) if words else None
    for scheme in SCHEMES.values():
        tags = scheme.viterbi_decode(rng.normal(size=(length, scheme.num_tags)), with_invalid(scheme, 0.0), continues)
        spans = scheme.spans(tags)
        assert scheme.tags(spans, length).tolist() == tags.tolist()
        if words:
            assert not any(continues[edge] for span in spans for edge in (span.first, span.end) if edge < length)


@pytest.mark.parametrize("bilou", [False, True])
def test_time_is_bounded_with_very_many_likely_labels(bilou, monkeypatch):
    """It is quadratic in the tags that are considered; those of the labels that come nearest to the best are kept."""
    scheme = TagScheme(tuple(EntityLabel(str(number)) for number in range(300)), bilou)
    scores = np.zeros((4, scheme.num_tags))
    scores[[0, 3], OUTSIDE] = 0.5
    first = 1 + scheme.tags_per_label * 299
    scores[1:3, first : first + scheme.tags_per_label] = 1.0  # with BILOU, the best tags are not valid
    considered = []
    best_path = entities._best_path
    monkeypatch.setattr(entities, "_best_path", lambda tags, *rest: considered.append(tags) or best_path(tags, *rest))
    continues = np.array([False, False, True, False])
    tags = scheme.viterbi_decode(scores, with_invalid(scheme, 0.0), continues)
    assert scheme.spans(tags) == [TagSpan(1, 3, 299)]
    if bilou:
        assert len(considered[0]) == 401
