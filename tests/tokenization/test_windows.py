"""Windows cover their passage, and every wordpiece has its offsets in the passage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped_tokenizer import minilm_tokenizer
from subword_harness import KINDS
from tokenizers import Tokenizer, processors

from rasa_compressed_bert.tokenization.windows import WindowTokenizer

MINILM = minilm_tokenizer()
QUESTION = "What is the capital of Poland?"
LONG = " ".join(f"word {number} of a long passage, and" for number in range(60))
TEXTS = st.text(
    st.one_of(st.sampled_from("aé e\u0301 🌍👨‍👩‍👧 今天,.-’\n[SEP]"), st.characters(exclude_categories=())), max_size=60
)


def windows_of(passage, *, question=QUESTION, max_length=384, stride=128, json=MINILM):
    tokenizer = WindowTokenizer(json, max_length, stride=stride)
    return tokenizer.windows(tokenizer.encode_question(question), tokenizer.encode_passage(passage))


def paired(kind):
    tokenizer = Tokenizer.from_str(KINDS[kind])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer.to_str()


PAIRED = {"BERT": MINILM, **{kind: paired(kind) for kind in KINDS}}


def test_one_window_is_what_the_library_encodes():
    passage = "Warsaw is the capital of Poland: the river is the Vistula."
    (window,) = windows_of(passage)
    library = Tokenizer.from_str(MINILM)
    library.no_padding()
    encoding = library.encode(QUESTION, passage)
    assert window.input_ids.tolist() == encoding.ids
    assert window.first == encoding.sequence_ids.index(1)
    places = [offset for offset, own in zip(encoding.offsets, encoding.sequence_ids) if own == 1]
    assert list(zip(window.starts, window.ends)) == places


def test_windows_overlap_and_cover_the_passage():
    windows = windows_of(LONG, max_length=64, stride=20)
    room = 64 - 3 - len(windows[0].input_ids[: windows[0].first - 2])
    assert all(len(window.input_ids) == 64 for window in windows[:-1]) and len(windows[-1].input_ids) <= 64
    starts = np.concatenate([windows[0].starts, *(window.starts[room - 20 :] for window in windows[1:])])
    whole = windows_of(LONG, max_length=512)[0]
    assert starts.tolist() == whole.starts.tolist()
    assert windows[-1].ends[-1] == len(LONG)


def test_a_stride_larger_than_a_window_leaves_nothing_out():
    covered = {start for window in windows_of(LONG, max_length=32, stride=500) for start in window.starts.tolist()}
    assert covered == set(windows_of(LONG, max_length=512)[0].starts.tolist())


def test_a_question_has_half_of_a_window():
    windows = windows_of("Warsaw is the capital.", question=LONG, max_length=32)
    assert windows[0].first == 1 + (32 - 3) // 2 + 1
    assert windows[0].ends[-1] == 22


@pytest.mark.parametrize("question, passage", [("", "Warsaw"), ("What?", ""), ("\u200b", "Warsaw"), ("What?", " \n")])
def test_nothing_to_read(question, passage):
    assert windows_of(passage, question=question) == []


def test_a_passage_of_one_word():
    (window,) = windows_of("Warsaw")
    assert (window.starts.tolist(), window.ends.tolist()) == ([0], [6])
    assert window.place_of(0, 6) == (0, 0)


def test_a_separator_in_a_text_is_none():
    windows = windows_of("Warsaw [SEP] is [CLS] it", question="What [SEP] is it?")
    assert np.flatnonzero(windows[0].input_ids == 102).tolist() == [windows[0].first - 1, len(windows[0].input_ids) - 1]


@pytest.mark.parametrize(
    "passage, span",
    [
        ("play some jazz now", "some jazz"),
        ("cafe\u0301 zoe\u0308 bar", "cafe\u0301"),
        ("I ❤️ 👨‍👩‍👧 and 🌶🔥", "👨‍👩‍👧"),
        ("今日我很热", "日我"),
        ("it is 1,000.50 euros", "1,000.50"),
    ],
)
@pytest.mark.parametrize("kind", ["BERT", "byte-level BPE", "Unigram"])
def test_place_of_a_span(passage, span, kind):
    (window,) = windows_of(passage, json=PAIRED[kind])
    start = passage.index(span)
    first, last = window.place_of(start, start + len(span))
    assert passage[window.starts[first] : window.ends[last]] == span


def test_a_span_that_is_not_all_in_a_window():
    first, *_, last = windows_of(LONG, max_length=64, stride=20)
    assert first.place_of(0, len(LONG)) is last.place_of(0, 4) is None
    assert first.place_of(5, 6) is not None


@settings(max_examples=60)
@given(TEXTS, st.sampled_from(list(PAIRED)), st.integers(12, 40), st.integers(1, 30))
def test_places_are_in_the_passage(passage, kind, max_length, stride):
    json = PAIRED[kind]
    windows = windows_of(passage, question="wie?", json=json, max_length=max_length, stride=stride)
    seen = {}
    for window in windows:
        assert len(window.input_ids) <= max_length
        assert window.first + len(window.starts) < len(window.input_ids)
        assert (window.starts >= 0).all() and (window.ends <= len(passage)).all()
        assert (window.starts <= window.ends).all()
        seen.update(zip(window.starts.tolist(), window.ends.tolist()))
    for whole in windows_of(passage, question="wie?", json=json, max_length=10_000)[:1]:
        assert set(whole.starts.tolist()) == set(seen)
