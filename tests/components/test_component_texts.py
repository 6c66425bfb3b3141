"""Whatever text arrives, a component answers quickly with a well-formed prediction and never raises."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from component_harness import EXAMPLES, MESSAGES, assert_well_formed, predict

NOTHING_TO_READ = {
    "empty": "",
    "blank": " \t \r\n ",
    "no-break spaces": "\u00a0\u2003\u3000",
    "zero width": "\u200b\u200c\u200d\ufeff\u2060",
    "NUL": "\x00",
    "control": "\x01\x02\x1b\x7f\x85",
    "lone surrogate": "\ud800",
    "replacement character": "\ufffd",
}
SOMETHING_TO_READ = {
    "emoji": "😀🔥🌶️",
    "emoji joined by zero width": "👩‍👩‍👧‍👦",
    "right to left": "\u202eשלום עולם مرحبا\u202c",
    "combining": "e\u0301" * 5 + "Z\u0351\u0352\u0353",
    "Chinese": "今天很热",
    "NUL within": "oh it\x00 is hot\x00",
    "control within": "hello\x07\x1b[31m",
    "zero width within": "he\u200bllo",
    "lone surrogates within": "hello \udc00 it is \ud83d hot",
    "surrogate pair": "hot \ud83d\ude00",
    "noncharacter": "\ufffe\uffff hot",
    "unknown words": "zyzzyva qwxq ßðþ łłł",
    "special wordpieces": "[CLS] [SEP] [PAD] [MASK] [UNK]",
    "only padding": "[PAD]",
    "markup": '<b>hot</b> {{7*7}} %s %n /greet{"a": 1}',
    "one character": "a",
    "punctuation": "?!...",
}
LONG = {
    "100,000 characters of words": "oh it is hot " * 7_700,
    "100,000 characters of one word": "x" * 100_000,
    "100,000 characters of emoji": "🔥" * 100_000,
    "100,000 characters of zero width": "\u200b" * 100_000,
    "100,000 lone surrogates": "\ud800" * 100_000,
}


@pytest.mark.parametrize("text", NOTHING_TO_READ.values(), ids=NOTHING_TO_READ.keys())
def test_text_without_a_wordpiece_is_no_intent(trained, text):
    (prediction,) = predict(trained.component, [text])
    assert prediction["intent"] == {"name": None, "confidence": 0.0}
    assert prediction["intent_ranking"] == []


@pytest.mark.parametrize("text", SOMETHING_TO_READ.values(), ids=SOMETHING_TO_READ.keys())
def test_any_other_text_gets_an_intent(trained, text):
    (prediction,) = predict(trained.component, [text])
    assert_well_formed(prediction, labels=EXAMPLES)
    assert prediction["intent"]["name"] in EXAMPLES


@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
def test_long_text_is_answered_quickly(trained, text):
    start = time.perf_counter()
    (prediction,) = predict(trained.component, [text])
    assert time.perf_counter() - start < 5
    assert_well_formed(prediction, labels=EXAMPLES)


def test_long_text_is_what_its_beginning_is(trained):
    beginning, whole = predict(trained.component, ["oh it is hot " * 100, "oh it is hot " * 7_700])
    assert beginning["intent_ranking"] == whole["intent_ranking"]


def test_case_accents_and_control_characters_do_not_matter(trained):
    """The tokenizer of the weights is an uncased one; it drops accents and control characters."""
    plain, *others = predict(trained.component, ["hello you", "HELLO You", "héllo you", "hel\x00lo \u200byou"])
    assert [other["intent_ranking"] for other in others] == [plain["intent_ranking"]] * 3


def test_threads_that_parse_at_once_do_not_disturb_each_other(trained):
    texts = [*MESSAGES, *NOTHING_TO_READ.values(), *SOMETHING_TO_READ.values(), "oh it is hot " * 1_000] * 10
    alone = predict(trained.component, texts)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda part: predict(trained.component, part), [texts, texts[::-1]])
    assert first == alone
    assert second == alone[::-1]
