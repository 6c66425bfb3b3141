"""The script `lookups`: the values that are removed from the training data, and how they are scored."""

import pytest

from benchmarks import lookups
from benchmarks.common.datasets import write_nlu
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import LabelledMessage


def message(text, value, kind="dish"):
    start = text.index(value)
    return LabelledMessage(text, "order", (EntitySpan(start, start + len(value), kind),))


MENU = [message(f"bring me dish{number} now", f"dish{number}") for number in range(30)]


def test_a_third_of_the_values_of_a_type_with_many_is_removed():
    removed = lookups.removed_values([*MENU, message("in Rome", "Rome", "city")])
    assert len(removed) == 10 and removed <= {("dish", f"dish{number}") for number in range(30)}
    assert removed == lookups.removed_values(list(reversed(MENU))), "the order of the messages does not matter"


def test_removed_values_are_in_lookup_tables_of_the_training_data(tmp_path):
    from rasa.shared.nlu.training_data.loading import load_data

    removed = lookups.removed_values(MENU)
    kept = [one for one in MENU if not removed & lookups.values_of(one)]
    write_nlu(kept, tmp_path / "train.yml")
    lookups.with_tables(tmp_path / "train.yml", removed)
    data = load_data(str(tmp_path / "train.yml"))
    assert len(data.training_examples) == 20
    (table,) = data.lookup_tables
    assert table["name"] == "dish" and {("dish", value) for value in table["elements"]} == removed


def test_scores():
    messages = [message("a Pho please", "Pho"), message("a pizza please", "pizza"), message("a soup", "soup")]
    found = [[[2, 5, "dish", None, None]], [[2, 7, "dish", None, None]], []]
    scores = lookups.scores(messages, found, {("dish", "pho"), ("dish", "soup")})
    assert scores["lookup_entities"] == 2 and scores["lookup_recall"] == 0.5
    assert scores["entity_f1"] == pytest.approx(0.8) and scores["rest_f1"] == 1.0


def test_rows_differ_in_one_option_alone():
    configs = [lookups.row_config(row)["pipeline"] for row in ("lookups", "without")]
    assert [pipeline[0].pop("lookups") for pipeline in configs] == [True, False]
    assert configs[0] == configs[1]
    names = [item["name"] for item in lookups.row_config("diet_regex")["pipeline"]]
    assert names.index("DIETClassifier") < names.index("RegexEntityExtractor") < names.index("FallbackClassifier")
