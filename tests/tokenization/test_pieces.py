"""Entities of any text, encoded as tags, are decoded at the annotated positions."""

import time
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from shipped_tokenizer import minilm_tokenizer
from subword_harness import unigram

from rasa_compressed_bert.data.entities import EntitySpan, TagScheme, entity_labels
from rasa_compressed_bert.tokenization.pieces import PieceTokenizer, align_entities, split_points_for, whole_words
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

JSON = minilm_tokenizer()
SINGLE = WordpieceTokenizer(JSON, 64)


def round_trip(text, entities, *, max_length=512):
    """From spans to split points, wordpieces and tags, and back to spans."""
    tokenizer = PieceTokenizer(JSON, max_length, split_points_for([text], [entities], JSON, before={}))
    pieces, labels = tokenizer.encode(text), entity_labels(entities)
    spans, _, lost = align_entities(entities, pieces, {label: index for index, label in enumerate(labels)})
    scheme = TagScheme(labels)
    found = scheme.spans(scheme.tags(spans, len(pieces.starts)))
    return [EntitySpan(pieces.starts[s.first], pieces.ends[s.end - 1], *labels[s.label]) for s in found], lost


def entities_at(*places, kind="thing"):
    return [EntitySpan(start, end, kind) for start, end in places]


@pytest.mark.parametrize(
    "text, places",
    {
        "a word": ("play some jazz", [(10, 14)]),
        "whole message": ("jazz", [(0, 4)]),
        "both ends": ("jazz in berlin", [(0, 4), (8, 14)]),
        "punctuation": ("go to L.A., now!", [(6, 10), (15, 16)]),
        "inside a word": ("Berliner", [(0, 6)]),
        "that touch": ("one pmnear", [(0, 6), (6, 10)]),
        "that touch inside a wordpiece": ("hello", [(0, 2), (2, 5)]),
        "combining marks": ("cafe\u0301 zoe\u0308", [(0, 5), (6, 10)]),
        "precomposed": ("café Zoë!", [(0, 4), (5, 8)]),
        "emoji": ("I ❤️ 👨‍👩‍👧 and 🌶🔥", [(2, 4), (5, 10), (15, 16), (16, 17)]),
        "chinese": ("今天天气很热", [(0, 2), (2, 4)]),
        "korean": ("서울에서 부산까지", [(0, 2), (5, 7)]),
        "right to left": ("مرحبا بالعالم", [(6, 13)]),
        "unknown": ("ᚠᚡ abc", [(0, 1), (1, 2)]),
        "surrogate pair": ("\ud83d\ude00 jazz", [(3, 7)]),
        "lone surrogate": ("\ud83d jazz", [(2, 6)]),
        "zero width": ("h\u200bo jazz\u200b!", [(0, 3), (4, 8)]),
        "blanks": ("  jazz \t now ", [(2, 6), (9, 12)]),
        "number": ("1,000.50 euros", [(0, 8)]),
    }.values(),
)
def test_round_trip(text, places):
    assert round_trip(text, entities_at(*places)) == (entities_at(*places), [])


def has_wordpiece(character):
    """Whether a character has a wordpiece: blanks, control characters and marks have none."""
    return not character.isspace() and unicodedata.category(character)[0] not in "CMZ" and character != "\ufffd"


@st.composite
def annotated(draw):
    """Any text with any entities that begin and end with visible characters and split no grapheme."""
    parts = st.sampled_from(
        ["berlin", "don't", "café", "e\u0301", "🌶", "👨‍👩‍👧", "❤️", " ", "  ", ", ", "今", "ᚠ", "\u200b", "1,5"]
    )
    text = "".join(draw(st.lists(st.one_of(parts, st.text(max_size=3)), max_size=8)))
    seen = [bool(SINGLE.encode(character).shape[0] > 2) for character in text]
    starts = [
        i
        for i, character in enumerate(text)
        if has_wordpiece(character) and seen[i] and (i == 0 or text[i - 1] != "\u200d")
    ]
    ends = [
        i + 1
        for i, character in enumerate(text)
        if has_wordpiece(character) and seen[i]
        if i + 1 == len(text) or not (unicodedata.category(text[i + 1])[0] == "M" or text[i + 1] == "\u200d")
    ]
    entities, position = [], 0
    for start in starts:
        possible = [end for end in ends if end > start]
        if start >= position and possible and draw(st.booleans()):
            position = draw(st.sampled_from(possible[:6]))
            entities.append(
                EntitySpan(start, position, draw(st.sampled_from("ab")), draw(st.sampled_from([None, "r"])))
            )
    return text, entities


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(annotated())
def test_any_entities_of_any_text_are_found_again(case):
    text, entities = case
    assert round_trip(text, entities) == (entities, [])


