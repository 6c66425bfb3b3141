"""Wordpieces of any text equal those of transformers."""

import base64
import json
import logging
import os
import subprocess
import sys
import tracemalloc
from contextlib import nullcontext

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped_tokenizer import minilm_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.models.pretrained import local_folder
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer, well_formed

MAX_LENGTH = 24
REFERENCE = transformers.BertTokenizerFast.from_pretrained(str(local_folder("all-MiniLM-L6-v2")))
JSON = REFERENCE.backend_tokenizer.to_str()
TOKENIZER = WordpieceTokenizer(JSON, MAX_LENGTH)

PADDING = {
    "strategy": {"Fixed": 128},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "[PAD]",
}

TEXTS = {
    "plain": "oh it is hot",
    "mixed case and accents": "Crème BRÛLÉE, por favor!",
    "two words": "don't  stop",
    "empty": "",
    "blank": " \t\n\u3000 ",
    "emoji": "🌶🔥😀👩‍👩‍👧",
    "zero-width": "h\u200bo\u200dt\ufeff",
    "only zero-width": "\u200b\u200d\ufeff",
    "right to left": "\u202eمرحبا بالعالم\u202c שלום",
    "control": "a\x00b\x01c\x1b[0m\x7f",
    "only NUL": "\x00",
    "chinese": "今天天气很热",
    "unknown": "\U0001f9ff\u16a0\u16a1",
    "noncharacters": "\uffff\ufffe\U0010ffff",
    "special": "[CLS] [MASK] [SEP] [PAD]",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_equals_transformers(text):
    expected = REFERENCE(text, truncation=True, max_length=MAX_LENGTH)["input_ids"]
    assert TOKENIZER.encode(text).tolist() == expected
    assert TOKENIZER.encode_all([text])[0].tolist() == expected


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_equals_transformers_on_any_text(text):
    assert TOKENIZER.encode(text).tolist() == REFERENCE(text, truncation=True, max_length=MAX_LENGTH)["input_ids"]


@pytest.mark.parametrize("name", ["empty", "blank", "only zero-width", "only NUL"])
def test_nothing_has_the_two_special_wordpieces_alone(name):
    assert len(TOKENIZER.encode(TEXTS[name])) == 2


def test_ids_are_64_bit():
    assert TOKENIZER.encode("hot").dtype == np.int64
    assert TOKENIZER.encode_all(["hot"])[0].dtype == np.int64


@pytest.mark.parametrize("lone", ["\ud800", "\udfff", "hot \ud83c", "\udf36 hot", "\udf36\ud83c"])
def test_lone_surrogates_are_replaced(lone):
    replaced = lone.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert "\ufffd" in replaced
    assert TOKENIZER.encode(lone).tolist() == TOKENIZER.encode(replaced).tolist()
    assert TOKENIZER.encode_all([lone, "hot"])[0].tolist() == TOKENIZER.encode(replaced).tolist()


def test_surrogate_pairs_are_characters():
    assert well_formed("hot \ud83c\udf36!") == "hot \U0001f336!"
    assert TOKENIZER.encode("hot \ud83c\udf36").tolist() == TOKENIZER.encode("hot \U0001f336").tolist()


@given(st.text())
def test_well_formed_text_is_left_as_it_is(text):
    assert well_formed(text) is text


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=20))
def test_any_python_string_becomes_well_formed(text):
    result = well_formed(text)
    result.encode("utf-8")
    assert well_formed(result) == result


def test_long_message_is_cut_at_its_end():
    ids = TOKENIZER.encode("hot " * 25_000)
    assert len(ids) == MAX_LENGTH
    assert ids[0] == REFERENCE.cls_token_id and ids[-1] == REFERENCE.sep_token_id
    assert ids[1:-1].tolist() == [REFERENCE.convert_tokens_to_ids("hot")] * (MAX_LENGTH - 2)


def test_100_000_characters_without_a_space():
    assert TOKENIZER.encode("x" * 100_000).tolist() == [
        REFERENCE.cls_token_id,
        REFERENCE.unk_token_id,
        REFERENCE.sep_token_id,
    ]


