"""Requirements between options: declared, checked for every component, and met by all defaults."""

import pytest

import rasa_compressed_bert
from rasa_compressed_bert import config
from rasa_compressed_bert.config import declared_options, sections_of
from rasa_compressed_bert.config.requirements import alternatives, unmet_requirements
from scripts.options import COMPONENTS


def declared(component):
    """All options of a component that require others, by dotted name."""
    parts = {"": component, **{f"{name}.": part for name, part in sections_of(component).items()}}
    return {
        prefix + name: option
        for prefix, part in parts.items()
        for name, option in declared_options(part).items()
        if option.requires
    }


@pytest.mark.parametrize("name", COMPONENTS)
def test_what_is_required_is_an_option_and_accepted_there(name):
    component = getattr(config, f"{name}Config")
    for dotted, option in declared(component).items():
        for other, values in option.requires.items():
            section, _, key = other.rpartition(".")
            owner = sections_of(component)[section] if section else component
            found = declared_options(owner).get(key)
            if found is None:
                assert (name, other) == ("DistilledIntentClassifier", "pooling"), dotted
            else:
                assert [found.coerce(value) for value in values] == list(values), dotted


@pytest.mark.parametrize("name", COMPONENTS)
def test_defaults_require_nothing(name):
    assert hasattr(rasa_compressed_bert, name)
    assert not list(unmet_requirements(getattr(config, f"{name}Config")()))


def test_every_requirement_that_is_not_met_is_named():
    options = config.PrunedBertIntentClassifierConfig(pruning=config.PruningConfig(method="weight", pooler=0.5))
    assert [problem.options for problem in unmet_requirements(options)] == [("pruning.pooler", "pruning.method")]
    options = config.PrunedBertIntentClassifierConfig(
        pooling="mean", pruning=config.PruningConfig(method="head", pooler=0.5)
    )
    assert [problem.options[1] for problem in unmet_requirements(options)] == ["pruning.method", "pooling"]


def test_alternatives_are_words_of_yaml():
    assert alternatives((None,)) == "null" and alternatives(("a", "b")) == "a or b"
    assert alternatives((1, True, "c")) == "1, true or c"
