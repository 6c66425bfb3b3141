"""The figures and the advice of `report`, from given predictions."""

import numpy as np
import pytest
from small_archives import DENSE, NODE, PRUNED, small_artifact, word_tokenizer

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.benchmark.random_models import random_artifact
from rasa_compressed_bert.data.entities import EntityLabel, EntitySpan, TagScheme
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.inspection import asking
from rasa_compressed_bert.inspection.advice import advice
from rasa_compressed_bert.inspection.description import describe
from rasa_compressed_bert.inspection.evaluation import evaluate
from rasa_compressed_bert.runtime.entity_decoder import FoundEntity
from rasa_compressed_bert.runtime.message_predictor import Prediction


def extractor():
    """An entity extractor with random weights; `predicted` gives its predictions."""
    scheme = TagScheme((EntityLabel("dish"), EntityLabel("city")))
    entities = {"temperature": 1.0, "inside_words": False, "comma_separated": [], "cuts": {}, **scheme.to_dict()}
    random = random_artifact(PRUNED, int8=True, classes=0, tags=scheme.num_tags)
    manifest = {"max_length": 32, "dense_encoder": DENSE.to_dict(), "labels": [], "entities": entities}
    manifest = {**random.manifest, **manifest, "kind": "entity_extractor"}
    return Artifact(manifest, {**random.files, TOKENIZER: word_tokenizer()})


def test_figures_are_those_of_the_answers(predicted):
    predicted(
        {
            **{"one": ("a", 0.9), "two": ("a", 0.7), "three": ("b", 0.25), "four": ("a", 0.5), "five": (None, 0.0)},
            **{"out": ("a", 0.2), "far": ("b", 0.8)},
        }
    )
    messages = [
        LabelledMessage(text, intent)
        for text, intent in (("one", "a"), ("two", "a"), ("three", "b"), ("four", "b"), ("five", "z"))
    ]
    found = evaluate({NODE: small_artifact()}, messages, ["out", "far"])
    intents = found.intents
    assert intents.accuracy == pytest.approx(3 / 5) and intents.macro_f1 == pytest.approx((0.8 + 2 / 3 + 0.0) / 3)
    low, high = intents.interval  # Wilson: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    z, p, n = 1.959964, 0.6, 5
    middle, wide = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert low == pytest.approx((middle - wide) / (1 + z * z / n), abs=1e-5)
    assert high == pytest.approx((middle + wide) / (1 + z * z / n), abs=1e-5)
    assert [(one.name, one.mistakes, one.examples) for one in intents.weak] == [("z", 1, 1), ("b", 1, 2), ("a", 1, 2)]
    assert {(one.intent, one.predicted, one.messages, *one.texts) for one in intents.pairs} == {
        ("b", "a", 1, "four"),
        ("z", None, 1, "five"),
    }
    assert (intents.unknown, intents.unknown_messages) == (["z"], 1)
    scope = intents.scope
    assert (scope.threshold, scope.rejected, scope.found, scope.outside_messages) == (0.3, 2 / 5, 0.5, 2)
    assert scope.auroc == pytest.approx(5 / 10)  # in half of ten pairs the message in scope has the higher confidence
    assert sum(scope.inside) == pytest.approx(1.0) and scope.inside[18] == pytest.approx(1 / 5)
    assert [(one.answers, one.accuracy) for one in intents.bins] == [(1, 0), (1, 1), (1, 0), (1, 1), (1, 1)]


def test_messages_of_an_own_intent_out_of_scope_are_found(predicted):
    predicted({"one": ("a", 0.9), "two": ("out_of_scope", 0.7), "out": ("out_of_scope", 0.9)})
    messages = [LabelledMessage("one", "a"), LabelledMessage("two", "out_of_scope")]
    scope = evaluate({NODE: small_artifact()}, messages, ["out"]).intents.scope
    assert (scope.rejected, scope.found, scope.auroc) == (0.0, 1.0, 1.0)


