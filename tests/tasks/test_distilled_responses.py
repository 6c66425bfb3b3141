"""Students that select responses as their teacher does."""

import json

import numpy as np
import pytest

from rasa_compressed_bert.artifact.artifact import write_artifact
from rasa_compressed_bert.config import DistilledIntentClassifierConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.inspection.description import describe
from rasa_compressed_bert.runtime.predictors import open_predictor
from rasa_compressed_bert.tasks import distillation_data
from rasa_compressed_bert.tasks.bert_training import train_bert
from rasa_compressed_bert.tasks.distillation import train_distilled_classifier
from rasa_compressed_bert.tasks.distillation_data import response_data

pytestmark = pytest.mark.slow
WORDS = {
    "faq/weather": "weather rain sun".split(),
    "faq/food": "pizza curry spice".split(),
    "chat/bank": "bank card money".split(),
    "greet": "hello hi hey".split(),
}
FRAMES = ["what is the {}", "please the {}", "my {} today", "{} now", "how is the {}", "i will {}"]
STUDENTS = {
    "bilstm": {"embedding_size": 16, "hidden_size": 16, "dense_size": 32},
    "ngrams": {"embedding_size": 16, "buckets": 500},
    "transformer": {"num_layers": 1},
}
RATES = {"transformer": 3e-3}


def example(label, text):
    return Example(text, label.split("/")[0], response=label if "/" in label else None)


EXAMPLES = [example(label, frame.format(word)) for frame in FRAMES for label, words in WORDS.items() for word in words]
ASKED = [one for one in EXAMPLES if one.intent == "faq"]


@pytest.fixture(scope="module")
def configure(tiny_weights):
    def build(architecture="bilstm", **options):
        return DistilledIntentClassifierConfig.from_dict(
            {
                "student": {"architecture": architecture, **STUDENTS.get(architecture, {})},
                "teacher": {"model_weights": str(tiny_weights), "epochs": 15, "learning_rate": 5e-3},
                "augmentation": {"n_iter": 5},
                "learning_rate": RATES.get(architecture, 1e-2),
                **{"epochs": 5, "batch_size": 16, "max_length": 32, "validation_split": 0.2},
                **({"pruning": {"method": "none"}} if architecture == "transformer" else {}),
                **options,
            }
        )

    return build


@pytest.fixture(scope="module")
def cache():
    kept = {}

    def take(key, make):
        if key not in kept:
            kept[key] = make()
        return kept[key]

    return take


@pytest.fixture(scope="module")
def teacher(configure):
    return train_bert(EXAMPLES, configure().teacher_options())


def right(artifact):
    predictor = open_predictor(artifact)
    found = [predictor.predict(one.text).found["responses"] for one in ASKED]
    return np.mean([ranking["faq"][0][0] == one.response for one, ranking in zip(ASKED, found)])


@pytest.mark.parametrize("architecture", STUDENTS)
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_students_select_responses(configure, cache, architecture, alpha):
    config = configure(architecture, distillation={"alpha": alpha})
    artifact = train_distilled_classifier(EXAMPLES, config, cache=cache)
    manifest = json.loads(json.dumps(artifact.manifest, allow_nan=False))
    assert manifest["responses"]["labels"] == ["chat/bank", "faq/food", "faq/weather"]
    assert manifest["responses"]["temperature"] > 0 and describe(artifact)["responses"] == 3
    assert manifest["parity"]["responses"]["decisively_changed"] <= 1
    of_responses, of_intents = manifest["parity"]["responses"], manifest["parity"]
    assert 0 < of_responses["labelled"] <= of_intents["labelled"] <= len(EXAMPLES) < of_intents["messages"]
    assert right(artifact) >= 0.9
    (only,) = open_predictor(artifact).predict("my bank today").found["responses"]["chat"]
    assert only == ("chat/bank", 1.0)


def test_another_distance(configure, cache):
    config = configure(distillation={"targets": "probabilities"})
    assert right(train_distilled_classifier(EXAMPLES, config, cache=cache)) >= 0.9