def test_what_is_cut_off_is_lost_and_reported():
    entities = entities_at((0, 1), (2, 5))
    assert round_trip("a bcd", entities, max_length=3) == (entities[:1], entities[1:])
    assert round_trip("pneumonoultramicroscopic", entities_at((0, 24)), max_length=4) == ([], entities_at((0, 24)))


@pytest.mark.parametrize(
    "word",
    {
        "Korean, decomposed as macOS writes it": unicodedata.normalize("NFD", "서울"),
        "Korean, from letters and a cluster": "\u1100\u1161\u3133",
        "narrow katakana": "ﾊﾟﾝﾀﾞ",
        "accents": "Zoe\u0308",
    }.values(),
)
def test_a_word_ends_with_all_parts_of_its_last_character(word):
    """Weights such as multilingual-e5-small compose characters, and give each the place of its first part."""
    pieces = PieceTokenizer(unigram(), 64, {}).encode(f"{word} {word}")
    assert pieces.words == [(0, len(word)), (len(word) + 1, 2 * len(word) + 1)]


@pytest.mark.parametrize("text, places", [("a \u200b b", [(2, 3)]), ("\x00", [(0, 1)])])
def test_an_entity_without_a_wordpiece_is_lost_and_reported(text, places):
    assert round_trip(text, entities_at(*places)) == ([], entities_at(*places))


def test_a_word_is_cut_wherever_it_is():
    split_points = split_points_for(["oh times"], [entities_at((3, 7))], JSON, before={})
    assert split_points == {"times": [4]}
    pieces = PieceTokenizer(JSON, 64, split_points).encode("no times, times")
    assert list(zip(pieces.starts, pieces.ends))[-2:] == [(10, 14), (14, 15)]
    assert not pieces.continues[-1], "an entity may end where the word was cut"


def test_a_word_that_is_cut_anywhere_is_cut_at_every_edge_of_every_text():
    texts = ["heatingsystem", "a heatingsystem"]
    entities = [entities_at((0, 2)), entities_at((2, 9))]
    split_points = split_points_for(texts, entities, JSON, before={"zzz": [1]})
    assert split_points == {"heatingsystem": [2, 7], "zzz": [1]}
    for text, own in zip(texts, entities):
        pieces = PieceTokenizer(JSON, 64, split_points).encode(text)
        (span,), _, _ = align_entities(own, pieces, {own[0].label: 0})
        assert (pieces.starts[span.first], pieces.ends[span.end - 1]) == own[0][:2]


def test_what_is_left_of_an_entity_whose_end_is_cut_off_is_told_apart():
    text = "fly to new york city"
    entities = entities_at((0, 3), (7, 20))
    pieces = PieceTokenizer(JSON, 6, {}).encode(text)
    spans, remains, lost = align_entities(entities, pieces, {entities[0].label: 0})
    assert [span[:2] for span in spans] == [(0, 1)] and [span[:2] for span in remains] == [(2, 4)]
    assert lost == entities[1:]


def test_without_cuts_the_ids_are_those_of_the_whole_text():
    tokenizer, text = PieceTokenizer(JSON, 20, {}), "Unaffable embeddings, don't!"
    pieces = tokenizer.encode(text)
    assert pieces.input_ids.tolist() == WordpieceTokenizer(JSON, 20).encode(text).tolist()
    assert [text[start:end] for start, end in zip(pieces.starts, pieces.ends)][:3] == ["Una", "ffa", "ble"]
    assert pieces.continues.tolist()[:4] == [False, True, True, False] and not pieces.truncated
    assert PieceTokenizer(JSON, 5, {}).encode(text).truncated


@settings(max_examples=50, deadline=None)
@given(st.text(), st.integers(3, 20))
@example("\ud83d\ude00\ud83d", 20)
def test_places_are_in_the_text_and_in_order(text, max_length):
    pieces = PieceTokenizer(JSON, max_length, {text.split()[0]: [1]} if text.split() else {}).encode(text)
    count = len(pieces.starts)
    assert len(pieces.input_ids) == count + 2 <= max_length and len(pieces.ends) == len(pieces.continues) == count
    assert all(0 <= start < end <= len(text) for start, end in zip(pieces.starts, pieces.ends))
    assert sorted(pieces.starts) == list(pieces.starts) and sorted(pieces.ends) == list(pieces.ends)
    assume(count)
    assert not pieces.continues[0]


LONG = {"words": "saltless ", "marks": "saltless\u0301", "blanks": " ", "punctuation": "!"}


def test_the_time_for_annotations_of_a_long_text_is_linear():
    """8,000 words took five seconds, and twice as many twenty."""
    text = "saltless " * 8000
    entities = entities_at(*((9 * place, 9 * place + 3) for place in range(0, 8000, 2)))
    start = time.process_time()
    assert split_points_for([text], [entities], JSON, before={}) == {"saltless": [3]}
    assert time.process_time() - start < 1.5


