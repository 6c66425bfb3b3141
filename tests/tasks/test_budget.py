"""A budget chooses the sparsity with as few trainings as bisection needs."""

import dataclasses
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_harness import EXAMPLES, check

from rasa_compressed_bert.artifact.artifact import Artifact, write_artifact
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example, normal_form
from rasa_compressed_bert.errors import ConfigError, DataError
from rasa_compressed_bert.inspection.description import inspect_model
from rasa_compressed_bert.inspection.report import inspection_blocks
from rasa_compressed_bert.reporting.terminal import as_text
from rasa_compressed_bert.tasks import bert_training
from rasa_compressed_bert.tasks import budget as budgets
from rasa_compressed_bert.tasks.bert_training import train_bert
from rasa_compressed_bert.tasks.budget import SPARSITIES, Tried, compress_within

DENSE, HELD_OUT = 0.9, [Example("hello", "greet")]
NOTHING = object()  # stands for weights that are not read


@pytest.fixture
def picked(monkeypatch):
    """Chooses the sparsity for a budget, with stubbed training and figures that are formulas of the sparsity."""

    def measured(artifact, dense, held_out, sparsity):
        assert dense == DENSE
        return Tried(sparsity, 0.1 * sparsity**2, 1.0 - 0.9 * sparsity, 10.0 - 5.0 * sparsity)

    def pick(**budget):
        trained = []

        def compress(config):
            if config.quantization.method == "none":  # the dense reference
                assert config.pruning.method == "none"
                return Artifact({"sparsity": None}, {})
            trained.append(config.pruning.final_sparsity)
            assert (config.pruning.method == "none") == (config.pruning.final_sparsity == 0)
            return Artifact({"sparsity": config.pruning.final_sparsity}, {})

        config = PrunedBertIntentClassifierConfig.from_dict({"budget": budget})
        choice = compress_within(HELD_OUT, config, compress)
        sparsity = choice.described["chosen"]
        pruning = {"method": "none"} if sparsity == 0 else {}
        pruning = dataclasses.replace(config.pruning, final_sparsity=sparsity, **pruning)
        assert choice.config == dataclasses.replace(config, pruning=pruning)
        assert len(trained) == len(set(trained)) == len(choice.described["tried"]) <= 5
        return sparsity

    monkeypatch.setattr(budgets, "_measured", measured)
    monkeypatch.setattr(budgets, "_f1", lambda artifact, held_out: DENSE)
    return pick


@given(st.integers(0, 40), st.integers(0, 40))
def test_bisection_finds_the_first(first, size):
    calls = []
    found = budgets._first(lambda place: calls.append(place) or place >= first, size)
    assert found == min(first, size) and len(calls) <= 6 and all(0 <= place < size for place in calls)


@pytest.mark.parametrize(
    "budget, sparsity",
    [
        ({"max_score_drop": 0.03}, 0.5),
        ({"max_score_drop": 0.0}, 0.0),
        ({"max_score_drop": 1.0}, 0.95),
        ({"max_latency_ms": 0.5}, 0.6),
        ({"max_size_mb": 9.0}, 0.2),
        ({"max_size_mb": 9.0, "max_latency_ms": 0.25}, 0.85),
        ({"max_latency_ms": 5.0}, 0.0),
        ({"max_score_drop": 0.05, "max_latency_ms": 0.5, "max_size_mb": 8.0}, 0.7),
    ],
)
def test_what_is_picked(picked, budget, sparsity):
    assert picked(**budget) == sparsity and sparsity in SPARSITIES


@pytest.mark.parametrize("budget", [{"max_latency_ms": 0.01}, {"max_score_drop": 0.01, "max_size_mb": 6.0}])
def test_a_budget_that_nothing_keeps_within(picked, budget):
    with pytest.raises(DataError, match=r"budget: no compression meets .*\. Tried:\n  - \d+ % pruned: "):
        picked(**budget)


def test_a_budget_needs_held_out_messages(configure):
    """The error is raised before any training."""
    config = configure(budget={"max_size_mb": 1}, validation_split=0.1)
    with pytest.raises(DataError, match="too few messages to hold some out"):
        train_bert([Example("hello", "greet"), Example("bye", "goodbye")], config, pretrained=NOTHING)


