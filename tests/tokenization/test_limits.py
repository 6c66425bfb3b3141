"""Untrusted tokenizers: regular expressions that may take very much time are refused."""

import json

import pytest
from small_archives import word_tokenizer
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.tokenization.subwords.limits import require_limited

GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def tokenizer(expression, *, in_normalizer):
    """A tokenizer with an expression in its normalizer, or in its pre-tokenizer."""
    library = Tokenizer.from_str(word_tokenizer().decode())
    if in_normalizer:
        library.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(expression), " ")])
    else:
        library.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(expression), "isolated")])
    return library


@pytest.mark.parametrize("in_normalizer", [True, False])
@pytest.mark.parametrize(
    "expression",
    [
        *[" {2,}", r"\s+", "[\x01-\x08\\\x0b]", r"\d", ".", r"[^\[\]a]?", r"\.|\p{N}{1,3}"],
        *[r"[^\r\n\p{L}]?\p{L}+", GPT_2],
    ],
)
def test_expressions_of_known_vocabularies_are_accepted(expression, in_normalizer):
    require_limited(tokenizer(expression, in_normalizer=in_normalizer))


@pytest.mark.parametrize("in_normalizer", [True, False])
@pytest.mark.parametrize(
    "expression",
    [
        *["(a+)+c", "a+b", "a*a*b", "(a|a)*c", "a{1,9999}b", "a|b+c", "(?=a+)b", "a+(?!a)"],
        *["[ab]?" * 22 + "[ab]{22}", "a?a?aa", "a{20000}", "|".join(map(str, range(1000))), r"a\g<0>?b"],
    ],
)
def test_expressions_that_may_take_very_long_are_refused(expression, in_normalizer):
    with pytest.raises(WeightsError, match="may take very much time"):
        require_limited(tokenizer(expression, in_normalizer=in_normalizer))


def test_only_words_of_limited_length_are_split():
    library = Tokenizer.from_str(word_tokenizer().decode())
    library.model.max_input_chars_per_word = 200
    require_limited(library)
    library.model.max_input_chars_per_word = 10**9  # a word of 4,000 characters takes seven seconds, cubically more
    with pytest.raises(WeightsError, match="words of up to 1000000000 characters .* very much time"):
        require_limited(library)


def test_tokenizers_without_normalizer_and_pre_tokenizer():
    state = {**json.loads(word_tokenizer()), "normalizer": None, "pre_tokenizer": None}
    require_limited(Tokenizer.from_str(json.dumps(state)))