@pytest.mark.parametrize("places", [[-1], [9], [4, 1_000_000]])
def test_split_points_outside_of_their_word_are_refused(places):
    with pytest.raises(ValueError, match="the split points of 'saltless' are outside of it"):
        PieceTokenizer(JSON, 24, {"saltless": places})


def test_a_split_point_counts_once():
    repeated, once = (PieceTokenizer(JSON, 24, {"saltless": [4] * times}) for times in (1_000_000, 1))
    assert repeated._places("saltless " * 5) == once._places("saltless " * 5)


@pytest.mark.parametrize("text", [part * 200_000 for part in LONG.values()], ids=LONG)
@pytest.mark.parametrize("split_points", [{}, {"saltless": [4]}], ids=["whole", "cut"])
def test_a_long_text_costs_no_more_than_a_shorter_one(text, split_points, monkeypatch):
    tokenizer = PieceTokenizer(JSON, 24, split_points)
    encode, read = tokenizer._tokenizer.encode_with_offsets, []
    monkeypatch.setattr(
        tokenizer._tokenizer, "encode_with_offsets", lambda part, points: read.append(part) or encode(part, points)
    )
    pieces = tokenizer.encode(text)
    assert pieces.truncated and len(pieces.input_ids) <= 24 and pieces.ends.max(initial=0) <= 2400
    assert len(read) == 1 and sum(map(len, read)) <= 2400
    shorter = tokenizer.encode(text[:4800])
    for one, other in zip(pieces, shorter):
        np.testing.assert_array_equal(one, other)


def test_parts_are_cut_where_there_are_more_than_fit():
    split_points = {"saltless": [4]}
    whole = PieceTokenizer(JSON, 100, split_points).encode("saltless " * 4)
    size = len(whole.input_ids)
    assert not whole.truncated and not PieceTokenizer(JSON, size, split_points).encode("saltless " * 4).truncated
    for shorter in range(3, size):
        pieces = PieceTokenizer(JSON, shorter, split_points).encode("saltless " * 4)
        assert pieces.truncated and len(pieces.input_ids) == shorter
        np.testing.assert_array_equal(pieces.starts, whole.starts[: shorter - 2])


def spans_of(*pairs):
    """Examples of texts with their entities, which are given as parts of the texts."""
    return [text for text, *_ in pairs], [
        tuple(EntitySpan(text.index(part), text.index(part) + len(part), "dish") for part in parts)
        for text, *parts in pairs
    ]


def parts_of(texts, entities):
    return [[text[span.start : span.end] for span in spans] for text, spans in zip(texts, entities)]


RIGHT = [("a pizza now", "pizza")] * 30


@pytest.mark.parametrize(
    "text, part, whole",
    [
        ("a pizza now", "pizz", "pizza"),
        ("a pizza now", "izza", "pizza"),
        ("a pizza now", "pizza n", "pizza"),
        ("a pizza now", "a pizza no", "a pizza now"),
        ("a pizza, now", "pizz", "pizza"),
        ("a pizza now", "z", "pizza"),
    ],
)
def test_an_annotation_that_is_one_off_is_moved_to_whole_words(text, part, whole):
    texts, entities = spans_of((text, part), *RIGHT)
    assert parts_of(texts, whole_words(texts, entities, JSON))[:2] == [[whole], ["pizza"]]


def test_a_few_of_many_are_mistakes_and_many_of_a_type_are_not():
    few, many = ([("a pizza now", "pizz")] * count for count in (2, 3))
    texts, entities = spans_of(*few, *RIGHT[:-9])
    assert parts_of(texts, whole_words(texts, entities, JSON))[0] == ["pizza"]
    texts, entities = spans_of(*many, *RIGHT[:-9])
    assert whole_words(texts, entities, JSON) == entities


def test_very_many_annotations_of_a_message_take_little_time():
    entities = [tuple(EntitySpan(3 * place, 3 * place + 1, "letter") for place in range(20_000))]
    begun = time.process_time()
    assert whole_words(["ab " * 20_000], entities, JSON) == entities
    assert time.process_time() - begun < 5.0  # takes 0.5 s, but 20 s if each is compared with all words


def test_two_annotations_in_one_word_are_no_mistake():
    texts, entities = spans_of(("hotpizza", "hot", "pizza"), *RIGHT)
    assert whole_words(texts, entities, JSON) == entities


def test_characters_of_a_script_without_blanks_are_words():
    texts, entities = spans_of(("\u6211\u8981\u62ab\u8428", "\u62ab\u8428"), ("\u62ab\u8428", "\u62ab\u8428"), *RIGHT)
    assert whole_words(texts, entities, JSON) == entities