LONG = {
    "words": "hot " * 250_000,
    "blanks": " " * 1_000_000,
    "one word": "x" * 1_000_000,
    "chinese": "天" * 1_000_000,
    "punctuation": "!" * 1_000_000,
    "marks": "e" + "\u0301" * 1_000_000,
    "lone surrogates": "\ud800" * 1_000_000,
}
READ = 100 * MAX_LENGTH


class Counting:
    """The library's tokenizer, which counts the characters that it gets."""

    def __init__(self, library):
        self._library, self.characters = library, 0

    def encode(self, text, **options):
        self.characters += sum(map(len, text))
        return self._library.encode(text, **options)

    def encode_batch(self, texts, **options):
        self.characters += sum(len(part) for text in texts for part in text)
        return self._library.encode_batch(texts, **options)


@pytest.fixture
def counted(monkeypatch):
    counting = Counting(TOKENIZER._tokenizer)
    monkeypatch.setattr(TOKENIZER, "_tokenizer", counting)
    return counting


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_message_costs_no_more_than_a_shorter_one(counted, text):
    """At most 100 characters per wordpiece are read, as a longer word is unknown anyway."""
    expected = TOKENIZER.encode(text[: 2 * READ]).tolist()
    for encode in (
        lambda: TOKENIZER.encode(text),
        lambda: TOKENIZER.encode_all([text])[0],
        lambda: TOKENIZER.encode_words([[text]])[0].input_ids,
        lambda: TOKENIZER.encode_words([["x"] * 1_000_000])[0].input_ids,
        lambda: TOKENIZER.encode_words([[""] * 1_000_000])[0].input_ids,
    ):
        counted.characters = 0
        ids = encode()
        assert counted.characters <= READ and len(ids) <= MAX_LENGTH
    assert TOKENIZER.encode(text).tolist() == expected


def test_words_that_are_not_read_have_rows_of_zeros_and_cost_nothing():
    words = TOKENIZER.encode_words([["hot"] * 200_000])[0]
    tracemalloc.start()
    try:
        features = words.pooled(np.ones((len(words.input_ids), 1), np.float32))
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert features.shape == (200_000, 1) and features.sum() == MAX_LENGTH - 2
    assert largest < 3 * features.nbytes


def test_one_message_starts_no_threads():
    """A serving process may fork; threads would stay behind, holding their locks."""
    code = """
import sys, psutil
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
tokenizer, process = WordpieceTokenizer(sys.stdin.read(), 24), psutil.Process()
for messages in ([["hot"]], [["hot"], ["it", "is"]] * 100):
    before = process.num_threads()
    tokenizer.encode_words(messages)
    print(process.num_threads() - before)
"""
    environment = {**os.environ, "RAYON_NUM_THREADS": "3", "TOKENIZERS_PARALLELISM": "true"}
    printed = subprocess.run(
        [sys.executable, "-c", code], input=JSON, capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert printed.split() == ["0", "3"]


def warnings_of(caplog, texts, tokenizer=TOKENIZER):
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="rasa_compressed_bert"):
        encoded = tokenizer.encode_all(texts)
    return encoded, [record.getMessage() for record in caplog.records]


def test_one_warning_counts_what_was_cut(caplog):
    encoded, messages = warnings_of(caplog, ["hot " * 30, "hot", "hot " * 22, "hot " * 23, "hot " * 100])
    assert [len(ids) for ids in encoded] == [24, 3, 24, 24, 24]
    assert len(messages) == 1
    assert messages[0].startswith("3 of 5 messages are longer than max_length: 24 wordpieces; the model does not")


def test_no_warning_when_all_fits(caplog):
    assert warnings_of(caplog, ["hot " * 22, ""])[1] == []


def test_no_messages(caplog):
    assert warnings_of(caplog, []) == ([], [])


def test_shortest_max_length():
    assert len(WordpieceTokenizer(JSON, 3).encode("hot hot")) == 3


def test_padding_that_was_saved_with_the_weights_is_off():
    saved = {**json.loads(JSON), "padding": PADDING}
    assert len(WordpieceTokenizer(json.dumps(saved), 128).encode("hot")) == 3


