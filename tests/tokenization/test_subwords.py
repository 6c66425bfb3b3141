"""With any vocabulary, pieces have the offsets of their characters, and annotations inside words split them."""

import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from subword_harness import KINDS, TEXTS
from tokenizers import Tokenizer, models

from rasa_compressed_bert.data.entities import EntitySpan, TagScheme, entity_labels
from rasa_compressed_bert.errors import ArtifactError, WeightsError
from rasa_compressed_bert.tokenization.pieces import PieceTokenizer, align_entities, split_points_for, whole_words
from rasa_compressed_bert.tokenization.subwords import subword_model
from rasa_compressed_bert.tokenization.subwords.subword_model import SEPARATOR
from rasa_compressed_bert.tokenization.wordpieces import (
    JOINED,
    WordpieceTokenizer,
    is_unknown,
    punctuation_ids,
    text_of,
    unknown_id,
    well_formed,
)

MARKED = {name: json for name, json in KINDS.items() if name != "WordPiece"}
each = pytest.mark.parametrize("name", KINDS)
each_marked = pytest.mark.parametrize("name", MARKED)

PARTS = st.sampled_from(
    "Wetter München don't e\u0301 ß 今天 天气 ？ 🌧 👨‍👩‍👧 حالة मौसम พรุ่งนี้ (the ﬁ ① 1,5 ᚠᚡ \u200b".split()
    + [" ", "  ", "\n", "\u3000"]
)
MESSAGES = st.one_of(st.lists(PARTS, max_size=8).map("".join), st.text(max_size=12), st.sampled_from(TEXTS))


def library(name):
    return Tokenizer.from_str(KINDS[name])


def parts_of(name, text, cuts=None):
    pieces = PieceTokenizer(KINDS[name], 512, cuts or {}).encode(text)
    return [text[start:end] for start, end in zip(pieces.starts, pieces.ends)], pieces


@each
@settings(max_examples=100, deadline=None)
@given(text=MESSAGES)
@example("  Wetter \t 今天 ")
@example("\ud83d\ude00\ud83d x")
def test_places_are_in_order_and_have_no_blanks_at_their_ends(name, text):
    parts, pieces = parts_of(name, text)
    assert all(part == part.strip() for part in parts)
    assert np.all(np.diff(pieces.starts) >= 0) and np.all(np.diff(pieces.ends) >= 0)
    assert np.all(pieces.starts <= pieces.ends) and not pieces.continues[:1].any()
    ids = WordpieceTokenizer(KINDS[name], 512).encode(text)
    assert pieces.input_ids.tolist() == ids.tolist(), "places cost nothing"


@each
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u200fWetter heute", ["Wetter", "heute"]),
        ("\ufeffWetter \u200eheute", ["Wetter", "heute"]),
        ("(\u200eWetter\u200e) heute", ["(", "Wetter", ")", "heute"]),
    ],
)
def test_characters_that_are_not_drawn_do_not_join_words(name, text, expected):
    """Texts in Arabic and Hebrew have them: after one, a word belonged to the word before it, or to none."""
    words = PieceTokenizer(KINDS[name], 512, {}).encode(text).words
    assert [text[start:end].strip("\u200e\u200f\ufeff") for start, end in words] == expected


LONG = {
    "letters": "abcdefghijklmnopqrstuvwxyz" * 40,
    "chinese": "今天天气怎么样" * 150,
    "emoji": "👨‍👩‍👧🌧" * 200,
    "blanks": " \n\t" * 400,
    "other blanks": "a\u2028\x0b\x1c" * 300,
    "words": "Wetter " * 200,
    "halves": "\ud83d\ude00\ud83d" * 350,
}


@each_marked
@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_no_long_words_are_passed_to_the_library(name, text, monkeypatch):
    """It caches the first 10,000 words for its lifetime: with 12,800 characters each, that takes 4 GB."""
    tokenizer = WordpieceTokenizer(KINDS[name], 4096)
    library, given = tokenizer._tokenizer, []

    class Listening:
        def encode(self, written):
            normalized = library.normalizer.normalize_str(written) if library.normalizer else written
            given.extend(word for word, _ in library.pre_tokenizer.pre_tokenize_str(normalized))
            return library.encode(written)

    monkeypatch.setattr(tokenizer, "_tokenizer", Listening())
    ids = tokenizer.encode(text)
    assert given and max(map(len, given)) <= 4 * 100 + 1  # byte-level BPE has up to four bytes a character
    assert tokenizer.encode_with_offsets(text)[0].tolist() == ids.tolist()
    assert tokenizer.encode_words([[text.strip()]])[0].input_ids.tolist() == tokenizer.encode(text.strip()).tolist()
    assert max(map(len, given)) <= 4 * 100 + 1


