import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped_tokenizer import minilm_tokenizer

from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.answer_decoder import END, START, AnswerDecoder
from rasa_compressed_bert.tokenization.windows import Window, WindowTokenizer

JSON = minilm_tokenizer()
ANSWERS = {"max_answer_length": 4, "slope": 1.0, "intercept": 0.0, "threshold": 0.5}
PASSAGE = "Warsaw stands on the Vistula River in Poland"
WORDS = st.text("aé e\u0301🌍今 ,.-", max_size=40)


def windows_of(passage, *, max_length=64, stride=30):
    tokenizer = WindowTokenizer(JSON, max_length, stride=stride)
    return tokenizer.windows(tokenizer.encode_question("What?"), tokenizer.encode_passage(passage))


def logits_for(window, start, end, *, size=5.0, null=0.0):
    logits = np.zeros((len(window.input_ids), 2), np.float32)
    first, last = window.place_of(start, end)
    logits[window.first + first, START] = logits[window.first + last, END] = size
    logits[0] = null
    return logits


def best(windows, logits, **changed):
    return AnswerDecoder({**ANSWERS, **changed}).best_span(windows, logits)


def test_the_span_with_the_largest_logits():
    (window,) = windows_of(PASSAGE)
    start = PASSAGE.index("Vistula")
    span = best([window], [logits_for(window, start, start + 13, null=1.5)])
    assert PASSAGE[span.start : span.end] == "Vistula River"
    assert (span.window, span.margin) == (0, pytest.approx(10.0 - 3.0))


def test_an_answer_is_no_longer_than_allowed():
    (window,) = windows_of(PASSAGE)
    logits = logits_for(window, 0, len(PASSAGE))
    assert best([window], [logits], max_answer_length=4).margin == 5.0
    assert best([window], [logits], max_answer_length=20).margin == 10.0


def test_a_length_beyond_the_window_costs_no_memory():
    (window,) = windows_of(PASSAGE)
    span = best([window], [logits_for(window, 0, len(PASSAGE))], max_answer_length=10**15)
    assert span.margin == 10.0


def test_an_answer_ends_after_it_begins():
    (window,) = windows_of("Warsaw Vistula")
    logits = np.zeros((len(window.input_ids), 2), np.float32)
    logits[window.first + 1, START] = logits[window.first, END] = 5.0
    span = best([window], [logits])
    assert (span.start, span.end) in [(0, 6), (7, 14)] and span.margin == 5.0


def test_question_and_special_wordpieces_are_no_answer():
    (window,) = windows_of("Warsaw")
    logits = np.full((len(window.input_ids), 2), 9.0, np.float32)
    logits[window.first] = 1.0
    assert best([window], [logits])[:3] == (0, 0, 6)


def test_answers_are_whole_words():
    (window,) = windows_of("antidisestablishmentarianism of it")
    assert len(window.starts) > 5 and not window.begins[1]
    logits = np.zeros((len(window.input_ids), 2), np.float32)
    logits[window.first + 1] = 3.0  # a wordpiece inside the first word
    logits[window.first, START] = 1.0
    span = best([window], [logits], max_answer_length=10)
    assert (span.start, span.end) == (0, 28) and span.margin == 1.0


def test_an_answer_begins_with_a_character():
    """Multilingual weights have an empty wordpiece among more than 100 blanks, as of an HTML tag."""
    (window,) = windows_of("  Warsaw")
    logits = np.full((len(window.input_ids) + 1, 2), 5.0)
    logits[0] = logits[window.first + 1, START] = 0.0
    window = Window(
        np.append(window.input_ids, 0), window.first, np.array([1, 2]), np.array([1, 8]), *np.ones((2, 2), bool)
    )
    assert best([window], [logits])[1:] == (2, 8, 5.0)


def test_windows_are_compared_by_their_margins():
    windows = windows_of(PASSAGE * 5, max_length=32, stride=10)
    logits = [np.full((len(window.input_ids), 2), 50.0, np.float32) for window in windows]
    logits[1][0] = 49.0
    assert best(windows, logits)[0] == 1


def test_no_windows():
    assert best([], []) is None


@pytest.mark.parametrize("margin, confidence", [(0.0, 1 / (1 + np.exp(1))), (2.0, 0.5), (1e6, 1.0), (-1e6, 0.0)])
def test_confidence(margin, confidence):
    decoder = AnswerDecoder({**ANSWERS, "slope": 0.5, "intercept": -1.0})
    assert decoder.confidence(margin) == pytest.approx(confidence)


@pytest.mark.parametrize("logits", [np.zeros((3, 2)), np.zeros((8, 3)), "nan"])
def test_invalid_logits_are_refused(logits):
    windows = windows_of("Warsaw")
    if isinstance(logits, str):
        logits = np.full((len(windows[0].input_ids), 2), np.nan)
    with pytest.raises(ArtifactError, match="Train it again"):
        best(windows, [logits])


@pytest.mark.parametrize("changed", [{"slope": 0.0}, {"slope": float("nan")}, {"max_answer_length": 0}])
def test_invalid_manifest_entries_are_refused(changed):
    with pytest.raises(ArtifactError, match="Train it again"):
        AnswerDecoder({**ANSWERS, **changed})


@settings(max_examples=40)
@given(WORDS, st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(10, 30))
def test_the_best_of_all_spans(passage, seed, longest, max_length):
    """The same span as an exhaustive search finds, in the original text."""
    windows = windows_of(passage, max_length=max_length, stride=7)
    rng = np.random.default_rng(seed)
    logits = [rng.normal(size=(len(window.input_ids), 2)) for window in windows]
    expected = {}
    for number, (window, rows) in enumerate(zip(windows, logits)):
        for first in np.flatnonzero(window.begins & (window.ends > window.starts)):
            for last in range(first, min(first + longest, len(window.starts))):
                if window.finishes[last] and window.ends[last] > window.starts[last]:
                    margin = rows[window.first + first, START] + rows[window.first + last, END] - rows[0].sum()
                    expected[number, window.starts[first], window.ends[last]] = margin
    span = best(windows, logits, max_answer_length=longest)
    if span is None:
        assert not expected
        return
    assert span.margin == pytest.approx(max(expected.values()))
    assert expected[span[:3]] == pytest.approx(span.margin)
    answer = passage[span.start : span.end]
    assert answer and answer == answer.strip()
