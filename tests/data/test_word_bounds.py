"""Words of a text without a tokenizer."""

import pytest

from rasa_compressed_bert.data.word_bounds import word_bounds


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
def test_words(text, words):
    assert [text[start:end] for start, end in word_bounds(text)] == words


@pytest.mark.parametrize("character", ["!", "字"])
def test_a_long_text_has_a_bounded_number_of_words(character):
    assert len(word_bounds(100_000 * character)) == 10_000
