"""A config.yml that was written for DIETClassifier: options that are accepted, and the errors for the others."""

import pytest

from rasa_compressed_bert.config import (
    BertEntityExtractorConfig,
    DistilledIntentClassifierConfig,
    JointBertClassifierConfig,
    PrunedBertIntentClassifierConfig,
    QuantizedBertFeaturizerConfig,
)
from rasa_compressed_bert.errors import ConfigError


def error_of(config, options):
    with pytest.raises(ConfigError) as caught:
        config.from_dict(options)
    return caught.value


def problem_of(config, options):
    (problem,) = error_of(config, options).problems
    return problem


@pytest.mark.parametrize(
    "config", [PrunedBertIntentClassifierConfig, BertEntityExtractorConfig, DistilledIntentClassifierConfig]
)
def test_a_seed_of_null_is_the_default_one(config):
    assert config.from_dict({"random_seed": None}) == config.from_dict({})
    assert config.from_dict({}).random_seed == 42


@pytest.mark.parametrize(
    "config, intents, entities",
    [
        (PrunedBertIntentClassifierConfig, True, False),
        (DistilledIntentClassifierConfig, True, False),
        (BertEntityExtractorConfig, False, True),
        (JointBertClassifierConfig, True, True),
    ],
)
def test_switches_that_say_what_a_component_learns_are_accepted(config, intents, entities):
    switches = {"intent_classification": intents, "entity_recognition": entities}
    assert config.from_dict(switches) == config.from_dict({})
    problems = error_of(config, {name: not value for name, value in switches.items()}).problems
    assert [problem.partition(":")[0] for problem in problems] == list(switches)
    assert all("BertEntityExtractor learns entities, and JointBertClassifier both" in problem for problem in problems)


@pytest.mark.parametrize(
    "options, named",
    [
        (
            {"epochs": 100, "learning_rate": 0.001, "constrain_similarities": True},
            ["epochs: 100", "learning_rate: 0.001"],
        ),
        ({"epochs": 8, "learning_rate": 5e-5, "constrain_similarities": True}, []),
        ({"epochs": 100, "constrain": True}, []),
        ({"epochs": 100, "tensorboard_log_directory": 3}, []),
        ({"epochs": "many", "constrain_similarities": True}, []),
    ],
)
def test_values_for_diet_of_options_that_exist_here_are_named_with_the_others(options, named):
    """The config.yml of `rasa init` has `epochs: 100` and `constrain_similarities: true`."""
    problems = error_of(JointBertClassifierConfig, options).problems
    found = [problem for problem in problems if "is far too high for a BERT" in problem]
    assert [problem.partition(" is")[0] for problem in found] == named
    assert not any("is far too high" in one for one in error_of(QuantizedBertFeaturizerConfig, options).problems)


def test_a_growing_batch_size_is_refused_with_advice():
    assert problem_of(PrunedBertIntentClassifierConfig, {"batch_size": [64, 256]}) == (
        "batch_size: [64, 256] is not an integer >= 1; batches do not grow in training, unlike those of Rasa's "
        "DIETClassifier; give one number or leave it out"
    )


@pytest.mark.parametrize(
    "config, options, problem",
    [
        (
            JointBertClassifierConfig,
            {"constrain_similarities": True},
            "true); it is an option of Rasa's DIETClassifier",
        ),
        (
            JointBertClassifierConfig,
            {"model_confidence": "softmax"},
            "'softmax'); it is an option of Rasa's DIETClassifier",
        ),
        (BertEntityExtractorConfig, {"max_iterations": 50}, "50); it is an option of Rasa's CRFEntityExtractor"),
        (
            QuantizedBertFeaturizerConfig,
            {"cache_dir": None},
            "null); it is an option of Rasa's LanguageModelFeaturizer",
        ),
    ],
)
def test_options_of_rasas_components_are_to_be_left_out(config, options, problem):
    (name,) = options
    assert problem_of(config, options) == f"{name}: unknown option (value {problem}: leave it out"


@pytest.mark.parametrize(
    "config, options, owners",
    [
        (PrunedBertIntentClassifierConfig, {"teacher": None}, "DistilledIntentClassifier"),
        (PrunedBertIntentClassifierConfig, {"BILOU_flag": True}, "BertEntityExtractor, JointBertClassifier"),
        (PrunedBertIntentClassifierConfig, {"alias": "x"}, "QuantizedBertFeaturizer"),
        (PrunedBertIntentClassifierConfig, {"distillation": {"targets": "x"}}, "DistilledIntentClassifier"),
        (BertEntityExtractorConfig, {"ranking_length": 3}, None),
    ],
)
def test_an_option_of_another_component_says_whose_it_is(config, options, owners):
    owners = owners or "DistilledIntentClassifier, JointBertClassifier, PrunedBertIntentClassifier"
    problem = problem_of(config, options)
    assert f"it is an option of {owners}: leave it out, or use a component that has it" in problem
    assert "did you mean" not in problem


def test_an_option_of_an_own_section_is_suggested_first():
    assert problem_of(DistilledIntentClassifierConfig, {"model_weights": "x"}).endswith(
        "did you mean 'teacher.model_weights'?"
    )


def test_the_error_names_the_component():
    error = error_of(JointBertClassifierConfig, {"epochs": None, "quantization": {"method": True}})
    assert str(error) == (
        "Invalid configuration of JointBertClassifier:\n"
        "  - epochs: null is not an integer in [1, 1000000]\n"
        "  - quantization.method: true is not one of: none, dynamic_int8, static_int8, kmeans"
    )


def test_lists_and_maps_are_shown_in_the_words_of_yaml():
    problem = problem_of(PrunedBertIntentClassifierConfig, {"epochs": [None, {"a": True}]})
    assert problem.startswith("epochs: [null, {'a': true}] is not")
