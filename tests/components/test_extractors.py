"""Rasa knows our extractors: its validator, including that they learn roles and groups, and `rasa test nlu`."""

import subprocess
import sys
import warnings

import pytest
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.graph_components.validators.default_recipe_validator import TRAINABLE_EXTRACTORS, DefaultV1RecipeValidator
from rasa.nlu import test as rasa_test
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.nlu.tokenizers.tokenizer import Token
from rasa.shared.data import TrainingType
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

import rasa_compressed_bert
from rasa_compressed_bert.components.extractors import known_to_rasa, selects_responses

CITY = {"start": 0, "end": 4, "value": "rome", "entity": "city", "role": "from", "group": "1"}
DATA = TrainingData([Message.build(f"rome {index}", f"{index % 2}", [CITY]) for index in range(4)])
OURS = ["BertEntityExtractor", "JointBertClassifier"]


def warnings_of(*pipeline, data=DATA):
    """The warnings of Rasa's validator before training."""
    config = {"language": "en", "pipeline": [{"name": name} for name in pipeline], "policies": []}
    graph = DefaultV1Recipe().graph_config_for_recipe(config, {}, training_type=TrainingType.NLU)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        for name in pipeline:
            if name.startswith("rasa_compressed_bert"):  # as on import, whose warning filter pytest replaces
                component = DefaultV1Recipe._from_registry(name).clazz
                register = known_to_rasa if issubclass(component, EntityExtractorMixin) else selects_responses
                register(component)
        DefaultV1RecipeValidator(graph.train_schema)._validate_nlu(data)
    assert len(set(TRAINABLE_EXTRACTORS)) == len(TRAINABLE_EXTRACTORS)
    return "\n".join(str(warning.message) for warning in caught)


@pytest.mark.parametrize("name", OURS)
def test_nothing_is_said_of_a_pipeline_with_our_extractor(name):
    assert warnings_of(f"rasa_compressed_bert.{name}") == ""


def test_a_pipeline_without_an_extractor_is_warned_of():
    found = warnings_of("WhitespaceTokenizer", "CountVectorsFeaturizer", "LogisticRegressionClassifier")
    assert "does not include an entity extractor" in found and "roles/groups" in found


def test_two_extractors_that_do_the_same_are_warned_of():
    found = warnings_of("WhitespaceTokenizer", "CRFEntityExtractor", "rasa_compressed_bert.BertEntityExtractor")
    assert "multiple entity extractors that do the same job" in found and "BertEntityExtractor" in found


def test_responses_that_our_classifier_selects_need_no_selector_of_rasas():
    data = TrainingData([Message.build(f"who are you {index}", f"faq/{index % 2}") for index in range(4)])
    validator = "WhitespaceTokenizer", "CountVectorsFeaturizer", "LogisticRegressionClassifier"
    assert "does not include a response selector" in warnings_of(*validator, data=data)
    assert "response selector" not in warnings_of("rasa_compressed_bert.PrunedBertIntentClassifier", data=data)


@pytest.mark.parametrize("name", ["DistilledIntentClassifier", "JointBertClassifier", "PrunedBertIntentClassifier"])
def test_importing_a_classifier_is_enough(name):
    code = f"""
import warnings
import rasa.graph_components.validators.default_recipe_validator, rasa_compressed_bert
import rasa_compressed_bert.components.artifact_component
warnings.resetwarnings()
rasa_compressed_bert.{name}
warnings.warn("You have defined training data with examples for training a response selector, but")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "response selector" not in done.stderr


def data_with_lookups():
    data = TrainingData([Message.build(f"rome {index}", f"{index % 2}", [CITY]) for index in range(4)])
    data.lookup_tables = [{"name": "city", "elements": ["paris", "new york"]}]
    return data


def test_lookup_tables_that_our_extractor_learns_need_no_component_of_rasas():
    theirs = "WhitespaceTokenizer", "CountVectorsFeaturizer", "LogisticRegressionClassifier"
    assert warnings_of(*theirs, data=data_with_lookups()).count("lookup table") > 1
    for name in OURS:
        assert "lookup table" not in warnings_of(f"rasa_compressed_bert.{name}", data=data_with_lookups())


def test_a_crf_without_the_feature_of_lookup_tables_is_warned_of_beside_our_classifier():
    pipeline = "WhitespaceTokenizer", "CRFEntityExtractor", "RegexFeaturizer"
    found = warnings_of(*pipeline, "rasa_compressed_bert.JointBertClassifier", data=data_with_lookups())
    assert "'pattern' feature" in found


@pytest.mark.parametrize("name", OURS)
def test_rasa_test_draws_a_histogram_of_the_confidences_of_entities(name, monkeypatch):
    drawn = {}

    def draw(*labels, hist_filename, **_):
        drawn[hist_filename] = labels[2]

    monkeypatch.setattr(rasa_test, "plot_entity_confidences", draw)
    monkeypatch.setattr(rasa_test.plot_utils, "plot_confusion_matrix", lambda *_, **__: None)
    found = {**CITY, "confidence_entity": 0.75, "extractor": getattr(rasa_compressed_bert, name).__name__}
    result = rasa_test.EntityEvaluationResult([CITY], [found], [Token("rome", 0), Token("1", 5)], "rome 1")
    rasa_test.evaluate_entities([result], {name}, None, successes=False, errors=False, disable_plotting=False)
    assert drawn == {f"{name}_histogram.png": [0.75, 0.0]}