def test_no_other_spelling_of_what_it_measures_on_is_learnt(configure, monkeypatch):
    examples = [Example(text, "say") for number in range(50) for text in (f"say {number}", f"Say  {number}")]
    examples += [Example(f"few {intent} {number}", f"few {intent}") for intent in range(30) for number in range(3)]
    parts = []
    monkeypatch.setattr(bert_training, "fine_tune_bert", lambda part, *others, **options: parts.append(part))
    monkeypatch.setattr(bert_training, "compress_within", lambda part, *others: parts.append(part))
    bert_training.choose_sparsity(examples, configure(budget={"max_size_mb": 1}, validation_split=0.1))
    learnt, measured = ({normal_form(example.text) for example in part} for part in parts)
    assert not learnt & measured and len(parts[0]) + len(parts[1]) == len(examples)
    assert 7 <= sum(example.intent != "say" for example in parts[1]) <= 11, (
        "a tenth of the messages of intents with three"
    )


@pytest.mark.parametrize("size, warned", [(2_100_000, True), (1_900_000, False)])
def test_a_model_of_all_messages_that_is_larger_than_the_measured_ones(configure, monkeypatch, caplog, size, warned):
    config = configure(budget={"max_size_mb": 2.0}, validation_split=0.1)
    choice = budgets.Choice(config, {"chosen": 0.2, "why": "", "tried": []})
    model = Artifact({}, {"weights": np.random.default_rng(0).bytes(size)})
    monkeypatch.setattr(bert_training, "choose_sparsity", lambda *others, **options: choice)
    monkeypatch.setattr(bert_training, "fine_tune_bert", lambda *others, **options: None)
    monkeypatch.setattr(bert_training, "compress_bert", lambda *others: model)
    train_bert(EXAMPLES, config)
    said = [record.getMessage() for record in caplog.records if "max_size_mb: 2" in record.getMessage()]
    assert len(said) == warned and all("has 2.1" in one for one in said)


def test_a_model_with_a_budget_that_is_trained_further_keeps_what_was_chosen(configure, monkeypatch, caplog):
    config = configure(budget={"max_size_mb": 2.0}, validation_split=0.1)
    pruning = {**config.to_dict()["pruning"], "final_sparsity": 0.2}
    before = Artifact({"budget": {"chosen": 0.2}, "config": {**config.to_dict(), "pruning": pruning}}, {})
    after = Artifact({"config": config.to_dict()}, {"weights": np.random.default_rng(0).bytes(2_100_000)})
    monkeypatch.setattr(bert_training, "prepare_further", lambda *others, **options: None)
    monkeypatch.setattr(bert_training, "fine_tune_further", lambda run: None)
    monkeypatch.setattr(bert_training, "_finished", lambda run, **options: after)
    further = bert_training.finetune_bert(EXAMPLES, config, before)
    assert further.manifest == before.manifest and further.files == after.files
    assert "max_size_mb: 2" in caplog.text


@pytest.mark.parametrize(
    "options, message",
    [
        ({"pruning": {"final_sparsity": 0.5}}, "pruning.final_sparsity: 0.5 is set, but a budget chooses it"),
        ({"pruning": {"intermediate": 0.5}}, "pruning.intermediate: 0.5 is set, but a budget chooses it"),
        ({"pruning": {"method": "none"}}, "pruning.method: none cannot be combined with a budget"),
        ({"pruning": {"method": "weight"}}, "pruning.method: weight cannot be combined with a budget"),
        ({"validation_split": 0.0}, "validation_split: 0.0 holds out no messages"),
        ({"budget": {"max_size": 3}}, "did you mean 'max_size_mb'"),
        (
            {"budget": {"max_latency_ms": 0}},
            "budget.max_latency_ms: 0 is not",
        ),
    ],
)
def test_options_that_contradict_a_budget(options, message):
    with pytest.raises(ConfigError, match=message):
        PrunedBertIntentClassifierConfig.from_dict({"budget": {"max_size_mb": 3}, **options})


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_a_training_with_a_budget(configure, caplog, tmp_path):
    config = configure(
        epochs=2,
        validation_split=0.2,
        pruning={"frequency": 1},
        budget={"max_score_drop": 1.0, "max_size_mb": 1.0},
    )
    with caplog.at_level(logging.INFO):
        artifact = train_bert(EXAMPLES, config)
    chosen = artifact.manifest["budget"]["chosen"]
    assert chosen == 0.95 and "budget: 95 % is chosen, the strongest that is good enough." in caplog.text
    stored = dataclasses.replace(config, pruning=dataclasses.replace(config.pruning, final_sparsity=chosen))
    check(artifact, stored)
    tried = artifact.manifest["budget"]["tried"]
    assert [item["sparsity"] for item in tried] == sorted(item["sparsity"] for item in tried)
    assert all(item["latency_ms"] > 0 and 0 < item["size_mb"] < 1 for item in tried)
    write_artifact(artifact, tmp_path / "artifact")
    assert "95.0 % chosen, the strongest that is good enough" in as_text(
        inspection_blocks(inspect_model(tmp_path / "artifact"))
    )
