"""Each option alone: defaults, coercion, accepted values, unknown names."""

import json
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from config_harness import shown
from rasa.shared.utils.io import read_yaml

from rasa_compressed_bert.config import (
    Option,
    PrunedBertIntentClassifierConfig,
    PruningConfig,
    QuantizedBertFeaturizerConfig,
    options_of,
    sections_of,
)
from rasa_compressed_bert.errors import CompressedBertError, ConfigError

HUGE = pytest.param(10**5000, id="huge")  # more digits than Python prints
CLASSES = (PrunedBertIntentClassifierConfig, QuantizedBertFeaturizerConfig)
CLASSES += tuple(sections_of(PrunedBertIntentClassifierConfig).values())
DEFAULTS = {
    "model_weights": "all-MiniLM-L6-v2",
    "max_length": 128,
    "vocabulary": "auto",
    "vocabulary_size": None,
    "epochs": 8,
    "batch_size": 32,
    "pooling": "mean",
    "learning_rate": 1.0e-4,
    "random_seed": 42,
    "validation_split": 0.1,
    "tensorboard_log_directory": None,
    "num_threads": 1,
    "runtime": "onnxruntime",
    "pruning": {
        "method": "neuron",
        "importance": "taylor",
        "schedule": "polynomial_decay",
        "initial_sparsity": 0.0,
        "final_sparsity": 0.6,
        "begin_epoch": 0,
        "end_epoch": 5,
        "frequency": 20,
        "query_key": None,
        "value": None,
        "attention_heads": None,
        "intermediate": None,
        "pooler": None,
        "layers": None,
        "pattern": "unstructured",
    },
    "distillation": {
        **{"enabled": True, "temperature": 2.0, "hidden_states": 10.0},
        **{"synthetic_messages": 1, "alpha": 0.3},
    },
    "budget": {"max_latency_ms": None, "max_size_mb": None, "max_score_drop": None},
    "quantization": {
        **{"method": "dynamic_int8", "aware_training": False, "per_channel": True},
        **{"encoder_bits": 8, "embedding_bits": 8},
    },
    "ranking_length": 10,
    "response_selection": True,
    "out_of_scope": {"detector": "neighbours", "in_scope_recall": 0.95, "threshold": 0.3, "messages": None},
}
SECTIONS = ("pruning", "distillation", "quantization", "budget", "out_of_scope")


def read(options):
    return PrunedBertIntentClassifierConfig.from_dict(options)


def nest(path, value):
    section, _, name = path.rpartition(".")
    return {section: {name: value}} if section else {name: value}


def get(config, path):
    for name in path.split("."):
        config = getattr(config, name)
    return config


def problems_of(options):
    with pytest.raises(ConfigError) as caught:
        read(options)
    assert all("\n" not in problem and problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


def test_defaults_are_those_of_the_contract():
    assert read({}).to_dict() == DEFAULTS
    assert read(DEFAULTS) == read({}) == PrunedBertIntentClassifierConfig()


def test_config_is_frozen():
    with pytest.raises(FrozenInstanceError):
        read({}).pruning.method = "head"


def test_replace_works_despite_the_init_only_field():
    assert replace(read({}), batch_size=4).to_dict() == {**DEFAULTS, "batch_size": 4}


def test_dump_is_json():
    config = read({"learning_rate": "1e-4", "pruning": {"query_key": 0.5}})
    assert read(json.loads(json.dumps(config.to_dict()))) == config


def test_default_config_gives_rasa_null_sections_that_read_as_the_defaults():
    default_config = PrunedBertIntentClassifierConfig.default_config()
    assert default_config == {**DEFAULTS, **dict.fromkeys(SECTIONS), "pooling": None}
    assert read(default_config) == read({})


@pytest.mark.parametrize("section", SECTIONS)
def test_an_empty_section_gives_the_defaults(section):
    assert read({section: {}}) == read({section: None}) == read({})


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", [True, False, [], ["method"], "none", 0])
def test_a_section_that_is_no_map_is_an_error(section, value):
    (problem,) = problems_of({section: value})
    assert problem.startswith(f"{section}: {shown(value)} is not a map of options")
    assert "null" in problem


@pytest.mark.parametrize("options", [None, [], "epochs", 3, True])
def test_options_that_are_no_map_are_an_error(options):
    assert "is not a map of options" in problems_of(options)[0]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("learning_rate", "1e-4", 1e-4),
        ("learning_rate", "3E-05", 3e-5),
        ("pruning.final_sparsity", "0.25", 0.25),
        ("pruning.final_sparsity", 0, 0.0),
        ("pruning.query_key", "0.5", 0.5),
        ("pruning.end_epoch", 3, 3.0),
        ("distillation.temperature", 4, 4.0),
        ("epochs", 8.0, 8),
        ("pruning.frequency", 1e2, 100),
    ],
)
def test_numbers_are_coerced_to_the_type_of_the_option(path, value, expected):
    coerced = get(read(nest(path, value)), path)
    assert coerced == expected
    assert type(coerced) is type(expected)


