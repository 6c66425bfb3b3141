import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.data.example import normal_form
from rasa_compressed_bert.data.words import composed, joined, normalised, sentence_bounds, split_words, word_bounds


def texts_of(text):
    return [word.text for word in split_words(text)]


@pytest.mark.parametrize(
    "text, words",
    [
        ("Hello, world! it's 5 o'clock.", ["Hello", ",", "world", "!", "it's", "5", "o'clock", "."]),
        ("我想订票。明天", ["我", "想", "订", "票", "。", "明", "天"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("e\u0301a b", ["e\u0301a", "b"]),
        ("0\u17b4 b", ["0\u17b4", "b"]),  # a mark of a script without spaces
        ("a 👩‍👩‍👧 b", ["a", "👩‍👩‍👧", "b"]),
        ("snake_case re-book", ["snake_case", "re-book"]),
        ("", []),
        (" \t ", []),
    ],
)
def test_words(text, words):
    assert texts_of(text) == words


@given(st.text())
def test_words_make_the_message_again(text):
    assert joined(split_words(text)) == text.strip()


@given(st.text())
def test_no_word_begins_with_a_combining_mark_of_another(text):
    for word, before in zip(split_words(text)[1:], split_words(text)):
        if unicodedata.category(word.text[0]).startswith("M") and not word.before:
            assert not before.text[-1].isalnum()


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("Great book. I liked it! Really?", ["Great book .", "I liked it !", "Really ?"]),
        ("version 3.5 is out", ["version 3 . 5 is out"]),
        ("first\nsecond", ["first", "second"]),
        ("我。你", ["我 。", "你"]),
        ("one", ["one"]),
    ],
)
def test_sentences(text, sentences):
    words = split_words(text)
    found = [" ".join(word.text for word in words[start:end]) for start, end in sentence_bounds(words)]
    assert found == sentences


@given(st.text(alphabet="ab .!?\n。"))
def test_sentences_are_all_words_in_order(text):
    words = split_words(text)
    assert [word for start, end in sentence_bounds(words) for word in words[start:end]] == words


@pytest.mark.parametrize(
    "text, words",
    [
        ("two pizzas, please!", ["two", "pizzas", ",", "please", "!"]),
        ("我要披萨。", [*"我要披萨。"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("user_name @ 12:30", ["user_name", "@", "12", ":", "30"]),
        ("日本へ2人で", ["日", "本", "へ", "2", "人", "で"]),
        (" \n", []),
        ("", []),
    ],
)
def test_bounds_of_words(text, words):
    assert [text[start:end] for start, end in word_bounds(text)] == words


def test_whitespace_that_no_word_follows_takes_linear_time():
    begun = time.process_time()
    assert texts_of("a" + 20_000 * " ") == ["a"]
    assert time.process_time() - begun < 3.0  # takes 0.01 s, but 40 s if it is read again from each of its characters


@pytest.mark.parametrize("character", ["!", "字"])
def test_a_long_text_has_a_bounded_number_of_words(character):
    assert len(word_bounds(100_000 * character)) == 10_000


@given(st.text())
def test_accents_are_composed(text):
    assert composed(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("form", [normalised, normal_form], ids=["words", "messages"])
def test_very_many_marks_take_linear_time(form):
    begun = time.process_time()
    assert form("e" + "\u0301" * 50_000 + "\u0323" * 50_000 + "\u0301").startswith("\u00e9\u0301")
    assert time.process_time() - begun < 3.0  # takes 0.2 s, but 20 s if all are sorted at once
