import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.commands import command_line, named_folder
from benchmarks.datasets import prepare, split, stratified_sample, write_nlu
from benchmarks.featurizers import measured
from benchmarks.rows import LMF, OURS, QUANTIZED, ROWS, featurizer_config, featurizers, is_ours, row_config
from benchmarks.run_featurizer import to_markdown
from rasa_compressed_bert.benchmark.comparison import EntitySpan, LabelledMessage
from rasa_compressed_bert.benchmark.environment import environment
from rasa_compressed_bert.benchmark.messages import load_messages
from rasa_compressed_bert.benchmark.random_models import bert_base_shape, evenly_pruned
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.errors import CompressedBertError

MESSAGES = [LabelledMessage(f"message {index}", "rare" if index < 2 else f"intent{index % 3}") for index in range(200)]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_a_complete_configuration(row):
    config = row_config(row)
    assert {"recipe", "assistant_id", "language"} <= set(config)
    ours = [item for item in config["pipeline"] if item["name"] == OURS]
    assert bool(ours) == is_ours(row)
    for item in ours:
        options = {key: value for key, value in item.items() if key != "name"}
        parsed = PrunedBertIntentClassifierConfig.from_dict(options)
        assert not row.isdigit() or parsed.pruning.final_sparsity == int(row) / 100


def test_sample_is_seeded_stratified_and_has_every_intent():
    sample = stratified_sample(MESSAGES, 40)
    counts = Counter(message.intent for message in sample)
    assert sample == stratified_sample(MESSAGES, 40) != stratified_sample(MESSAGES, 40, seed=1)
    assert len(sample) == len(set(sample)) == 40 and counts["rare"] >= 1
    assert all(12 <= counts[f"intent{index}"] <= 14 for index in range(3))
    assert stratified_sample(MESSAGES, 0) == stratified_sample(MESSAGES, 1000) == MESSAGES


def test_split_shares_nothing():
    training, test = split(MESSAGES, 0.2)
    assert len(test) == 40 and sorted(training + test) == sorted(MESSAGES)


def test_written_messages_are_read_as_they_were(tmp_path):
    odd = [LabelledMessage(text, "a") for text in ("it's: #1", "what is 2 * 3?", "ünï cödé", '"quoted"', "- dash")]
    write_nlu(odd, tmp_path / "nlu.yml")
    assert load_messages(tmp_path / "nlu.yml") == odd


def test_prepare_splits_a_single_file(tmp_path):
    write_nlu(MESSAGES, tmp_path / "nlu.yml")
    training, test = prepare(tmp_path / "nlu.yml", tmp_path / "work", sample=100)
    assert (len(load_messages(training)), len(load_messages(test))) == (100, 40)
    assert len(load_messages(tmp_path / "work" / "keyword.yml")) == 2


@pytest.mark.parametrize("entities", [False, True])
def test_prepare_keeps_entities_where_it_is_asked_to(tmp_path, entities):
    city = EntitySpan(8, 9, "city", role="from")
    messages = [message._replace(entities=(city, EntitySpan(0, 7, "word"))[::-1]) for message in MESSAGES]
    write_nlu(messages, tmp_path / "nlu.yml")
    for path in prepare(tmp_path / "nlu.yml", tmp_path / "work", sample=0, entities=entities):
        assert {message in messages for message in load_messages(path, entities=True)} == {entities}


def test_both_featurizers_stand_in_the_same_pipeline(tiny_weights):
    items = featurizers(str(tiny_weights))
    assert {Path(item["model_weights"]) for item in items.values()} == {tiny_weights}
    configs = [featurizer_config(items[name], diet_epochs=7) for name in (LMF, QUANTIZED)]
    for config in configs:
        config["pipeline"].pop(1)
    assert configs[0] == configs[1]
    assert configs[0]["pipeline"][-1]["epochs"] == 7 and "random_seed" in configs[0]["pipeline"][-1]


def test_featurizer_results_as_markdown():
    times = {LMF: {"p50_ms": 40.0, "p95_ms": 50.0}, QUANTIZED: {"p50_ms": 1.0, "p95_ms": 2.0}}
    near = {name: {"rows": 9, "mean": 0.999, "percentile_1": 0.991} for name in ("words", "sentence")}
    row = {"accuracy": 0.9, "macro_f1": 0.8, "entity_f1": 0.7}
    content = {
        "training_messages": 200,
        "test_messages": 3,
        "command": "python -m something",
        "environment": environment(),
        "alone": [{"weights": "tiny", **times, "ratio": 40.0, "similarity": near}],
        "training": {"messages": 500, "seconds": {LMF: 60.0, QUANTIZED: 10.0}},
        "results": [{"model": "lmf_diet", **row}, {"model": "quantized_diet", **row}],
    }
    text = to_markdown("some data", content)
    assert "| tiny | 40.00 | 50.00 | 1.00 | 2.00 | 40.0 |" in text and "0.9990 on average" in text
    assert "6.0 times faster" in text and "| quantized_diet | 90.0 % | 80.0 % | 70.0 % |" in text


@pytest.mark.slow
def test_featurizers_are_measured_alone(tiny_weights, tmp_path):
    texts = ["hello you", "will it rain today", "play a song please", "oh it is hot"]
    write_nlu([LabelledMessage(text, "a") for text in texts], tmp_path / "nlu.yml")
    folders = {"training": tmp_path / "nlu.yml", "test": tmp_path / "nlu.yml", "folder": tmp_path}
    times = measured("latency", str(tiny_weights), **folders)
    assert all(0 < times[name]["p50_ms"] <= times[name]["p95_ms"] for name in (LMF, QUANTIZED))
    near = measured("similarity", str(tiny_weights), **folders)
    assert (near["words"]["rows"], near["sentence"]["rows"]) == (14, 4)
    assert (
        near["words"]["mean"] > 0.98
    )  # the first hidden states differ: Rasa takes the ids 101 and 102 for [CLS], [SEP]
    training = measured("training", str(tiny_weights), **folders)
    assert training["messages"] == 4 and set(training["seconds"]) == {LMF, QUANTIZED}
    with pytest.raises(CompressedBertError, match="Measuring latency .* failed"):
        measured("latency", str(tmp_path / "nothing"), **folders)


def test_published_command_names_no_folder_outside(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script", "--data", "snips=/some/where/snips", "--sample", "5"])
    assert command_line("benchmarks.x") == "python -m benchmarks.x --data snips=DATA/snips --sample 5"
    assert named_folder("a=b/c") == ("a", Path("b/c")) and named_folder("b/c") == ("c", Path("b/c"))


@pytest.mark.parametrize("sparsity", [0.4, 0.7])
def test_evenly_pruned_has_the_sparsity(sparsity):
    shape = bert_base_shape()
    left = evenly_pruned(shape, sparsity).encoder_size() / shape.encoder_size()
    assert left == pytest.approx(1 - sparsity, abs=0.005)