@pytest.mark.parametrize("damaged", ["", "{", "null", "{}", JSON[: len(JSON) // 2], JSON.replace('"WordPiece"', '"X"')])
def test_what_is_no_tokenizer_is_refused(damaged):
    with pytest.raises(ArtifactError, match="tokenizer cannot be read"):
        WordpieceTokenizer(damaged, MAX_LENGTH)


def charsmap(replacement):
    """SentencePiece's table with one entry: an index, which is a double-array trie, and the replacement of "b"."""
    units = np.zeros(512, "<u4")
    units[ord("b")] = ord("b") | 1 << 8 | (ord("b") ^ 300) << 10  # a leaf whose value, at place 300, is 0
    table = units.nbytes.to_bytes(4, "little") + units.tobytes() + replacement.encode() + b"\0"
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()}


@pytest.mark.parametrize("step", [charsmap("bc" * 100), {"type": "Prepend", "prepend": "bc" * 100}])
def test_a_tokenizer_with_a_table_or_a_prefix_that_makes_a_message_very_long_is_refused(step):
    """With a table of 30 kB, a message of 1,000 characters took 5 GB."""
    state = {**json.loads(minilm_tokenizer()), "normalizer": step}
    assert len(Tokenizer.from_str(json.dumps(state)).normalizer.normalize_str("b")) >= 200
    with pytest.raises(ArtifactError, match="a character with very many others"):
        WordpieceTokenizer(json.dumps(state), 16)


@pytest.mark.parametrize("step", [charsmap("bc"), {"type": "Prepend", "prepend": "\u2581"}])
def test_a_tokenizer_with_a_usual_table_or_prefix_is_read(step):
    WordpieceTokenizer(json.dumps({**json.loads(minilm_tokenizer()), "normalizer": step}), 16)


CLS, SEP = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("[CLS]", "[SEP]"))
REPEATED = [CLS, *[{"Sequence": {"id": "A", "type_id": 0}}] * 2, SEP]
MANY = {"id": "[SEP]", "ids": [102] * 1000, "tokens": ["[SEP]"] * 1000}


@pytest.mark.parametrize("changed", [{"single": REPEATED}, {"special_tokens": {"[CLS]": MANY, "[SEP]": MANY}}, None])
def test_a_tokenizer_that_adds_more_than_one_wordpiece_at_each_end_is_refused(changed):
    """Time and memory of attention are quadratic, and what a tokenizer adds is not truncated."""
    state = json.loads(minilm_tokenizer())
    ends = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 101), ("[SEP]", 102)])
    template = {**json.loads(ends.__getstate__()), **(changed or {})}
    for processor in (template, {"type": "Sequence", "processors": [template]}):
        state["post_processor"] = processor
        with pytest.raises(ArtifactError, match="other wordpieces") if changed else nullcontext():
            WordpieceTokenizer(json.dumps(state), 16)


@pytest.mark.parametrize("replacements", [["b " * 100], ["bb"] * 7])
def test_a_tokenizer_that_makes_a_short_message_very_long_is_refused(replacements):
    """A model may be untrusted: 3,200 characters took 10 GB if each was replaced by 200,000."""
    state = json.loads(minilm_tokenizer())
    steps = [{"type": "Replace", "pattern": {"String": "b"}, "content": content} for content in replacements]
    for count, refused in ((len(steps), True), (0, False)):
        state["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFKC"}, *steps[:count]]}
        with pytest.raises(ArtifactError, match="a character with very many others") if refused else nullcontext():
            WordpieceTokenizer(json.dumps(state), 16)


def test_the_smallest_max_length_with_a_vocabulary_of_single_characters():
    """Whether one wordpiece is added at each end is seen without truncation."""
    library = Tokenizer(models.Unigram([("<s>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), ("b", -3.0)], 2))
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    ends = [("<s>", 0), ("</s>", 1)]
    library.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    assert WordpieceTokenizer(library.to_str(), 3).encode("b b").tolist() == [0, 3, 1]
