"""Untrusted tokenizers that may take very much time or memory are refused."""

import json

import pytest
from small_archives import word_tokenizer
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

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


def repeated(step, times):
    """A sequence of equal normalizers or pre-tokenizers."""
    sequence = normalizers.Sequence if hasattr(step, "normalize_str") else pre_tokenizers.Sequence
    return sequence([step] * times)


BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)


@pytest.mark.parametrize(
    "steps, problem",
    [
        (repeated(BYTES, 12), "replaces a character with very many others"),  # each doubles the bytes
        (repeated(normalizers.BertNormalizer(), 12), "replaces a character with very many others"),  # adds spaces
        (normalizers.Sequence([normalizers.Replace("a", "ﷺ" * 50), normalizers.NFKC()]), "very many others"),
        (repeated(normalizers.Lowercase(), 31), "has 3. steps; at most 30"),
        (repeated(pre_tokenizers.Whitespace(), 31), "has 3. steps; at most 30"),
    ],
)
def test_steps_that_make_short_texts_long_or_are_very_many_are_refused(steps, problem):
    library = Tokenizer.from_str(word_tokenizer().decode())
    part = "normalizer" if hasattr(steps, "normalize_str") else "pre_tokenizer"
    setattr(library, part, steps)
    with pytest.raises(WeightsError, match=problem):
        require_limited(library)


def test_steps_of_known_vocabularies_are_accepted():
    """Those of XLNet, whose table of SentencePiece makes at most 33 bytes, and of GPT-2."""
    library = Tokenizer.from_str(word_tokenizer().decode())
    replaced = [normalizers.Replace(old, '"') for old in ("``", "''")]
    table = normalizers.Precompiled(b"\0\0\0\0" + b"\0".join([b"a", b"b" * 33]))
    library.normalizer = normalizers.Sequence(
        [*replaced, normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), table]
    )
    require_limited(library)
    library.normalizer = normalizers.NFC()
    library.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(GPT_2), "isolated"), BYTES])
    library.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), library.post_processor])
    require_limited(library)


@pytest.mark.parametrize("name", ["unk_token", "continuing_subword_prefix", "special"])
def test_very_long_special_wordpieces_are_refused(name):
    """An unknown wordpiece of 100,000 characters took 1.3 GB for a message of 6,400 unknown words."""
    state, long = json.loads(word_tokenizer()), "#" * 101
    if name == "special":
        library = Tokenizer.from_str(json.dumps(state))
        library.post_processor = processors.BertProcessing(("[SEP]", 3), (long, 2))
    else:
        state["model"]["vocab"][long] = len(state["model"]["vocab"])
        state["model"][name] = long
        library = Tokenizer.from_str(json.dumps(state))
    with pytest.raises(WeightsError, match="more than 100 characters"):
        require_limited(library)


def test_very_long_wordpieces_of_unigram_are_refused():
    """With wordpieces of up to 2,000 characters, a message of 12,800 took two seconds, quadratically more with longer.

    GPT-2 has wordpieces of 128 characters, which take no longer than others.
    """
    pieces = [("<unk>", 0.0), ("a " * 50, -1.0)]
    require_limited(Tokenizer(models.Unigram(pieces, unk_id=0)))
    with pytest.raises(WeightsError, match="a wordpiece of Unigram, of more than 100 characters"):
        require_limited(Tokenizer(models.Unigram([*pieces, ("a " * 51, -1.0)], unk_id=0)))
    require_limited(Tokenizer(models.BPE({"<unk>": 0, "-" * 128: 1}, [])))
