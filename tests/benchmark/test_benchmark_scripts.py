from collections import Counter

import pytest

from benchmarks.datasets import prepare, split, stratified_sample, write_nlu
from benchmarks.rows import OURS, ROWS, is_ours, row_config
from rasa_compressed_bert.benchmark.comparison import LabelledMessage
from rasa_compressed_bert.benchmark.messages import load_messages
from rasa_compressed_bert.benchmark.random_models import bert_base_shape, evenly_pruned
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig

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


@pytest.mark.parametrize("sparsity", [0.4, 0.7])
def test_evenly_pruned_has_the_sparsity(sparsity):
    shape = bert_base_shape()
    left = evenly_pruned(shape, sparsity).encoder_size() / shape.encoder_size()
    assert left == pytest.approx(1 - sparsity, abs=0.005)
