"""The summary at the end of a training."""

import pytest
from small_archives import DENSE, PRUNED, SCORES, small_artifact

from rasa_compressed_bert.artifact.artifact import VIEWS, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.config import JointBertClassifierConfig, QuantizedBertFeaturizerConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.inspection.description import describe
from rasa_compressed_bert.tasks.summary import summary
from rasa_compressed_bert.tasks.watched import _expected_works

TEXTS = ["oh it is hot", "It is  cold", "it is cold", "oh oh", "oh oh", "hot"]
EXAMPLES = [Example(text, intent) for text, intent in zip(TEXTS, "abbcac")]
WEAKEST = [{"intent": "a", "f1": 0.5, "messages": 12}, {"intent": "b", "f1": 0.75, "messages": 1}]
CONFUSED = [{"intent": "a", "predicted": "c", "messages": 7, "example": 4}]


def summary_of(**changes):
    artifact = small_artifact()
    files = {name: data for name, data in artifact.files.items() if name != VIEWS or changes.get("views", True)}
    manifest = {key: value for key, value in {**artifact.manifest, **changes}.items() if value is not None}
    return summary(Artifact(manifest, files), EXAMPLES, component="Pruned", num_threads=1)


def test_every_line_has_at_most_80_columns_and_no_escape_codes():
    cross_fitted = {**small_artifact().manifest["cross_fitted"], "weakest": WEAKEST, "confused": CONFUSED}
    text = summary_of(cross_fitted=cross_fitted)
    assert max(map(len, text.splitlines())) <= 80 and text.isascii() and "\x1b" not in text
    assert text.splitlines()[0] == "Pruned is trained."
    words = " ".join(text.split())
    for part in (
        "score macro F1 71.0 %, accuracy 92.0 %, before compression; cross-fitted: 2 models tested on 40 messages "
        "that they were not trained on",
        "compression macro F1 90.0 -> 88.0 %, accuracy 92.0 -> 92.0 %, on the training messages",
        "ms per message, without Rasa (median of 6 training messages, 1 thread)",
        "out of scope confidence below 0.3; 95 % of the training messages reach it; 39 training messages are stored",
        "weakest intents a: F1 50 % on 12 messages b: F1 75 % on 1 message",
        "most confused a taken for c 7 times, as 'oh oh'",
        "training data 6 messages, 1 with several intents, 1 more than once",
        "next rasa-compressed-bert inspect models rasa test nlu --nlu TEST.yml",
    ):
        assert part in words, text


def test_responses_have_their_score():
    cross_fitted = small_artifact().manifest["cross_fitted"]
    score = {**cross_fitted["score"], "responses_accuracy": 0.5}
    text = " ".join(summary_of(cross_fitted={**cross_fitted, "score": score}).split())
    assert "accuracy 92.0 %, accuracy of responses 50.0 %, before compression" in text


@pytest.mark.parametrize("shape, what", [(DENSE, "are zero"), (PRUNED, "are zero or removed")])
def test_pruned_weights_are_counted_as_in_inspect(shape, what):
    """A student of fewer layers lacks the weights of the others, besides those that are zero."""
    artifact = small_artifact(shape=shape, int8=False, method="weight")
    tensors = tensors_from_bytes(artifact.files[WEIGHTS])
    kernel = next(name for name in tensors if name.startswith("layers.0.") and name.endswith(".kernel"))
    tensors[kernel][...] = 0
    files = {**artifact.files, WEIGHTS: tensors_to_bytes(tensors)}
    pruned = Artifact({**artifact.manifest, "config": {"pruning": {"method": "weight", "final_sparsity": 0.6}}}, files)
    described = describe(pruned)
    text = " ".join(summary(pruned, EXAMPLES, component="Pruned", num_threads=1).split())
    assert f"{100 * described['sparsity']:.0f} % of the encoder's weights {what} (weight pruning)" in text
    assert described["sparsity_is"] == what.replace("are ", "") + " weights"


def test_a_long_name_of_an_intent_is_wrapped_too():
    weakest = [{"intent": "ask_" + "x" * 100, "f1": 0.5, "messages": 12}]
    text = summary_of(cross_fitted={**small_artifact().manifest["cross_fitted"], "weakest": weakest})
    assert max(map(len, text.splitlines())) <= 80


def test_a_model_that_is_trained_further_names_no_message_of_the_first_training():
    """The new messages are others, or in another order."""
    cross_fitted = {**small_artifact().manifest["cross_fitted"], "weakest": WEAKEST, "confused": CONFUSED}
    text = summary_of(cross_fitted=cross_fitted, training_scores={"dense": SCORES, "finetuned": SCORES})
    words = " ".join(text.split())
    assert "a taken for c 7 times training data" in words and "weakest intents a: F1 50 %" in words
    assert "cross-fitted in the first training: 2 models" in words
    assert "compression" not in words.replace("before compression", ""), "the scores are of other messages"


def test_what_a_further_training_loses_when_weights_are_rounded_again():
    """After few steps, the change of most weights is below half of the distance of two 8-bit values."""
    scores = [{**SCORES, "entity_f1": f1} for f1 in (0.5, 0.83, 0.7)]
    text = summary_of(training_scores=dict(zip(("dense", "finetuned", "final"), scores)))
    assert "entity F1 83.0 -> 70.0 %, on the training messages" in " ".join(text.split())


def test_without_held_out_messages_no_score_is_claimed():
    text = summary_of(cross_fitted=None, out_of_scope=None, views=None)
    assert "not estimated: no messages were held out" in text and "weakest" not in text and "out of scope" not in text


def test_a_student_is_compared_with_its_teacher():
    text = summary_of(cross_fitted=None, student={}, validation={"student": SCORES})
    assert "against the teacher's intents, on held-out synthetic or unlabelled messages" in " ".join(text.split())


def test_a_student_without_a_score_may_have_a_calibrated_teacher():
    """Training messages are held out from models like the teacher, and other messages from the student."""
    words = " ".join(summary_of(cross_fitted=None, student={}, validation={}).split())
    assert "not estimated: no synthetic or unlabelled messages were held out" in words
    assert "not calibrated" not in words


@pytest.mark.parametrize(
    "options, count, works",
    [
        ({"epochs": 8}, 100, [2, 2, 4, 1.3 * 5, 1.3 * 3]),
        ({"epochs": 8}, 5000, [0.9 * 4, 4, 1.3 * 5, 1.3 * 3]),
        ({"epochs": 8, "validation_split": 0.0, "pruning": {"method": "none"}}, 100, [8]),
        ({"epochs": 2, "distillation": {"enabled": False}, "pruning": {"end_epoch": 2}}, 4, [1, 2]),
    ],
)
def test_expected_stages(options, count, works):
    assert _expected_works(JointBertClassifierConfig.from_dict(options), count) == pytest.approx(works)
    assert _expected_works(QuantizedBertFeaturizerConfig.from_dict({}), count) == []
