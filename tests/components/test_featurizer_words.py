"""Every word has one row of features, whatever the words and the text are."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from component_harness import (
    CONTEXT,
    FEATURIZERS,
    MESSAGES,
    RESOURCE,
    WORDS,
    create,
    load,
    make_storage,
    train,
    training_data,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_texts import LONG, NOTHING_TO_READ, SOMETHING_TO_READ
from rasa.nlu.constants import TOKENS_NAMES
from rasa.nlu.tokenizers.tokenizer import Token
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import ACTION_TEXT, RESPONSE, TEXT
from rasa.shared.nlu.training_data.features import Features
from rasa.shared.nlu.training_data.message import Message

from rasa_compressed_bert.components import resource_io

HIDDEN = 32
ODD = {**NOTHING_TO_READ, **SOMETHING_TO_READ, **LONG}
NO_WORDPIECE = ["\u200b", "", "\u0301", "\x00", "\ud800", "\ufe0f"]

pytestmark = pytest.mark.parametrize("case", FEATURIZERS, indirect=True)


@pytest.fixture(scope="module")
def exact(case, cache_folder, tmp_path_factory):
    """The featurizer in 32-bit floats."""
    config = {**case.config, "quantization": {"method": "none"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RASA_CACHE_DIRECTORY", str(cache_folder))
        return train(case.component, config, training_data(words=True), make_storage(tmp_path_factory.mktemp("exact")))


def message_of(words, *, text=None, attribute=TEXT):
    """A message with these words, whatever its text is."""
    tokens = [Token(word, 0) for word in words]
    return Message({attribute: " ".join(words) or "-" if text is None else text, TOKENS_NAMES[attribute]: tokens})


def features_of(component, message, attribute=TEXT):
    """The word features and the sentence features of a message."""
    component.process([message])
    words, sentence = message.get_dense_features(attribute)
    return words.features, sentence.features


@pytest.mark.parametrize("text", [*MESSAGES, *ODD.values()], ids=[*MESSAGES, *ODD])
def test_one_row_for_each_of_rasas_words(trained, text):
    (message,) = WORDS.process([Message({TEXT: text})])
    words, sentence = features_of(trained.component, message)
    assert words.shape == (len(message.get(TOKENS_NAMES[TEXT])), HIDDEN)
    assert sentence.shape == (1, HIDDEN)
    assert words.dtype == sentence.dtype == np.float32
    assert np.isfinite(words).all() and np.isfinite(sentence).all() and sentence.any()


@pytest.mark.parametrize("nothing", NO_WORDPIECE, ids=ascii)
def test_word_without_a_wordpiece_is_a_row_of_zeros_and_shifts_no_other(exact, nothing):
    expected, sentence = features_of(exact, message_of(["hot", "it", "is"]))
    found, same_sentence = features_of(exact, message_of([nothing, "hot", "it", nothing, nothing, "is"]))
    assert expected.any(axis=1).all()
    np.testing.assert_array_equal(found[[1, 2, 5]], expected)
    np.testing.assert_array_equal(found[[0, 3, 4]], 0)
    np.testing.assert_array_equal(same_sentence, sentence)
    alone, sentence = features_of(exact, message_of([nothing]))
    assert alone.shape == (1, HIDDEN) and not alone.any() and sentence.any()


@settings(max_examples=150, deadline=None)
@given(words=st.lists(st.text(st.characters(codec=None, exclude_categories=()), max_size=8), min_size=1, max_size=12))
def test_any_words_give_one_row_each(exact, words):
    """Words beyond the first 30 wordpieces have rows of zeros."""
    found, sentence = features_of(exact, message_of(words))
    assert found.shape == (len(words), HIDDEN) and sentence.shape == (1, HIDDEN)
    (encoded,) = exact._featurizer.encode_words([words])
    assert set(np.flatnonzero(found.any(axis=1))) == set(encoded.words.tolist()) - {-1}


def test_row_of_a_word_is_the_mean_of_its_wordpieces(exact):
    """The wordpieces of `hothot` are `hot`, `##h`, `##o`, `##t`."""
    (encoded,) = exact._featurizer.encode_words([["oh", "hothot", "is"]])
    assert encoded.words.tolist() == [-1, 0, 1, 1, 1, 1, 2, -1]
    hidden = exact._featurizer._engine.run(encoded.input_ids[np.newaxis], np.ones((1, 8), np.int64))[0][0]
    words, sentence = features_of(exact, message_of(["oh", "hothot", "is"]))
    np.testing.assert_allclose(words, [hidden[1], hidden[2:6].mean(axis=0), hidden[6]], atol=1e-6)
    np.testing.assert_allclose(sentence, [hidden.mean(axis=0)], atol=1e-6)


def test_pooling_cls_is_the_first_hidden_state_and_leaves_words_as_they_are(exact):
    config = {**exact._config, "pooling": "cls"}
    cls = exact.load(config, exact._model_storage, RESOURCE, CONTEXT)
    words, sentence = features_of(exact, message_of(["oh", "it", "is"]))
    same_words, other_sentence = features_of(cls, message_of(["oh", "it", "is"]))
    np.testing.assert_array_equal(same_words, words)
    (encoded,) = cls._featurizer.encode_words([["oh", "it", "is"]])
    hidden = cls._featurizer._engine.run(encoded.input_ids[np.newaxis], np.ones((1, 5), np.int64))[0][0]
    np.testing.assert_array_equal(other_sentence, hidden[:1])
    assert np.abs(other_sentence - sentence).max() > 0.01


def test_special_wordpieces_in_a_text_are_words_like_others(exact):
    words = ["[CLS]", "hot[SEP]it", "[PAD]", "[MASK]", "[UNK]", "[SEP]", "hot"]
    found, _ = features_of(exact, message_of(words))
    assert found.shape == (7, HIDDEN) and found.any(axis=1).all()


def test_words_of_another_text_are_featurized_as_they_are(exact):
    expected, sentence = features_of(exact, message_of(["hot", "it"]))
    for text in ("another text of many more words", "x", "hothotit"):
        found, same_sentence = features_of(exact, message_of(["hot", "it"], text=text))
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(same_sentence, sentence)
    assert features_of(exact, message_of(["hot it", "is  very hot"], text="hot"))[0].shape == (2, HIDDEN)


def test_words_beyond_max_length_are_rows_of_zeros(exact, caplog):
    """32 wordpieces are kept, two special ones included; a word that is cut has the mean of its kept wordpieces."""
    with caplog.at_level(logging.WARNING):
        fits, _ = features_of(exact, message_of(["hot"] * 30))
        assert not caplog.records
        found, _ = features_of(exact, message_of(["hot"] * 29 + ["hothot"] + ["it"] * 8))
    assert found.shape == (38, HIDDEN)
    np.testing.assert_array_equal(found[:30], fits)
    np.testing.assert_array_equal(found[30:], 0)
    assert "1 of 1 message is longer than max_length: 32 wordpieces; the model does not see the rest" in caplog.text


def test_every_text_of_a_message_has_features_of_its_own(trained):
    texts = {TEXT: "oh it is hot", RESPONSE: "hello", ACTION_TEXT: "order a pizza"}
    (message,) = WORDS.process([Message(dict(texts))])
    trained.component.process([message])
    assert len(message.features) == 6
    for attribute, text in texts.items():
        words, sentence = message.get_dense_features(attribute)
        expected, expected_sentence = features_of(trained.component, message_of(text.split()))
        np.testing.assert_array_equal(words.features, expected)
        np.testing.assert_array_equal(sentence.features, expected_sentence)


def test_other_featurizers_features_stay(trained):
    message = message_of(["oh", "it"])
    message.add_features(Features(np.ones((2, 3)), "sequence", TEXT, "another"))
    words, _ = features_of(trained.component, message)
    assert words.shape == (2, 3 + HIDDEN)


@pytest.mark.parametrize("alias", [None, "bert"])
def test_features_have_the_name_of_their_alias_or_else_of_the_component(trained, alias):
    component = load(trained.case.component, {**trained.case.config, "alias": alias}, trained.storage)
    message = message_of(["hot"])
    component.process([message])
    assert {features.origin for features in message.features} == {alias or CONTEXT.node_name}


@pytest.mark.parametrize("attribute", [TEXT, RESPONSE, ACTION_TEXT])
def test_message_without_words_says_what_is_missing(case, trained, storage, attribute):
    def data():
        return type(training_data())([Message({attribute: "oh it is hot " * 20})])

    untrained = create(case.component, case.config, storage)
    for call in (
        lambda: trained.component.process(data().training_examples),
        lambda: trained.component.process_training_data(data()),
        lambda: untrained.train(data()),
    ):
        with pytest.raises(
            RasaException, match="'oh it is hot .*' has no words.*WhitespaceTokenizer, before Quantized"
        ):
            call()


def test_featurizer_without_weights_says_so(case, storage):
    untrained = create(case.component, case.config, storage)
    resource_io.save(None, storage, RESOURCE)
    for call in (
        lambda: load(case.component, case.config, storage),
        lambda: untrained.process([]),
        lambda: untrained.process_training_data(training_data()),
    ):
        with pytest.raises(RasaException, match="has no weights: train the pipeline with `rasa train`"):
            call()


def test_empty_list_of_words_and_empty_text_have_no_features(trained):
    messages = [message_of([]), Message({TEXT: "", TOKENS_NAMES[TEXT]: []}), Message({"intent": "greet"})]
    assert trained.component.process(messages) == messages
    assert [message.features for message in messages] == [[], [], []]


def test_threads_that_parse_at_once_do_not_disturb_each_other(trained):
    sentences = [text.split() for text in [*MESSAGES[:-1], *SOMETHING_TO_READ.values(), "oh it is hot " * 100]] * 10
    alone = [features_of(trained.component, message_of(words)) for words in sentences]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda words: features_of(trained.component, message_of(words)), sentences))
    for one, other in zip(alone, together):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_features_are_those_of_language_model_featurizer(exact, tiny_weights, monkeypatch):
    """This holds if every word has wordpieces. Rasa's sentence features are the first hidden state."""
    from rasa.nlu.featurizers.dense_featurizer.lm_featurizer import LanguageModelFeaturizer
    from rasa.nlu.utils.hugging_face import registry

    # Rasa hard-codes the two special ids of BERT's own vocabulary
    monkeypatch.setitem(registry.model_special_tokens_pre_processors, "bert", lambda ids: [2, *ids, 3])
    options = {"model_name": "bert", "model_weights": str(tiny_weights), "alias": None}
    theirs = LanguageModelFeaturizer({**LanguageModelFeaturizer.get_default_config(), **options}, CONTEXT)
    ours = exact.load({**exact._config, "pooling": "cls"}, exact._model_storage, RESOURCE, CONTEXT)
    texts = ["oh it is hot", "hello", "don't you book a table?", "Crème brûlée, SPICY curries 4 me", "今天 hot", "😀"]
    for text in texts:
        mine, reference = (WORDS.process([Message({TEXT: text})])[0] for _ in range(2))
        for found, expected in zip(features_of(ours, mine), features_of(theirs, reference)):
            np.testing.assert_allclose(found, expected, atol=1e-4)
