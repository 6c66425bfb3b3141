"""What every component that predicts intents guarantees to Rasa, its users and their bots."""

import pytest
from component_harness import (
    CLASSIFIERS,
    EXAMPLES,
    MESSAGES,
    assert_well_formed,
    create,
    load,
    predict,
    rankings,
    train,
    training_data,
)

pytestmark = pytest.mark.parametrize("case", CLASSIFIERS, indirect=True)


def test_options_that_rasa_adds_for_finetuning_are_accepted(case, storage):
    create(case.component, {**case.config, "finetuning_epoch_fraction": 0.5}, storage)


def test_predictions_are_well_formed(trained):
    for prediction in predict(trained.component, MESSAGES):
        assert_well_formed(prediction, labels=EXAMPLES)


def test_learns_its_tiny_data(trained):
    """Single words decide these intents, so even a random BERT must learn most of its training messages."""
    pairs = [(text, intent) for intent, texts in EXAMPLES.items() for text in texts]
    predictions = predict(trained.component, [text for text, _ in pairs])
    right = [prediction["intent"]["name"] == intent for prediction, (_, intent) in zip(predictions, pairs)]
    assert sum(right) >= 0.7 * len(pairs)


def test_what_rasa_adds_to_the_intent_does_not_reach_the_ranking(trained):
    """Rasa adds the full name of a retrieval intent to `intent`."""
    (prediction,) = predict(trained.component, ["hello"])
    prediction["intent"]["full_retrieval_intent_name"] = "faq/ask_name"
    assert set(prediction["intent_ranking"][0]) == {"name", "confidence"}


@pytest.mark.parametrize("length, listed", [(1, 1), (2, 2), (10, 4), (0, 4)])
def test_ranking_length(trained, length, listed):
    component = load(trained.case.component, {**trained.case.config, "ranking_length": length}, trained.storage)
    whole = rankings(trained.component, MESSAGES[:2])
    assert rankings(component, MESSAGES[:2]) == [ranking[:listed] for ranking in whole]


@pytest.mark.slow
def test_messages_that_the_vocabulary_cannot_tell_apart_are_named_once(quick, storage, caplog):
    """All characters of both are unknown to the vocabulary, for a student also to that of its teacher."""
    data = training_data({**EXAMPLES, "up": ["\U0001f44d", "good \U0001f44d"], "down": ["\U0001f44e", "no \U0001f44e"]})
    create(quick.component, quick.config, storage).train(data)
    (said,) = [record.getMessage() for record in caplog.records if "vocabulary" in record.getMessage()]
    assert "4 have words that it does not know: '\U0001f44d'; 'good \U0001f44d'; '\U0001f44e' ..." in said
    assert "2 have the same wordpieces as a message of another intent" in said
    assert "'\U0001f44d' (up); '\U0001f44e' (down)" in said


@pytest.mark.slow
def test_contradictions_are_named_once(quick, storage, caplog):
    create(quick.component, quick.config, storage).train(
        training_data({**EXAMPLES, "music": [*EXAMPLES["music"], "hello"]})
    )
    said = [record.getMessage() for record in caplog.records if "several intents" in record.getMessage()]
    assert len(said) == 1 and "'hello' (greet, music)" in said[0]


@pytest.mark.slow
def test_training_again_gives_the_same_model(trained, storage):
    again = train(trained.case.component, trained.case.config, training_data(), storage)
    for one, other in zip(rankings(again, MESSAGES), rankings(trained.component, MESSAGES)):
        assert [name for name, _ in one] == [name for name, _ in other]
        assert [value for _, value in one] == pytest.approx([value for _, value in other], abs=1e-3)