@pytest.mark.parametrize("name", ["Unigram", "Unigram, marks alone"])
@pytest.mark.parametrize("words", [["\ufdfa" * 100_000], ["\ufdfa" * 700] * 100, ["a\ufdfa "] * 5000])
def test_characters_that_normalize_to_many_cost_no_more_than_others(name, words, monkeypatch):
    """NFKC expands one to 18 characters: such a message took twenty times as long."""
    tokenizer = WordpieceTokenizer(KINDS[name], 128)
    library, given = tokenizer._tokenizer, []

    class Listening:
        def encode(self, written):
            given.append(library.normalizer.normalize_str(written))
            return library.encode(written)

        def encode_batch(self, texts):
            return [self.encode(text) for text in texts]

    monkeypatch.setattr(tokenizer, "_tokenizer", Listening())
    text = " ".join(words)
    tokenizer.encode(text)
    tokenizer.encode_all([text])
    tokenizer.encode_words([words])
    tokenizer.encode_with_offsets(tokenizer.read(text))
    assert len(given) == 4 and all(5000 < len(written) < 1.02 * 12_800 for written in given)


@each
@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_word_is_one_word_whose_pieces_lie_where_its_characters_do(name, text):
    pieces = PieceTokenizer(KINDS[name], 4096, {}).encode(text)
    assert np.all(np.diff(pieces.starts) >= 0) and np.all(np.diff(pieces.ends) >= 0)
    if text == LONG["letters"]:
        assert pieces.words == [(0, len(text))]


@each_marked
@settings(max_examples=100, deadline=None)
@given(text=MESSAGES)
@example(text="\u2581")
def test_pieces_cover_all_that_is_seen(name, text):
    _, pieces = parts_of(name, text)
    covered = np.zeros(len(text), bool)
    for start, end in zip(pieces.starts, pieces.ends):
        covered[start:end] = True
    blanks = " \u2581"  # SentencePiece writes a blank as this character, and takes it for one in a message
    seen = [not c.isspace() and c not in blanks and unicodedata.category(c)[0] not in "MC" for c in text]
    assert covered[np.flatnonzero(seen)].all()


@each
@settings(max_examples=100, deadline=None)
@given(text=MESSAGES)
def test_without_cuts_the_ids_are_the_librarys(name, text):
    if SEPARATOR not in text:
        assert WordpieceTokenizer(KINDS[name], 512).encode(text).tolist() == library(name).encode(well_formed(text)).ids


@st.composite
def annotated(draw):
    """A message with spans that begin and end with letters."""
    text = draw(st.lists(PARTS, min_size=1, max_size=8).map("".join))
    whole = [unicodedata.category(c)[0] in "LN" for c in text]
    starts = [i for i in range(len(text)) if whole[i]]
    ends = [i + 1 for i in starts if i + 1 == len(text) or unicodedata.category(text[i + 1])[0] not in "M"]
    spans, position = [], 0
    for start in starts:
        possible = [end for end in ends if end > start]
        if start >= position and possible and draw(st.booleans()):
            position = draw(st.sampled_from(possible[:5]))
            spans.append(EntitySpan(start, position, draw(st.sampled_from("ab"))))
    return text, spans


def round_trip(name, text, entities):
    tokenizer = PieceTokenizer(KINDS[name], 512, split_points_for([text], [entities], KINDS[name], before={}))
    pieces, labels = tokenizer.encode(text), entity_labels(entities)
    spans, _, lost = align_entities(entities, pieces, {label: index for index, label in enumerate(labels)})
    scheme = TagScheme(labels)
    found = scheme.spans(scheme.tags(spans, len(pieces.starts)))
    return [EntitySpan(pieces.starts[s.first], pieces.ends[s.end - 1], *labels[s.label]) for s in found], lost


@each_marked
@settings(max_examples=80, deadline=None)
@given(case=annotated())
@example(case=("Wetterbericht", [EntitySpan(0, 6, "a"), EntitySpan(6, 13, "b")]))
@example(case=("明天天气", [EntitySpan(0, 2, "a"), EntitySpan(2, 4, "b")]))
@example(case=("ᚠᚡ x", [EntitySpan(0, 1, "a"), EntitySpan(1, 2, "b")]))
@example(case=("①\n①", [EntitySpan(2, 3, "a")]))
def test_spans_come_back_as_they_were(name, case):
    text, entities = case
    assert round_trip(name, text, entities) == (entities, [])


@each_marked
def test_a_part_of_a_word_gets_no_mark(name):
    pieces = PieceTokenizer(KINDS[name], 64, {"Wettermorgen": [6]}).encode("das Wettermorgen")
    tokenizer = library(name)
    written = [tokenizer.id_to_token(index) for index in pieces.input_ids[1:-1].tolist()]
    first = list(pieces.starts).index(10)
    assert not written[first].startswith(("\u2581", "\u0120")) and not pieces.continues[first]
    assert "".join(written).lstrip("\u2581\u0120") in ("das\u2581Wettermorgen", "das\u0120Wettermorgen")


