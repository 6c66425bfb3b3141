"""Which trials share a dense teacher, without training one; and the number of parameters."""

import pytest
from random_models import random_shape

from rasa_compressed_bert.benchmark.random_models import random_artifact
from rasa_compressed_bert.config import DistilledIntentClassifierConfig, PrunedBertIntentClassifierConfig
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.search.evaluation import Evaluator
from rasa_compressed_bert.search.goals import Measured
from rasa_compressed_bert.search.task import parameters_of


class Task:
    """Remembers the options of dense models, which are their own copies."""

    def __init__(self):
        self.dense = []

    def split(self, split):
        return [], []

    def fine_tune(self, config, training, held_out):
        self.dense.append(config)
        return config

    def compress(self, dense, config):
        return dense

    train = fine_tune

    def measured(self, artifact, held_out):
        return Measured({"macro_f1": artifact.distillation.synthetic_messages / 20}, 1.0, 1.0, 1)


@pytest.mark.parametrize("method", ["none", "neuron"])
def test_options_that_decide_what_is_learnt_have_their_effect(method):
    """Synthetic messages are made with the dense model, and only for models that are pruned and distilled."""
    task = Task()
    evaluator = Evaluator(task, PrunedBertIntentClassifierConfig, {"pruning": {"method": method}})
    tried = [
        {"pruning.method": "head", "distillation.synthetic_messages": 0},
        {"pruning.method": "head", "distillation.synthetic_messages": 8},
        {"pruning.method": "head", "distillation.enabled": False},
    ]
    assert [round(20 * evaluator.measure(options).score) for options in tried[:2]] == [0, 8]
    evaluator.measure(tried[2])
    assert [config.distillation.enabled for config in task.dense] == [True, True, False]
    assert all(config.pruning.method == ("head" if method == "none" else method) for config in task.dense)
    for options in ({"pruning.final_sparsity": 0.5}, {"distillation.alpha": 0.9}, {"epochs": 3}):
        evaluator.measure({**tried[1], **options})
    assert len(task.dense) == 3, "the dense model does not depend on these"


def test_models_share_a_dense_one_on_other_splits_too():
    task = Task()
    evaluator = Evaluator(task, PrunedBertIntentClassifierConfig, {"epochs": 6})
    for sparsity in (0.4, 0.5):
        for split in (1, 2):
            evaluator.measure({"pruning.final_sparsity": sparsity}, split=split)
    assert [config.pruning.final_sparsity for config in task.dense] == [0.4, 0.4], "one for each split"
    for options in ({"epochs": 3}, {"learning_rate": 3e-4}, {"vocabulary": "trim"}):
        evaluator.measure(options, split=1)
        expected = PrunedBertIntentClassifierConfig.from_dict({"epochs": 6, **options})
        assert task.dense[-1] == expected, "it is trained as `rasa train` does"
    assert len(task.dense) == 5


def test_a_format_changes_no_number_of_parameters():
    """Else a model of the same widths would count as larger in int8, of which a search minimises parameters."""
    floats, quantized = (parameters_of(random_artifact(random_shape(), int8=int8)) for int8 in (False, True))
    assert floats == quantized


@pytest.mark.parametrize(
    "config_class, section, option",
    [
        (PrunedBertIntentClassifierConfig, "out_of_scope", "messages"),
        (DistilledIntentClassifierConfig, "augmentation", "unlabelled"),
    ],
)
def test_files_of_messages_are_read_before_anything_is_trained(tmp_path, config_class, section, option):
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    with pytest.raises(DataError, match=f"{section}.{option}: .*latin.txt' cannot be read"):
        Evaluator(Task(), config_class, {section: {option: str(tmp_path / "latin.txt")}})
