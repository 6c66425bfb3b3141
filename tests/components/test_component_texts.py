"""Whatever text arrives, a classifier answers quickly with a well-formed prediction and never raises."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from component_harness import CLASSIFIERS, EXAMPLES, MESSAGES, RESOURCE, WORDPIECES, assert_well_formed, predict
from odd_texts import LONG, NOTHING_TO_READ, SOMETHING_TO_READ

from rasa_compressed_bert.artifact.artifact import Artifact, read_artifact
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor

classifiers = pytest.mark.parametrize("case", CLASSIFIERS, indirect=True)


@classifiers
@pytest.mark.parametrize("text", [*NOTHING_TO_READ.values(), None], ids=[*NOTHING_TO_READ, "no text"])
def test_text_without_a_wordpiece_is_no_intent(trained, text):
    (prediction,) = predict(trained.component, [text])
    assert prediction["intent"] == {"name": None, "confidence": 0.0}
    assert prediction["intent_ranking"] == []


@classifiers
@pytest.mark.parametrize("text", SOMETHING_TO_READ.values(), ids=SOMETHING_TO_READ.keys())
def test_any_other_text_gets_an_intent(trained, text):
    (prediction,) = predict(trained.component, [text])
    assert_well_formed(prediction, labels=EXAMPLES)
    assert prediction["intent"]["name"] in EXAMPLES


@classifiers
@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
def test_long_text_is_answered_quickly(trained, text):
    start = time.perf_counter()
    (prediction,) = predict(trained.component, [text])
    assert time.perf_counter() - start < 5
    assert_well_formed(prediction, labels=EXAMPLES)


@classifiers
def test_long_text_is_predicted_by_its_beginning(trained):
    beginning, whole = predict(trained.component, ["oh it is hot " * 100, "oh it is hot " * 7_700])
    assert beginning["intent_ranking"] == whole["intent_ranking"]


@pytest.mark.parametrize("case", WORDPIECES, indirect=True)
def test_case_accents_and_control_characters_do_not_matter(trained):
    """The tokenizer of the weights is uncased and drops accents and control characters.

    The character view has no tokenizer: it ignores case alone, but does not change the intent here.
    """
    texts = ["hello you", "HELLO You", "héllo you", "hel\x00lo \u200byou"]
    artifact = read_artifact(trained.folder / RESOURCE.name)
    manifest = {name: value for name, value in artifact.manifest.items() if name != "views"}
    predictor = MessagePredictor(Artifact(manifest, artifact.files))
    plain, *others = [predictor.predict(text).ranking for text in texts]
    assert others == [plain] * 3

    plain, upper, *others = predict(trained.component, texts)
    assert upper["intent_ranking"] == plain["intent_ranking"]
    assert [other["intent"]["name"] for other in others] == [plain["intent"]["name"]] * 2


@pytest.mark.slow
@classifiers
def test_threads_that_parse_at_once_do_not_disturb_each_other(trained):
    texts = [*MESSAGES, *NOTHING_TO_READ.values(), *SOMETHING_TO_READ.values(), "oh it is hot " * 1_000] * 10
    alone = predict(trained.component, texts)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda part: predict(trained.component, part), [texts, texts[::-1]])
    assert first == alone
    assert second == alone[::-1]