def test_whether_the_model_knows_the_intent_out_of_scope(predicted):
    artifact = small_artifact()
    knows = Artifact({**artifact.manifest, "labels": ["a", "b", "out_of_scope"]}, artifact.files)
    predicted({"one": ("a", 0.9)})
    found = [evaluate({NODE: model}, [LabelledMessage("one", "a")]).intents.scope for model in (artifact, knows)]
    assert [scope.has_intent for scope in found] == [False, True]


def test_entities_of_one_type_are_scored_alone(predicted):
    dish, city = FoundEntity(0, 3, EntityLabel("dish"), 0.9), FoundEntity(4, 7, EntityLabel("city"), 0.9)
    predicted({"pie": (None, 0.0, dish), "pie ulm": (None, 0.0, dish, city), "or ulm": (None, 0.0)})
    spans = {"dish": EntitySpan(0, 3, "dish"), "city": EntitySpan(4, 7, "city"), "late": EntitySpan(3, 6, "city")}
    messages = [
        LabelledMessage("pie", "a", (spans["dish"],)),
        LabelledMessage("pie ulm", "a", (spans["dish"], spans["city"])),
        LabelledMessage("or ulm", "a", (spans["late"],)),
    ]
    entities = evaluate({NODE: extractor()}, messages).entities
    assert entities.f1 == pytest.approx(6 / 7) and entities.count == 4
    assert [(one.name, one.mistakes, one.examples) for one in entities.weak] == [("city", 1, 2)]
    assert entities.weak[0].f1 == pytest.approx(2 / 3)


def test_responses_are_scored_given_the_intent_and_end_to_end(monkeypatch):
    artifact = small_artifact()
    labels = ["faq/age", "faq/name", "small/joke"]
    artifact = Artifact({**artifact.manifest, "responses": {"labels": labels, "temperature": 1.0}}, artifact.files)
    best = {"how old": "age", "your age": "name", "who": "name", "call you": "name"}

    class Predictor:
        def predict(self, text):
            if text == "...":
                return Prediction({})
            intent = "other" if text == "call you" else "faq"
            faq = [(f"faq/{best.get(text, 'age')}", 0.9), ("faq/other", 0.1)]
            return Prediction({"intents": [(intent, 0.9)], "responses": {"faq": faq, "small": [("small/joke", 1.0)]}})

    monkeypatch.setattr(asking, "open_predictor", lambda artifact: Predictor())
    expected = {"how old": "age", "your age": "age", "who": "name", "call you": "name", "...": "age"}
    messages = [LabelledMessage(text, "faq", response=f"faq/{key}") for text, key in expected.items()]
    found = evaluate({NODE: artifact}, [*messages, LabelledMessage("hello", "greet")]).responses
    assert (found.messages, found.accuracy, found.end_to_end) == (5, 3 / 5, 2 / 5)
    assert [(one.name, one.mistakes, one.examples) for one in found.weak] == [("faq/age", 2, 3), ("faq/name", 1, 2)]
    assert [one.f1 for one in found.weak] == pytest.approx([2 * 1 / (3 + 1), 2 * 2 / (2 + 3)])
    assert evaluate({NODE: artifact}, [LabelledMessage("hello", "greet")]).responses is None


def test_of_two_classifiers_the_last_decides_the_intent_and_the_first_selects_the_response(monkeypatch):
    """As in Rasa, where a later component of ours replaces the intent, and keeps the selected response."""
    small = small_artifact()
    responses = {"labels": ["faq/age", "faq/name"], "temperature": 1.0}
    first, last = (Artifact({**small.manifest, "responses": responses, "place": n}, small.files) for n in (0, 1))

    class Predictor:
        def __init__(self, artifact):
            self.place = artifact.manifest["place"]

        def predict(self, text):
            best = ("faq/age", "faq/name")[self.place]
            return Prediction({"intents": [(("other", "faq")[self.place], 0.9)], "responses": {"faq": [(best, 0.9)]}})

    monkeypatch.setattr(asking, "open_predictor", Predictor)
    found = evaluate({"a0": first, "b1": last}, [LabelledMessage("how old", "faq", response="faq/age")])
    assert (found.classifier, list(found.timed)) == ("b1", ["a0", "b1"])
    assert found.intents.accuracy == found.responses.accuracy == found.responses.end_to_end == 1.0


