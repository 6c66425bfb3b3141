"""Properties of every configuration, valid or not."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rasa_compressed_bert.config import (
    BertAnswerExtractorConfig,
    BertEntityExtractorConfig,
    DistilledIntentClassifierConfig,
    JointBertClassifierConfig,
    PrunedBertIntentClassifierConfig,
    QuantizedBertFeaturizerConfig,
    options_of,
    sections_of,
)
from rasa_compressed_bert.errors import ConfigError

COMPONENTS = (
    PrunedBertIntentClassifierConfig,
    BertAnswerExtractorConfig,
    JointBertClassifierConfig,
    BertEntityExtractorConfig,
    DistilledIntentClassifierConfig,
    QuantizedBertFeaturizerConfig,
)
SECTIONS = sections_of(PrunedBertIntentClassifierConfig)
ON_A_BUSY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400)
garbage = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


def maps_of(component):
    """Maps whose keys are options of a component, of its sections, or unknown."""
    sections = sections_of(component)
    names = [name for cls in (component, *sections.values()) for name in options_of(cls)]
    keys = st.sampled_from([*names, *sections, "finetuning_epoch_fraction"]) | st.text(max_size=8) | scalars
    return st.dictionaries(keys, garbage | st.dictionaries(keys, garbage, max_size=6), max_size=8)


def values_of(option):
    """The accepted values of an option, from its declaration."""
    if option.choices:
        values = st.sampled_from(option.choices)
    elif option.kind is bool:
        values = st.booleans()
    elif option.kind is str:
        values = st.text(min_size=1).filter(str.strip)
    elif option.kind is tuple:
        values = st.lists(st.integers(0, 50), min_size=1, max_size=3, unique=True).map(tuple)
    elif option.kind is list:
        values = st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=3, unique=True)
    else:
        low, high = option.low or option.above or 0, option.high or option.below or 50
        numbers = st.integers(low, high) if option.kind is int else st.floats(low, high)
        values = numbers.filter(lambda number: number not in (option.above, option.below))
    return values | st.none() if option.optional else values


def declared(cls):
    return {name: values_of(option) for name, option in options_of(cls).items()}


@st.composite
def valid_options(draw, component=PrunedBertIntentClassifierConfig):
    """Options of every section, with dependent options adjusted to each other."""
    options = draw(st.fixed_dictionaries({}, optional=declared(component)))
    sections = {
        name: st.none() | st.fixed_dictionaries({}, optional=declared(cls))
        for name, cls in sections_of(component).items()
    }
    options.update(draw(st.fixed_dictionaries({}, optional=sections)))
    if (options.get("out_of_scope") or {}).get("detector") == "none":
        options["out_of_scope"] = {"detector": "none"}
    if options.get("vocabulary") != "trim":
        options.pop("vocabulary_size", None)
    quantization = options.get("quantization")
    if quantization:
        if quantization.get("method") != "kmeans":
            quantization.pop("encoder_bits", None)
            quantization.pop("embedding_bits", None)
        if quantization.get("method") == "none" or component is QuantizedBertFeaturizerConfig:
            quantization.pop("aware_training", None)
    if any(limit is not None for limit in (options.get("budget") or {}).values()):
        options.pop("pruning", None)
        options.pop("validation_split", None)
    pruning = options.get("pruning")
    if pruning:
        for name in ("query_key", "value", "attention_heads", "intermediate", "pooler"):
            if pruning.get("method", "neuron") != "neuron":
                pruning.pop(name, None)
        if pruning.get("method") == "none":
            pruning.pop("layers", None)
        if options.get("pooling") == "mean":
            pruning.pop("pooler", None)
        if pruning.get("method") != "weight":
            pruning.pop("pattern", None)
        elif pruning.get("pattern") == "n2_m4":
            pruning["final_sparsity"] = 0.5
        pruning["initial_sparsity"] = min(pruning.get("initial_sparsity", 0), pruning.get("final_sparsity", 0.6))
        epochs = options.get("epochs", 8)
        if pruning.get("end_epoch") is not None:
            pruning["end_epoch"] = min(pruning["end_epoch"], epochs)
            pruning["begin_epoch"] = min(pruning.get("begin_epoch", 0), pruning["end_epoch"])
        else:
            pruning["begin_epoch"] = min(pruning.get("begin_epoch", 0), 0.625 * epochs)
    return options


@ON_A_BUSY_MACHINE
@given(valid_options(), st.none() | st.floats(0, 1))
def test_a_valid_config_keeps_what_the_user_set_and_survives_the_round_trip(options, fraction):
    config = PrunedBertIntentClassifierConfig.from_dict({**options, "finetuning_epoch_fraction": fraction})
    dump = json.loads(json.dumps(config.to_dict()))
    assert PrunedBertIntentClassifierConfig.from_dict(dump) == config
    dump = PrunedBertIntentClassifierConfig.from_dict(options).to_dict()  # the fraction reduces epochs that were set
    given_sections = {name: options.get(name) or {} for name in SECTIONS}
    assert all(dump[name] == value for name, value in options.items() if name not in SECTIONS and value is not None)
    for section, values in given_sections.items():
        assert all(dump[section][name] == value for name, value in values.items() if value is not None)


@ON_A_BUSY_MACHINE
@given(valid_options(QuantizedBertFeaturizerConfig))
def test_a_valid_config_of_the_featurizer_survives_the_round_trip(options):
    config = QuantizedBertFeaturizerConfig.from_dict(options)
    assert QuantizedBertFeaturizerConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert all(getattr(config, name) == value for name, value in options.items() if name != "quantization" and value)


@pytest.mark.slow
@pytest.mark.parametrize("component", COMPONENTS)
def test_garbage_raises_nothing_but_config_error(component):
    @settings(ON_A_BUSY_MACHINE, max_examples=50)
    @given(garbage | maps_of(component))
    def read(options):
        try:
            config = component.from_dict(options)
        except ConfigError as error:
            assert error.problems
            assert all(len(problem.splitlines()) == 1 for problem in error.problems)
        else:
            assert component.from_dict(config.to_dict()) == config

    read()


@pytest.mark.parametrize("component", COMPONENTS)
def test_garbage_in_a_section_raises_nothing_but_config_error(component):
    sections = sections_of(component)

    @settings(ON_A_BUSY_MACHINE, max_examples=50)
    @given(st.data())
    def read(data):
        section = data.draw(st.sampled_from(sorted(sections)))
        options = data.draw(st.dictionaries(st.sampled_from(list(options_of(sections[section]))), garbage))
        try:
            component.from_dict({section: options})
        except ConfigError as error:
            assert all(problem.startswith(section) for problem in error.problems)

    read()