ACCEPTED_ENDS = {
    "max_length": (3, 512),
    "epochs": (1, 1_000_000),
    "batch_size": (1, 10**9),
    "learning_rate": (1e-12, 0.999),
    "random_seed": (0, 2**32 - 1),
    "validation_split": (0, 0.5),
    "num_threads": (0, 256),
    "ranking_length": (0, 10**9),
    "pruning.final_sparsity": (0, 0.99),
    "pruning.query_key": (0, 0.99),
    "pruning.value": (0, 0.99),
    "pruning.attention_heads": (0, 0.99),
    "pruning.intermediate": (0, 0.99),
    "pruning.pooler": (0, 0.99),
    "pruning.begin_epoch": (0, 5),
    "pruning.end_epoch": (0, 8),
    "pruning.frequency": (1, 10**9),
    "distillation.temperature": (1e-9, 100),
    "distillation.alpha": (0, 1),
}


@pytest.mark.parametrize(("path", "value"), [(path, end) for path, ends in ACCEPTED_ENDS.items() for end in ends])
def test_the_ends_of_a_range_are_accepted(path, value):
    assert get(read(nest(path, value)), path) == value


NUMBER, INTEGER, BOOLEAN, STRING = "a number", "an integer", "a boolean (true or false)", "a non-empty string"
REJECTED = [
    *[("model_weights", value, STRING) for value in ("", "  ", None, 3, True, ["a"])],
    *[("max_length", value, f"{INTEGER} in [3, 512]") for value in (2, 513, 8.5, "128", True, None)],
    *[("epochs", value, f"{INTEGER} in [1, 1000000]") for value in (0, -1, 1.5, "8", True, None, [], {})],
    *[("batch_size", value, f"{INTEGER} >= 1") for value in (0, 0.5, False)],
    *[("learning_rate", value, f"{NUMBER} in (0, 1)") for value in (0, 1, -1e-4, "fast", "nan", True, None)],
    *[("random_seed", value, f"{INTEGER} in [0, 4294967295] or null") for value in (-1, 2**32, "any")],
    *[("validation_split", value, f"{NUMBER} in [0, 0.5]") for value in (-0.1, 0.51, False)],
    *[("num_threads", value, f"{INTEGER} in [0, 256]") for value in (-1, 257, "all")],
    *[("runtime", value, "one of: onnxruntime, tflite, tensorflow") for value in ("openvino", "", None, 1)],
    *[("ranking_length", value, f"{INTEGER} >= 0") for value in (-1, None)],
    *[("pruning.method", value, "one of: none, neuron, head, weight") for value in ("neurons", None, False)],
    ("pruning.importance", "random", "one of: taylor, magnitude"),
    ("pruning.schedule", "cosine", "one of: polynomial_decay, constant"),
    ("pruning.pattern", "n4_m8", "one of: unstructured, block_4x4, n2_m4"),
    *[("pruning.initial_sparsity", value, f"{NUMBER} in [0, 0.99]") for value in (-0.1, 1, None)],
    *[("pruning.final_sparsity", value, f"{NUMBER} in [0, 0.99]") for value in (-0.1, 1, 60, None)],
    *[
        (f"pruning.{name}", 1.0, f"{NUMBER} in [0, 0.99] or null")
        for name in ("query_key", "value", "attention_heads", "intermediate", "pooler")
    ],
    *[
        ("pruning.layers", value, "a list of different integers >= 0 or null")
        for value in ([], [0, 0], [-1], 2, ["a"], [0.5])
    ],
    *[("pruning.begin_epoch", value, f"{NUMBER} >= 0") for value in (-1, None, float("nan"))],
    *[("pruning.end_epoch", value, f"{NUMBER} >= 0 or null") for value in (-1, "last", float("inf"))],
    *[("pruning.frequency", value, f"{INTEGER} >= 1") for value in (0, 2.5)],
    *[("distillation.enabled", value, BOOLEAN) for value in ("true", 1, 0, None)],
    *[("distillation.temperature", value, f"{NUMBER} in (0, 100]") for value in (0, 100.5)],
    *[("distillation.alpha", value, f"{NUMBER} in [0, 1]") for value in (-0.5, 1.5)],
    *[("quantization.method", value, "one of: none, dynamic_int8, static_int8, kmeans") for value in ("int8", None, 8)],
    *[("quantization.per_channel", value, BOOLEAN) for value in ("yes", 1, None)],
    *[("quantization.aware_training", value, BOOLEAN) for value in ("yes", 1, None)],
]