@pytest.mark.parametrize(
    "answers, outside, calibrated, expected",
    [
        ({"hot": ("a", 1.0), "cold": ("b", 1.0)}, {}, True, ["--out-of-scope FILE"]),
        (
            {"hot": ("b", 1.0), "cold": ("b", 1.0)},
            {},
            True,
            ["1 message of an intent is taken for another one:", "calibrated on"],
        ),
        ({"hot": ("a", 0.6), "cold": ("b", 0.6)}, {}, False, ["Train with `validation_split` above 0"]),
        (
            {"hot": ("a", 0.1), "cold": ("b", 1.0)},
            {},
            True,
            ["50.0 % of the messages in scope are below"],
        ),
        ({"hot": ("a", 0.9), "cold": ("b", 0.9)}, {"why": ("a", 0.8)}, True, ["Only 0.0 %", "the threshold 0.9,"]),
        (
            {"hot": ("a", 0.99999992), "cold": ("b", 0.99999992)},
            {"why": ("a", 0.99999988)},
            True,
            ["the threshold 0.9999999,"],
        ),
    ],
    ids=["all right", "confused", "not calibrated", "rejected", "not found", "overconfident"],
)
def test_advice_follows_from_what_was_measured(predicted, answers, outside, calibrated, expected):
    predicted({**answers, **outside})
    messages = [LabelledMessage("hot", "a"), LabelledMessage("cold", "b")]
    evaluation = evaluate({NODE: small_artifact()}, messages, list(outside))
    component = {"kind": "intent_classifier", "calibrated": calibrated, "teacher": None, "layers": [], "sparsity": 0.0}
    description = {"components": {NODE: {**component, "out_of_scope": None}}}
    text = " ".join(f"{one.why} {one.step}" for one in advice(description, evaluation, tested_scope=bool(outside)))
    for part in [*expected, "With 2 test messages", "Try `pruning`"]:
        assert part in text
    assert ("Collect some" in text) == (not outside) and "has not learnt" not in text


@pytest.mark.parametrize("teacher, tells", [(None, False), ({"parameters": None}, True)])
def test_only_a_student_is_told_that_predictions_of_a_file_cannot_be_calibrated(predicted, teacher, tells):
    """`validation_split` has no effect on them."""
    predicted({"hot": ("a", 0.6)})
    artifact = small_artifact()
    manifest = {**artifact.manifest, "calibrated": False, **({"teacher": teacher} if teacher else {})}
    description = {"components": {NODE: describe(Artifact(manifest, artifact.files))}}
    steps = advice(description, evaluate({NODE: artifact}, [LabelledMessage("hot", "a")]), tested_scope=True)
    step = next(one.step for one in steps if "`validation_split` above 0" in one.step)
    assert ("without `teacher.predictions`" in step) == tells


@pytest.mark.parametrize(
    "known, unknown, step",
    [(0.1, 0.0, "or raise `out_of_scope.in_scope_recall`"), (0.9, 0.8, "Lower `out_of_scope.in_scope_recall`")],
)
def test_what_a_detector_finds_is_not_a_matter_of_the_fallback(predicted, known, unknown, step):
    predicted({"hot": ("a", known), "why": ("a", unknown)})
    evaluation = evaluate({NODE: small_artifact()}, [LabelledMessage("hot", "a")], ["why"])
    component = {"kind": "intent_classifier", "calibrated": True, "out_of_scope": {"threshold": 0.3}}
    given = advice({"components": {NODE: component}}, evaluation, tested_scope=True)
    assert step in " ".join(one.step for one in given)
    assert "FallbackClassifier" not in str(given) and "try the threshold" not in str(given)