def test_finetuning_goes_on_with_the_same_responses(configure, cache):
    artifact = train_distilled_classifier(EXAMPLES, configure(), cache=cache)
    again = train_distilled_classifier(EXAMPLES, configure(epochs=1), cache=cache, origin=artifact)
    assert right(again) >= 0.9
    more = [*EXAMPLES, *(example("faq/music", f"play music {word}") for word in ("now", "today"))]
    with pytest.raises(DataError, match=r"The responses are not .* New: \['faq/music'\]; removed: none"):
        train_distilled_classifier(more, configure(epochs=1), cache=cache, origin=artifact)


def test_finetuning_does_not_begin_to_select_responses(configure, cache):
    artifact = train_distilled_classifier(EXAMPLES, configure(response_selection=False), cache=cache)
    with pytest.raises(DataError, match=r"The responses are not .* New: \['chat/bank', .*; removed: none"):
        train_distilled_classifier(EXAMPLES, configure(epochs=1), cache=cache, origin=artifact)


@pytest.mark.parametrize(
    "options",
    [{"response_selection": False}, {"student": {"architecture": "spacy_textcat"}}],
    ids=["switched off", "spacy_textcat"],
)
def test_students_that_select_none(configure, options):
    config = configure(**{"epochs": 1, "augmentation": {"n_iter": 1}, **options})
    assert not config.learns_responses
    artifact = train_distilled_classifier(EXAMPLES, config)
    assert "responses" not in artifact.manifest
    assert set(open_predictor(artifact).predict("hello").found) == {"intents"}


@pytest.mark.parametrize("architecture", ["bilstm", "transformer"])
def test_a_given_teacher_that_selects_other_responses_teaches_intents_alone(configure, teacher, tmp_path, architecture):
    write_artifact(teacher, tmp_path / "teacher")
    given = {"teacher": {"model": str(tmp_path / "teacher")}}
    artifact = train_distilled_classifier(EXAMPLES, configure(architecture, **given, epochs=3))
    assert right(artifact) >= 0.8
    renamed = [
        Example(one.text, one.intent, response=one.response and one.response.replace("food", "dish"))
        for one in EXAMPLES
    ]
    artifact = train_distilled_classifier(renamed, configure(architecture, **given, epochs=1))
    assert "responses" not in artifact.manifest and "response_logits" not in artifact.manifest["outputs"]


def test_messages_without_a_label_have_the_response_that_the_teacher_selects(teacher):
    intents = teacher.manifest["labels"]
    wanted = np.array([[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [9.0, 0.0, 0.0]])  # faq, greet, chat
    intent_targets = np.concatenate([np.zeros((len(EXAMPLES), 3)), wanted]).astype(np.float32)
    response_targets = np.tile(np.array([9.0, 1.0, 2.0], np.float32), (len(EXAMPLES) + 3, 1))
    data = response_data(
        EXAMPLES, teacher, intents=intents, intent_targets=intent_targets, response_targets=response_targets
    )
    assert intents == ["chat", "faq", "greet"]
    assert data.classes[-3:].tolist() == [2, -1, 0]
    labels = [one.response and ["chat/bank", "faq/food", "faq/weather"].index(one.response) for one in EXAMPLES]
    assert data.classes[:-3].tolist() == [-1 if label is None else label for label in labels]
    assert data.of(np.array([0, len(data.classes) - 1])).classes.tolist() == [2, 0]


def test_the_work_for_responses_does_not_grow_with_messages_times_responses(teacher, monkeypatch):
    """With 20 synthetic messages for each of 10,000 messages, and 500 responses, it was 105 million calls."""
    asked = []
    monkeypatch.setattr(distillation_data, "retrieval_intent", lambda label: asked.append(label) or label.split("/")[0])
    intents, count = teacher.manifest["labels"], len(EXAMPLES) + 100
    targets = {"intent_targets": np.zeros((count, 3)), "response_targets": np.zeros((count, 3), np.float32)}
    assert response_data(EXAMPLES, teacher, intents=intents, **targets) is not None
    assert len(asked) == 3 * 3