@pytest.mark.parametrize(("path", "value", "accepted"), REJECTED)
def test_a_value_that_is_not_accepted_is_named_with_what_is(path, value, accepted):
    assert problems_of(nest(path, value)) == (f"{path}: {shown(value)} is not {accepted}",)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, HUGE, "inf", "1e999"])
@pytest.mark.parametrize("path", ["learning_rate", "max_length", "pruning.query_key", "distillation.alpha"])
def test_numbers_that_are_not_finite_or_too_large_are_errors(path, value):
    assert len(problems_of(nest(path, value))) == 1


@pytest.mark.parametrize(
    ("path", "suggestion"),
    [
        ("epoch", "epochs"),
        ("learning_rte", "learning_rate"),
        ("Batch_size", "batch_size"),
        ("prunning", "pruning"),
        ("pruning.finl_sparsity", "final_sparsity"),
        ("distillation.temprature", "temperature"),
        ("quantization.per_chanel", "per_channel"),
        ("quantization.aware_trainig", "aware_training"),
        ("quantization.encoder_bit", "encoder_bits"),
        ("quantization.embeding_bits", "embedding_bits"),
        ("encoder_bits", "quantization.encoder_bits"),
        ("final_sparsity", "pruning.final_sparsity"),
        ("temperatur", "distillation.temperature"),
    ],
)
def test_a_typo_names_the_nearest_option(path, suggestion):
    assert problems_of(nest(path, 0.5)) == (f"{path}: unknown option (value 0.5); did you mean '{suggestion}'?",)


def test_an_unknown_name_near_to_nothing_lists_the_options():
    assert problems_of({"distillation": {"xyz": None}}) == (
        "distillation.xyz: unknown option (value null); known options: enabled, temperature, hidden_states, "
        "synthetic_messages, alpha",
    )


@pytest.mark.parametrize("name", ["name", "alias", "to_dict", "injected", "__class__"])
def test_names_that_are_no_options_are_unknown(name):
    assert problems_of({name: "x"})[0].startswith(f"{name}: unknown option")


@pytest.mark.parametrize("key", [1, None, True, 0.5, ("epochs",), HUGE, "two\nlines"])
@pytest.mark.parametrize("section", ["", "pruning."])
def test_odd_keys_are_unknown_options(section, key):
    options = {"pruning": {key: 1}} if section else {key: 1}
    (problem,) = problems_of(options)
    assert problem.startswith(section)
    assert "unknown option" in problem


def test_a_long_value_is_cut_in_the_message():
    assert len(problems_of({"epochs": "8" * 10_000})[0]) < 200


@pytest.mark.parametrize("written", ["2024-01-31", "2024-01-31 10:30:00"])
def test_a_date_is_shown_as_it_is_written(written):
    assert problems_of(read_yaml(f"model_weights: {written}")) == (
        f"model_weights: {written} is not a non-empty string",
    )


def test_config_error_carries_and_lists_every_problem():
    error = ConfigError("a: 1", "b: 2")
    assert isinstance(error, CompressedBertError)
    assert error.problems == ("a: 1", "b: 2")
    assert str(error) == "Invalid configuration:\n  - a: 1\n  - b: 2"


def test_every_field_is_an_option_or_a_section_and_every_option_has_help():
    for cls in CLASSES:
        assert {item.name for item in fields(cls)} == options_of(cls).keys() | sections_of(cls).keys()
        for option in options_of(cls).values():
            assert option.help.endswith(".")
            assert option.accepted()


def test_defaults_are_accepted_by_their_own_options():
    for cls in CLASSES:
        for item in fields(cls):
            if "option" in item.metadata:
                assert item.metadata["option"].coerce(item.default) == item.default


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ({}, "a number"),
        ({"low": 0}, "a number >= 0"),
        ({"low": 0, "high": 1}, "a number in [0, 1]"),
        ({"above": 0, "below": 1}, "a number in (0, 1)"),
        ({"low": 0, "below": 1, "optional": True}, "a number in [0, 1) or null"),
    ],
)
def test_accepted_describes_the_range(bounds, text):
    assert Option(float, "Help.", **bounds).accepted() == text


def test_pruning_config_alone_leaves_its_end_to_the_number_of_epochs():
    assert PruningConfig().end_epoch is None