@each
@pytest.mark.parametrize(
    "text, words",
    [
        ("Wie wird das?", ["Wie", "wird", "das", "?"]),
        ("(the one)", ["(", "the", "one", ")"]),
        ("मौसम कैसा", ["मौसम", "कैसा"]),
        ("الطقس غدا؟", ["الطقس", "غدا", "؟"]),
    ],
)
def test_words(name, text, words):
    assert [text[start:end] for start, end in parts_of(name, text)[1].words] == words


@each
def test_pieces_of_scripts_without_blanks_are_words(name):
    """A byte-level piece may end inside a character; the next piece belongs to the same word."""
    _, pieces = parts_of(name, "明天天气")
    words = pieces.words
    assert len(words) > 1 and [0, *(end for _, end in words)] == [*(start for start, _ in words), 4]
    if "BPE" not in name:
        assert words == [(start, end) for start, end in zip(pieces.starts, pieces.ends) if start < end]


@each_marked
def test_a_mark_alone_has_no_length(name):
    parts, pieces = parts_of(name, "x ᚠ")
    marks = [start for start, end in zip(pieces.starts, pieces.ends) if start == end]
    assert set(marks) <= {0, 2} and "".join(dict.fromkeys(filter(None, parts))) == "xᚠ"


@each
def test_annotations_are_moved_to_whole_words(name):
    spans = [(EntitySpan(4, 9, "a"),)] + [(EntitySpan(4, 10, "a"),)] * 20
    moved = whole_words(["das Wetter morgen"] * 21, spans, KINDS[name])
    assert moved[0] == (EntitySpan(4, 10, "a"),)


@each
@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.tuples(st.text(st.sampled_from("aeß天मé🌧"), min_size=1, max_size=4), st.booleans()), max_size=5)
)
def test_rows_are_those_of_the_words(name, words):
    """Each row has the wordpieces of its word, with or without blanks between the words."""
    given_words = [JOINED + word if joined and place else word for place, (word, joined) in enumerate(words)]
    tokenizer = WordpieceTokenizer(KINDS[name], 512)
    (encoded,) = tokenizer.encode_words([given_words])
    inside = encoded.words[1:-1]
    assert encoded.words[0] == encoded.words[-1] == -1 and encoded.num_words == len(words)
    assert set(inside.tolist()) == set(range(len(words))) and np.all(np.diff(inside) >= 0)
    assert tokenizer.encode_words([given_words] * 2)[1].input_ids.tolist() == encoded.input_ids.tolist()


@each
@pytest.mark.parametrize(
    "text, unknown",
    [("ᚠ", True), ("ᚠᚡ ᚠ?", True), ("(ᚠ", True), ("? ᚠ", True), ("ᚠ Wetter", False), ("?", False), ("", False)],
)
def test_what_is_unknown_but_for_punctuation(name, text, unknown):
    """Unigram encodes an unknown word as the mark of a word and the unknown piece; byte-level BPE knows all bytes."""
    ids = WordpieceTokenizer(KINDS[name], 64).encode(text)
    found = is_unknown(ids, unknown_id(KINDS[name]), punctuation_ids(KINDS[name]))
    assert found == (unknown and "BPE" not in name)


@each_marked
def test_words_without_a_blank_between_them_are_encoded_as_in_the_text(name):
    tokenizer = WordpieceTokenizer(KINDS[name], 64)
    (joined,) = tokenizer.encode_words([["今", JOINED + "天"]])
    pieces = [library(name).id_to_token(index) for index in joined.input_ids.tolist()]
    assert sum(piece.startswith(("\u2581", "\u0120")) for piece in pieces) <= 1
    assert text_of(["Wie", "geht's", JOINED + "?"]) == "Wie geht's?"


@each
def test_the_mask_and_the_words(name):
    tokenizer = WordpieceTokenizer(KINDS[name], 64)
    assert tokenizer.mask == "<mask>"
    assert library(name).token_to_id("<mask>") in tokenizer.encode("das <mask> Wetter")
    words, vocabulary = tokenizer.words, tokenizer.vocabulary
    marks = ("", "\u2581", "\u0120")
    assert len(words) > 10 and not any(word.startswith(("\u2581", "\u0120", "##")) for word in words)
    ascii_words = [word for word in words if word.isascii()]
    assert all(words[word] in [vocabulary.get(mark + word) for mark in marks] for word in ascii_words)


def test_a_separator_in_a_message_is_unknown_to_it():
    text = f"Wet{SEPARATOR}ter"
    for name in KINDS:
        assert WordpieceTokenizer(KINDS[name], 64).encode(text).tolist() == library(name).encode("Wet\ufffdter").ids


@pytest.mark.parametrize(
    "model, message",
    [(models.WordLevel({"a": 0}, "a"), "'WordLevel' vocabulary"), (models.BPE({"a": 0}, []), "BPE .* of characters")],
)
def test_other_vocabularies_are_refused(model, message):
    tokenizer = Tokenizer(model)
    with pytest.raises(ArtifactError, match=f"{message}.*use WordPiece, Unigram or byte-level BPE"):
        WordpieceTokenizer(tokenizer.to_str(), 64)
    with pytest.raises(WeightsError, match=message):
        subword_model(tokenizer)
