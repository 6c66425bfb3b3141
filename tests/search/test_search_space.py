"""Search spaces, costs and thresholds that users may write, and those that are refused."""

import datetime

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from rasa_compressed_bert.config import (
    BertAnswerExtractorConfig,
    BertEntityExtractorConfig,
    DistilledIntentClassifierConfig,
    JointBertClassifierConfig,
    PrunedBertIntentClassifierConfig,
    QuantizedBertFeaturizerConfig,
)
from rasa_compressed_bert.config.student import ARCHITECTURES
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.search.dotted import flat, merged, nested
from rasa_compressed_bert.search.goals import (
    Measured,
    Threshold,
    are_figures,
    read_costs,
    read_thresholds,
    require_scores,
)
from rasa_compressed_bert.search.space import decoded, default_space, read_space, require_possible

PRUNED = PrunedBertIntentClassifierConfig
CLASSES = [PRUNED, BertEntityExtractorConfig, JointBertClassifierConfig, DistilledIntentClassifierConfig]


def test_lists_and_ranges():
    space = read_space(
        {
            "quantization.method": ["none", "dynamic_int8"],
            "epochs": {"low": 2, "high": 8, "step": 2},
            "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        },
        PRUNED,
    )
    assert space == {
        "quantization.method": CategoricalDistribution(["none", "dynamic_int8"]),
        "epochs": IntDistribution(2, 8, step=2),
        "learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
    }


@pytest.mark.parametrize(
    "config_class, name, values, reason",
    [
        (PRUNED, "budget.max_size_mb", [5.0, 8.0], "a budget chooses the pruning itself"),
        (PRUNED, "budget", [{"max_size_mb": 5.0}, {"max_size_mb": 8.0}], "a budget chooses the pruning itself"),
        (PRUNED, "num_threads", [1, 2], "models are timed on one thread"),
        (BertAnswerExtractorConfig, "passages", {"low": 1, "high": 5}, "questions are asked about their own passages"),
        (BertAnswerExtractorConfig, "training_data", ["a.json", "b.json"], "the questions of --questions"),
    ],
)
def test_options_that_change_no_figure_are_refused(config_class, name, values, reason):
    """Their best value would be chosen by chance, and written to the config.yml of a choice."""
    with pytest.raises(ConfigError, match=f"search.{name}: leave it out, as it changes no figure .*{reason}"):
        read_space({name: values}, config_class)


BASES = [
    *((config_class, {}) for config_class in CLASSES),
    (PRUNED, {"pruning": {"method": "none"}}),
    (PRUNED, {"pruning": {"method": "weight", "pattern": "n2_m4", "final_sparsity": 0.5}}),
    (PRUNED, {"pruning": {"begin_epoch": 2}, "epochs": 12}),
    (PRUNED, {"vocabulary": "trim", "vocabulary_size": 8000}),
    (PRUNED, {"quantization": {"method": "kmeans"}}),
    *((DistilledIntentClassifierConfig, {"student": {"architecture": name}}) for name in ARCHITECTURES),
    (DistilledIntentClassifierConfig, {"student": {"architecture": "spacy_textcat", "language": "en"}}),
    (DistilledIntentClassifierConfig, {"student": {"hidden_size": 64}}),
    (DistilledIntentClassifierConfig, {"teacher": {"predictions": "said.csv"}}),
]


@pytest.mark.parametrize("config_class, base", BASES)
def test_whatever_is_drawn_from_a_default_space_is_valid(config_class, base, caplog):
    space = default_space(config_class, base)
    assert "epochs" in space
    require_possible(space, config_class, base)
    assert not caplog.text


def test_default_spaces_vary_what_the_config_has_a_use_for():
    assert "quantization.encoder_bits" in default_space(PRUNED, {"quantization": {"method": "kmeans"}})
    assert "quantization.encoder_bits" not in default_space(PRUNED, {})
    layers = default_space(DistilledIntentClassifierConfig, {"student": {"architecture": "transformer"}})
    assert {"student.num_layers", "pruning.final_sparsity"} <= set(layers) and "student.architecture" not in layers


def test_a_space_that_contradicts_itself(caplog):
    own = {"quantization.method": ["dynamic_int8", "none"], "quantization.encoder_bits": [2, 4]}
    with pytest.raises(ConfigError, match="search: no trial can be valid: quantization"):
        require_possible(read_space(own, PRUNED), PRUNED, {})
    own["quantization.method"] = ["dynamic_int8", "kmeans"]
    require_possible(read_space(own, PRUNED), PRUNED, {})
    assert "of the combinations in the space are invalid, and their trials will fail: quantization" in caplog.text


def test_dotted_names_and_sections():
    sections = {"epochs": 3, "pruning": {"method": "neuron", "final_sparsity": 0.5}}
    assert flat(sections) == {"epochs": 3, "pruning.method": "neuron", "pruning.final_sparsity": 0.5}
    assert nested(flat(sections)) == sections


def test_sections_as_choices_are_text_for_a_storage():
    sections = [{"method": "none"}, {"method": "neuron", "final_sparsity": 0.8}, None]
    values = read_space({"pruning": sections}, PRUNED)["pruning"]
    assert [decoded({"pruning": choice}) for choice in values.choices] == [{"pruning": one} for one in sections]
    hash(values)  # which Optuna needs for the importances of options, after all trials


@pytest.mark.parametrize("value", [{"method": datetime.date(2024, 1, 1)}, {"sparsity": 0.8}, 5])
def test_each_section_among_the_choices_is_checked(value):
    with pytest.raises(ConfigError, match="search.pruning"):
        read_space({"pruning": [{"method": "none"}, value]}, PRUNED)


def test_lists_as_choices_are_text_for_a_storage():
    space = read_space({"student.layers": [[0, 5], [0, 2, 5]]}, DistilledIntentClassifierConfig)
    texts = space["student.layers"].choices
    assert texts == ("json:[0, 5]", "json:[0, 2, 5]")
    assert decoded({"student.layers": texts[1], "epochs": 3}) == {"student.layers": [0, 2, 5], "epochs": 3}


@pytest.mark.parametrize(
    "values, message",
    [
        ({}, "search: write options with their values"),
        ([1], "search: write options with their values"),
        ({"epoch": [1, 2]}, "search.epoch: unknown option .* did you mean 'epochs'"),
        ({"pruning.final": [0.1, 0.2]}, "search.pruning.final: unknown option .* known options: method"),
        ({"epochs": [4]}, "write two or more different values instead of"),
        ({"epochs": [4, 4]}, "write two or more different values instead of"),
        ({"epochs": [4, "many"]}, "search.epochs: 'many' is not an integer"),
        ({"epochs": 4}, "write a list of values, or a range"),
        ({"epochs": {"low": 4}}, "write a list of values, or a range"),
        ({"epochs": {"low": 9, "high": 4}}, "is not a valid range: low must be below high"),
        ({"epochs": {"low": 1, "high": 9, "step": 0}}, "is not a valid range"),
        (
            {"pruning.final_sparsity": {"low": 0.5, "high": 1.5}},
            "search.pruning.final_sparsity: 1.5 is not a number in",
        ),
        ({"quantization.method": {"low": "a", "high": "b"}}, "search.quantization.method"),
        ({"quantization.aware_training": {"low": False, "high": True}}, "only numbers have ranges"),
        ({3: [1, 2]}, "is not the name of an option"),
    ],
)
def test_invalid_spaces_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        read_space(values, PRUNED)


def test_all_problems_at_once():
    with pytest.raises(ConfigError) as caught:
        read_space({"epoch": [1, 2], "batch_size": 3}, PRUNED)
    assert len(caught.value.problems) == 2


def test_a_featurizer_has_no_score():
    with pytest.raises(ConfigError, match="a featurizer has no score"):
        default_space(QuantizedBertFeaturizerConfig, {})


def test_options_take_their_places():
    base = {"epochs": 3, "pruning": {"method": "head"}, "quantization": None}
    options = {"epochs": 5, "pruning.final_sparsity": 0.5, "quantization.method": "none"}
    expected = {"epochs": 5, "pruning": {"method": "head", "final_sparsity": 0.5}, "quantization": {"method": "none"}}
    assert merged(base, options) == expected
    assert base == {"epochs": 3, "pruning": {"method": "head"}, "quantization": None}


def test_thresholds():
    low, high = read_thresholds(["macro_f1 >= 0.9", "latency_ms<=2e0"])
    assert low == Threshold("macro_f1", True, 0.9) and high == Threshold("latency_ms", False, 2.0)
    figures = {"macro_f1": 0.8, "latency_ms": 1.5}
    assert low.violation(figures) == pytest.approx(1 / 9) and high.violation(figures) == -0.25
    assert read_thresholds(["entity_f1 >= 0.5"])[0].violation({"entity_f1": None}) > 1e9


@pytest.mark.parametrize(
    "texts, message",
    [
        (["macro_f1 > 0.9"], "cannot be read; write a metric, >= or <=, and a number, such as 'macro_f1 >= 0.9'"),
        (["f2 >= 0.9"], "Metrics: score, macro_f1"),
        (["macro_f1 >= e"], "cannot be read"),
        (["macro_f1 >= 0.9", "macro_f1 <= 0.8"], "contradict each other"),
    ],
)
def test_invalid_thresholds_are_refused(texts, message):
    with pytest.raises(ConfigError, match=message):
        read_thresholds(texts)


def test_the_score_that_counts():
    both = Measured({"macro_f1": 0.8, "accuracy": 0.9, "entity_f1": 0.6}, 1.0, 2.0, 3)
    assert both.score == both.to_dict()["score"] == pytest.approx(0.7)
    assert Measured({"accuracy": 0.9, "macro_f1": 0.8}, 1.0, 2.0, 3, "accuracy").score == 0.9
    assert are_figures(both.to_dict()) and are_figures({**both.to_dict(), "exact": None})
    with pytest.raises(ConfigError, match="--maximize: the data have no labels for entity_f1"):
        Measured({"macro_f1": 0.8}, 1.0, 2.0, 3, "entity_f1").to_dict()


def test_scores_of_other_tasks():
    require_scores("entity_f1", read_thresholds(["entity_f1 >= 0.5", "score >= 0.5", "size_mb <= 9"]), CLASSES[1])
    with pytest.raises(ConfigError) as caught:
        require_scores("f1", read_thresholds(["entity_f1 >= 0.5", "exact >= 0.5", "accuracy >= 0.5"]), PRUNED)
    known = "PrunedBertIntentClassifier has no {}; it has macro_f1, accuracy"
    assert caught.value.problems == (
        "--threshold: 'entity_f1 >= 0.5': " + known.format("entity_f1"),
        "--threshold: 'exact >= 0.5': " + known.format("exact"),
        "--maximize: " + known.format("f1"),
    )


def test_costs():
    assert read_costs(["size_mb", "parameters"]) == ("size_mb", "parameters")
    for names in ([], ["score"], ["size_mb", "size_mb"], ["size_mb", "parameters", "latency_ms"]):
        with pytest.raises(ConfigError, match="one or two of latency_ms, size_mb, parameters"):
            read_costs(names)


def test_values_are_shown_in_the_words_of_yaml():
    with pytest.raises(ConfigError, match=r"search.epochs: write two or more different values instead of \[null\]"):
        read_space({"epochs": [None]}, PrunedBertIntentClassifierConfig)
