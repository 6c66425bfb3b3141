"""Options that are valid one by one but contradict each other, and the order of epochs."""

import pytest

from rasa_compressed_bert.config import (
    BertAnswerExtractorConfig,
    BertEntityExtractorConfig,
    JointBertClassifierConfig,
    PrunedBertIntentClassifierConfig,
)
from rasa_compressed_bert.errors import ConfigError

OWN_SPARSITIES = ("query_key", "value", "attention_heads", "intermediate", "pooler")


def read(options):
    return PrunedBertIntentClassifierConfig.from_dict(options)


def problems_of(options):
    with pytest.raises(ConfigError) as caught:
        read(options)
    return caught.value.problems


def test_sparsity_may_not_fall():
    (problem,) = problems_of({"pruning": {"initial_sparsity": 0.7}})
    assert problem.startswith("pruning.initial_sparsity: 0.7 is above pruning.final_sparsity (0.6); lower")
    assert read({"pruning": {"initial_sparsity": 0.6}}).pruning.initial_sparsity == 0.6


def test_pruning_may_not_end_before_it_begins():
    (problem,) = problems_of({"pruning": {"begin_epoch": 3, "end_epoch": 2}})
    assert problem.startswith("pruning.begin_epoch: 3.0 is after pruning.end_epoch (2.0")
    assert "lower begin_epoch or raise end_epoch" in problem
    assert read({"pruning": {"begin_epoch": 2, "end_epoch": 2}}).pruning.end_epoch == 2


def test_pruning_may_not_begin_after_the_end_that_follows_from_epochs():
    (problem,) = problems_of({"epochs": 1, "pruning": {"begin_epoch": 0.8}})
    assert "(0.625, which is 0.625 * epochs unless set)" in problem


def test_pruning_may_not_end_after_training():
    (problem,) = problems_of({"epochs": 3, "pruning": {"end_epoch": 4}})
    assert problem == (
        "pruning.end_epoch: 4.0 is after the end of training (epochs: 3); "
        "raise epochs, lower end_epoch or leave it out, which gives 0.625 * epochs"
    )
    assert read({"epochs": 4, "pruning": {"end_epoch": 4}}).pruning.end_epoch == 4
    assert read({"epochs": 3, "pruning": {"method": "none", "end_epoch": 4}}).pruning.end_epoch == 4


def test_layers_are_left_out_by_pruning_alone():
    for method in ("neuron", "head", "weight"):
        assert read({"pruning": {"method": method, "layers": [0, 2]}}).pruning.layers == (0, 2)
    (problem,) = problems_of({"pruning": {"method": "none", "layers": [0, 2]}})
    assert problem.startswith("pruning.layers: [0, 2] is only for pruning.method: neuron, head or weight, not none")
    (problem,) = problems_of({"pruning": {"layers": [0, 2]}, "budget": {"max_size_mb": 5}})
    assert problem == "pruning.layers: [0, 2] is set, but a budget chooses it; leave it or the budget out"


@pytest.mark.parametrize("name", OWN_SPARSITIES)
@pytest.mark.parametrize("method", ["none", "neuron", "head", "weight"])
def test_own_sparsities_need_their_method(method, name):
    options = {"pruning": {"method": method, name: 0.5}}
    if method == "neuron" or (method, name) == ("head", "attention_heads"):
        assert getattr(read(options).pruning, name) == 0.5
        return
    (problem,) = problems_of(options)
    assert problem.startswith(f"pruning.{name}: 0.5 is only for pruning.method: neuron")
    assert f"not {method}; change method or leave {name} out" in problem


def test_a_sparsity_of_the_pooler_brings_the_pooler():
    assert read({}).pooling == "mean"
    assert read({"pruning": {"pooler": 0.5}}).pooling == "cls"
    assert read({"pooling": "cls"}).pruning.pooler is None
    (problem,) = problems_of({"pooling": "mean", "pruning": {"pooler": 0.5}})
    assert problem.startswith("pruning.pooler: 0.5 is only for pooling: cls")


@pytest.mark.parametrize("pattern", ["block_4x4", "n2_m4"])
@pytest.mark.parametrize("method", ["none", "neuron", "head"])
def test_patterns_are_for_weights(method, pattern):
    (problem,) = problems_of({"pruning": {"method": method, "pattern": pattern}})
    assert problem.startswith(f"pruning.pattern: '{pattern}' is only for pruning.method: weight, not {method}")


def test_n2_m4_removes_half():
    pruning = {"method": "weight", "pattern": "n2_m4"}
    (problem,) = problems_of({"pruning": pruning})
    assert problem.startswith("pruning.final_sparsity: 0.6 does not fit pruning.pattern: n2_m4")
    assert problem.endswith("set final_sparsity to 0.5")
    assert read({"pruning": {**pruning, "final_sparsity": 0.5}}).pruning.pattern == "n2_m4"


