"""Options of the quantized featurizer, and contradictions within `quantization` and `vocabulary`."""

import json

import pytest
from config_harness import shown

from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig, QuantizedBertFeaturizerConfig
from rasa_compressed_bert.errors import ConfigError

DEFAULTS = {
    "model_weights": "all-MiniLM-L6-v2",
    "max_length": 128,
    "vocabulary": "auto",
    "vocabulary_size": None,
    "num_threads": 1,
    "runtime": "onnxruntime",
    "quantization": {
        "method": "dynamic_int8",
        "aware_training": False,
        "per_channel": True,
        "encoder_bits": 8,
        "embedding_bits": 8,
    },
    "pooling": "mean",
    "alias": None,
}
COMPONENTS = pytest.mark.parametrize("component", [PrunedBertIntentClassifierConfig, QuantizedBertFeaturizerConfig])


def read(options):
    return QuantizedBertFeaturizerConfig.from_dict(options)


def problems_of(component, options):
    with pytest.raises(ConfigError) as caught:
        component.from_dict(options)
    return caught.value.problems


def test_defaults_are_those_of_the_contract():
    assert read({}).to_dict() == DEFAULTS
    assert read(DEFAULTS) == read({}) == QuantizedBertFeaturizerConfig()


def test_default_config_gives_rasa_a_null_section_that_reads_as_the_defaults():
    default_config = QuantizedBertFeaturizerConfig.default_config()
    assert default_config == {**DEFAULTS, "quantization": None}
    assert read(default_config) == read({})


def test_dump_is_json():
    config = read({"alias": "bert", "vocabulary": "trim", "quantization": {"method": "kmeans", "encoder_bits": 2}})
    assert read(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("name", ["epochs", "pruning", "distillation", "learning_rate", "ranking_length"])
def test_options_of_training_are_unknown(name):
    (problem,) = problems_of(QuantizedBertFeaturizerConfig, {name: None})
    assert problem.startswith(f"{name}: unknown option")


@pytest.mark.parametrize(
    ("path", "suggestion"),
    [
        ("alia", "alias"),
        ("poling", "pooling"),
        ("method", "quantization.method"),
        ("vocabulary_sise", "vocabulary_size"),
        ("vocabluary", "vocabulary"),
    ],
)
def test_a_typo_names_the_nearest_option(path, suggestion):
    (problem,) = problems_of(QuantizedBertFeaturizerConfig, {path: "x"})
    assert problem == f"{path}: unknown option (value 'x'); did you mean '{suggestion}'?"


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("pooling", None, "one of: mean, cls"),
        ("pooling", "max", "one of: mean, cls"),
        ("alias", "", "a non-empty string or null"),
        ("alias", 1, "a non-empty string or null"),
    ],
)
def test_a_value_that_is_not_accepted_is_named_with_what_is(name, value, accepted):
    assert problems_of(QuantizedBertFeaturizerConfig, {name: value}) == (f"{name}: {shown(value)} is not {accepted}",)


@COMPONENTS
@pytest.mark.parametrize("name", ["encoder_bits", "embedding_bits"])
@pytest.mark.parametrize("value", [0, 9, -1, 2.5, "4", True, None])
def test_bits_out_of_range(component, name, value):
    (problem,) = problems_of(component, {"quantization": {"method": "kmeans", name: value}})
    assert problem == f"quantization.{name}: {shown(value)} is not an integer in [1, 8]"


@COMPONENTS
@pytest.mark.parametrize("value", [0, -1, 0.5, "16000", False])
def test_vocabulary_size_out_of_range(component, value):
    (problem,) = problems_of(component, {"vocabulary": "trim", "vocabulary_size": value})
    assert problem == f"vocabulary_size: {shown(value)} is not an integer >= 1 or null"
    assert problems_of(component, {"vocabulary": value}) == (
        f"vocabulary: {shown(value)} is not one of: auto, full, trim",
    )


@pytest.mark.parametrize("method", ["dynamic_int8", "static_int8", "kmeans"])
def test_quantization_aware_training_needs_training(method):
    options = {"quantization": {"method": method, "aware_training": True}}
    assert PrunedBertIntentClassifierConfig.from_dict(options).quantization.aware_training
    (problem,) = problems_of(QuantizedBertFeaturizerConfig, options)
    assert problem.startswith("quantization.aware_training: true is for components that are trained")


def test_quantization_aware_training_needs_a_quantization():
    options = {"quantization": {"method": "none", "aware_training": True}}
    (problem,) = problems_of(PrunedBertIntentClassifierConfig, options)
    assert problem == (
        "quantization.aware_training: true is only for quantization.method: dynamic_int8, static_int8 or kmeans, not "
        "none; change method or leave aware_training out"
    )


@COMPONENTS
@pytest.mark.parametrize("name", ["encoder_bits", "embedding_bits"])
@pytest.mark.parametrize("method", ["none", "dynamic_int8", "static_int8"])
def test_bits_are_for_kmeans(component, method, name):
    assert problems_of(component, {"quantization": {"method": method, name: 4}}) == (
        f"quantization.{name}: 4 is only for quantization.method: kmeans, not {method}; "
        f"change method or leave {name} out",
    )
    assert getattr(component.from_dict({"quantization": {"method": method, name: 8}}).quantization, name) == 8


@COMPONENTS
@pytest.mark.parametrize("bits", range(1, 9))
def test_kmeans_takes_1_to_8_bits_for_encoder_and_embeddings_apart(component, bits):
    quantization = {"method": "kmeans", "encoder_bits": bits, "embedding_bits": 9 - bits}
    config = component.from_dict({"quantization": quantization}).quantization
    assert (config.encoder_bits, config.embedding_bits) == (bits, 9 - bits)


@COMPONENTS
def test_a_vocabulary_size_is_for_trim(component):
    (problem,) = problems_of(component, {"vocabulary_size": 8000})
    assert problem.startswith("vocabulary_size: 8000 is only for vocabulary: trim, not auto; change vocabulary")
    assert component.from_dict({"vocabulary": "trim", "vocabulary_size": 1}).vocabulary_size == 1


@COMPONENTS
@pytest.mark.parametrize("options", [{}, {"vocabulary_size": None}])
def test_trim_has_a_size_unless_set(component, options):
    config = component.from_dict({"vocabulary": "trim", **options})
    assert config.vocabulary_size == 16_000
    assert component.from_dict(config.to_dict()) == config
    assert component.from_dict({"vocabulary": "auto", **options}).vocabulary_size is None


@COMPONENTS
def test_contradictions_come_together(component):
    quantization = {"method": "none", "encoder_bits": 4, "embedding_bits": 2, "aware_training": True}
    problems = problems_of(component, {"vocabulary_size": 10, "quantization": quantization})
    assert {problem.partition(":")[0] for problem in problems} == {
        "vocabulary_size",
        *(f"quantization.{name}" for name in ("encoder_bits", "embedding_bits", "aware_training")),
    }


@COMPONENTS
def test_no_contradiction_is_reported_with_an_option_that_is_itself_wrong(component):
    (problem,) = problems_of(component, {"quantization": {"method": "int4", "encoder_bits": 4}})
    assert problem.startswith("quantization.method")
    (problem,) = problems_of(component, {"vocabulary": "trimmed", "vocabulary_size": 8000})
    assert problem.startswith("vocabulary: ")
