import pytest

from rasa_compressed_bert.metrics.intents import intent_scores


def test_scores_count_only_the_intents_of_the_test_data():
    assert intent_scores(["a", "a", "b", "b"], ["a", "a", "b", None]) == {
        "accuracy": 0.75,
        "macro_f1": pytest.approx((1.0 + 2 / 3) / 2),
    }