@pytest.mark.parametrize("final_sparsity", [0.0, 0.3, 0.99])
def test_block_4x4_takes_any_sparsity(final_sparsity):
    pruning = {"method": "weight", "pattern": "block_4x4", "final_sparsity": final_sparsity}
    assert read({"pruning": pruning}).pruning.final_sparsity == final_sparsity


def test_weight_pruning_does_not_complain_about_the_default_importance():
    assert read({"pruning": {"method": "weight"}}).pruning.importance == "taylor"


@pytest.mark.parametrize("name, value", [("threshold", 0.5), ("in_scope_recall", 0.9), ("messages", "other.txt")])
def test_options_of_the_detector_need_the_detector(name, value):
    assert getattr(read({"out_of_scope": {name: value}}).out_of_scope, name) == value
    (problem,) = problems_of({"out_of_scope": {"detector": "none", name: value}})
    assert problem.startswith(f"out_of_scope.{name}: ")
    assert "only for out_of_scope.detector: neighbours, not none" in problem


@pytest.mark.parametrize("component", [BertEntityExtractorConfig, BertAnswerExtractorConfig])
def test_synthetic_messages_are_for_intents(component):
    for cls, count in ((component, 0), (component, 1), (JointBertClassifierConfig, 3)):
        options = {"distillation": {"synthetic_messages": count}}
        assert cls.from_dict(options).distillation.synthetic_messages == count
    with pytest.raises(ConfigError, match="synthetic_messages: 3 is for intents, which Bert.*Extractor does not learn"):
        component.from_dict({"distillation": {"synthetic_messages": 3}})


def test_all_problems_come_in_one_error():
    problems = problems_of(
        {
            "epochs": 0,
            "learning_rat": 0.1,
            "pruning": {"method": "head", "pooler": 0.5, "initial_sparsity": 0.8, "frequency": "often"},
            "distillation": True,
            "quantization": {"method": "int4", "bits": 4},
        }
    )
    named = ["distillation", "epochs", "learning_rat", "pruning.frequency", "pruning.initial_sparsity"]
    assert sorted(problem.partition(":")[0] for problem in problems) == [
        *named,
        "pruning.pooler",
        "quantization.bits",
        "quantization.method",
    ]


def test_no_conflict_is_reported_with_an_option_that_is_itself_wrong():
    (problem,) = problems_of({"pruning": {"initial_sparsity": 0.7, "final_sparsity": 7}})
    assert problem.startswith("pruning.final_sparsity")
    (problem,) = problems_of({"pruning": {"method": "weights", "query_key": 0.5, "pattern": "block_4x4"}})
    assert problem.startswith("pruning.method")
    (problem,) = problems_of({"epochs": "20", "pruning": {"end_epoch": 12}})
    assert problem.startswith("epochs")


@pytest.mark.parametrize(("epochs", "end_epoch"), [(1, 0.625), (2, 1.25), (8, 5.0), (16, 10.0)])
@pytest.mark.parametrize("pruning", [None, {}, {"end_epoch": None}, {"begin_epoch": 0.5}])
def test_the_end_of_pruning_follows_epochs_unless_set(epochs, end_epoch, pruning):
    assert read({"epochs": epochs, "pruning": pruning}).pruning.end_epoch == end_epoch
    assert PrunedBertIntentClassifierConfig(epochs=epochs).pruning.end_epoch == end_epoch


def test_begin_and_end_follow_the_epoch_fraction_that_rasa_applied_to_epochs():
    # `rasa train nlu --finetune --epoch-fraction 0.25` with `epochs: 8`
    rasa = {"epochs": 2, "finetuning_epoch_fraction": 0.25}
    config = read({**rasa, "pruning": {"begin_epoch": 2, "end_epoch": 6}})
    assert (config.pruning.begin_epoch, config.pruning.end_epoch) == (0.5, 1.5)
    assert read(rasa) == read({"epochs": 2})
    assert "finetuning_epoch_fraction" not in config.to_dict()
    assert read(config.to_dict()) == config


@pytest.mark.parametrize("fraction", [None, 1, 1.0])
def test_an_epoch_fraction_of_one_changes_nothing(fraction):
    pruning = {"begin_epoch": 1, "end_epoch": 6}
    assert read({"finetuning_epoch_fraction": fraction, "pruning": pruning}) == read({"pruning": pruning})


@pytest.mark.parametrize("fraction", [-1, "half", True, float("nan")])
def test_an_epoch_fraction_that_is_no_number_is_an_error(fraction):
    (problem,) = problems_of({"finetuning_epoch_fraction": fraction})
    assert problem.startswith("finetuning_epoch_fraction: ")
