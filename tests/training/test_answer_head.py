"""Labels, loss, score and parity check of the answer head."""

import numpy as np
import pytest
import tensorflow as tf
from shipped_tokenizer import minilm_tokenizer

from rasa_compressed_bert.config import BertOptions, DistillationConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.export.task_model import TrainedOutput, _compared
from rasa_compressed_bert.heads import AnswerHead, heads_of, kind_of
from rasa_compressed_bert.heads.answer import MeasuredAnswers, window_labels
from rasa_compressed_bert.tokenization.windows import WindowTokenizer
from rasa_compressed_bert.training.objectives import DistillationLoss, LabelLoss
from rasa_compressed_bert.training.scores import Score

HEAD = AnswerHead(max_answer_length=3, stride=4)
LABELS = np.array(
    [
        [0, -1, -1, 1, 0, 2, 0, -1],  # an answer of three wordpieces
        [3, -1, -1, 0, 0, -1, -1, -1],  # no answer, and padding
        [0, -1, 3, -1, -1, -1, -1, -1],  # an answer of one wordpiece
    ],
    np.int32,
)


def expected_loss(logits, labels):
    """Cross-entropy of begin and end, over the wordpieces that may be the answer."""
    losses = []
    for rows, own in zip(logits.astype(float), labels):
        places = np.flatnonzero(own >= 0)
        for column, bit in ((0, 1), (1, 2)):
            chosen = int(np.flatnonzero(own[places] & bit)[0])
            z = rows[places, column]
            losses.append(np.log(np.exp(z).sum()) - z[chosen])
    return np.array(losses).reshape(-1, 2).mean(axis=1)


def random_logits(*size):
    return np.random.default_rng(0).normal(size=size).astype(np.float32)


def test_loss():
    logits = random_logits(3, 8, 2)
    losses = HEAD.losses(tf.constant(logits), tf.constant(LABELS), LabelLoss([HEAD]), None)
    np.testing.assert_allclose(losses, expected_loss(logits, LABELS), rtol=1e-5)


def test_a_teacher_is_followed_within_the_passage():
    logits, teacher = random_logits(2, 3, 8, 2)
    options = DistillationConfig(alpha=0.0, temperature=1.0)
    loss = DistillationLoss(None, options, [HEAD])

    def losses(soft_targets):
        return HEAD.losses(tf.constant(logits), tf.constant(LABELS), loss, tf.constant(soft_targets)).numpy()

    np.testing.assert_allclose(losses(logits), 0.0, atol=1e-5)
    assert (losses(teacher)[:1] > 0.01).all()
    elsewhere = np.where(LABELS[..., np.newaxis] >= 0, logits, teacher)  # the question and padding do not count
    np.testing.assert_allclose(losses(elsewhere), 0.0, atol=1e-5)


def test_gradients_are_finite():
    logits = tf.Variable(random_logits(3, 8, 2))
    with tf.GradientTape() as tape:
        loss = HEAD.losses(logits, tf.constant(LABELS), LabelLoss([HEAD]), None)
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(gradient).all() and (gradient[LABELS < 0] == 0).all()


@pytest.mark.parametrize(
    "places, exact, f1",
    [
        ((3, 5), 1.0, 1.0),
        ((3, 4), 0.0, 4 / 5),
        ((6, 6), 0.0, 0.0),
        ((0, 0), 0.0, 0.0),  # no answer
    ],
)
def test_score(places, exact, f1):
    logits = np.zeros((8, 2), np.float32)
    logits[places[0], 0] = logits[places[1], 1] = 9.0
    score = HEAD.score([logits], [LABELS[0]], None)
    assert score.others == {"answer_exact": exact} and score.f1 == {"answer_f1": pytest.approx(f1)}
    assert score.loss == pytest.approx(expected_loss(logits[np.newaxis], LABELS[:1])[0])


def test_score_of_no_answer():
    logits = np.zeros((8, 2), np.float32)
    logits[0] = 4.0
    assert HEAD.score([logits], [LABELS[1]], None).others == {"answer_exact": 1.0}
    assert HEAD.score([-logits], [LABELS[1]], None).others == {"answer_exact": 0.0}
    assert HEAD.score([logits], [np.full(8, -1)], None) == Score()


def test_labels_of_windows():
    passage = "Warsaw stands on the Vistula River"
    tokenizer = WindowTokenizer(minilm_tokenizer(), 10, stride=3)
    windows = tokenizer.windows(tokenizer.encode_question("What?"), tokenizer.encode_passage(passage))
    answer = passage.index("Vistula"), len(passage)
    for window in windows:
        labels = window_labels(window, answer)
        places = np.flatnonzero(labels >= 0)
        assert places.tolist() == [0, *range(window.first, window.first + len(window.starts))]
        first, last = (int(np.flatnonzero((labels & bit) * (labels > 0))[0]) for bit in (1, 2))
        if window.place_of(*answer) is None:
            assert first == last == 0
        else:
            spans = [
                (window.starts[place - window.first], window.ends[place - window.first]) for place in (first, last)
            ]
            assert (spans[0][0], spans[1][1]) == answer
    assert {window.place_of(*answer) is None for window in windows} == {False, True}
    assert window_labels(windows[0], None)[0] == 3


def test_manifest():
    manifest = HEAD.to_manifest(MeasuredAnswers(Score(), 0.5, -1.0, 0.25))
    confidence = {"slope": 0.5, "intercept": -1.0, "threshold": 0.25}
    assert manifest == {"answers": {"max_answer_length": 3, "stride": 4, **confidence}}
    assert heads_of({"labels": [], **manifest}) == (HEAD,)
    assert kind_of([HEAD]) == "answer_extractor"
    assert HEAD.to_manifest(None)["answers"]["slope"] == 1.0


def test_messages_have_no_answers():
    assert AnswerHead.learnt_from([Example("hello", "greet")], BertOptions(), "") is None
    assert not AnswerHead.is_asked_for(BertOptions())


def test_an_export_is_compared_over_the_wordpieces():
    rng = np.random.default_rng(0)
    logits = [rng.normal(size=(length, 2)) * 3 for length in (9, 4, 12) * 10]
    report = _compared(TrainedOutput("answer_logits", logits, 1.0), logits)
    assert (report["messages"], report["changed"], report["distance"]) == (60, 0, 0.0)
    shifted = [rows + 7.0 for rows in logits]  # shifted logits are the same distributions
    assert _compared(TrainedOutput("answer_logits", logits, 1.0), shifted)["distance"] < 1e-9
    with pytest.raises(ExportError, match="differs"):
        _compared(TrainedOutput("answer_logits", logits, 1.0), [rows[::-1] for rows in logits])
