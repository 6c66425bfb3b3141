import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_compressed_bert.augmentation.parts_of_speech import PartsOfSpeech
from rasa_compressed_bert.augmentation.synthesis import nearest_words, synthesize
from rasa_compressed_bert.config import AugmentationConfig
from rasa_compressed_bert.data.words import split_words

MASK = "[MASK]"
NOTHING = {"mask": 0.0, "pos": 0.0, "neighbours": 0.0, "ngram": 0.0}
TEXTS = ["book a table for two", "play the next song", "will it rain tomorrow", "hello"]


def tags_of(texts):
    words = [[word.text for word in split_words(text)] for text in texts]
    return PartsOfSpeech(words, spacy_model=None, seed=0)


def synthetic(texts=TEXTS, *, seed=0, near=None, **options):
    config = AugmentationConfig(**{**NOTHING, "n_iter": 10, **options})
    tags = tags_of(texts) if config.pos else None
    return synthesize(texts, config, parts_of_speech=tags, neighbours=near, seed=seed)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("texts", [["same"] * 3, list("abcdefgh"), [f"{letter} x" for letter in "abcdefghijkl"]])
def test_indistinguishable_words_are_one_cluster(texts):
    """scikit-learn's warning about too few distinct points must not reach users."""
    assert len({tags_of(texts).of_message(number)[0] for number in range(len(texts))}) == 1


def words_of(text):
    return text.split()


def test_nothing_changes_where_nothing_is_asked_for():
    assert synthetic() == [] and synthetic(n_iter=0, mask=1.0) == []


def test_masking():
    for message in synthetic(mask=0.3):
        new, old = words_of(message.text), words_of(TEXTS[message.source])
        assert len(new) == len(old) and all(word in (MASK, before) for word, before in zip(new, old))


def test_share_of_masked_words():
    texts = [f"a{i} b{i} c{i} d{i} e{i} f{i} g{i} h{i} i{i} j{i}" for i in range(500)]
    masked = [words_of(message.text).count(MASK) for message in synthetic(texts, n_iter=1, mask=0.3)]
    assert np.mean(masked) == pytest.approx(3.0, abs=0.25)


def test_a_message_of_nothing_but_masks_is_dropped():
    assert synthetic(mask=1.0) == []
    assert all(message.text != MASK for message in synthetic(["hello"], mask=0.5, n_iter=100))


def test_replaced_words_are_those_of_the_training_data():
    vocabulary = {word for text in TEXTS for word in words_of(text)}
    messages = synthetic(pos=0.5)
    assert messages and all(set(words_of(message.text)) <= vocabulary for message in messages)


def test_neighbours_replace_words_in_any_case():
    near = {"book": ["reserve"], "table": ["seat", "desk"]}
    messages = synthetic(["Book a table"], near=near, neighbours=0.5, n_iter=100)
    assert {message.text for message in messages} == {
        *("reserve a table", "Book a seat", "Book a desk", "reserve a seat", "reserve a desk")
    }


def test_ngrams_are_one_to_five_words_in_a_row():
    texts = ["a b c d e f g h"]
    messages = synthetic(texts, ngram=1.0, n_iter=400)
    assert {len(words_of(message.text)) for message in messages} == {1, 2, 3, 4, 5}
    assert all(message.text in texts[0] for message in messages)


def test_a_sentence_of_a_longer_text():
    messages = synthetic(["I liked it. The end is bad! Read it?", "one sentence"], sentence=1.0)
    assert {message.text for message in messages} == {"I liked it.", "The end is bad!", "Read it?"}


def test_same_seed_gives_the_same_messages_and_another_seed_others():
    options = {"mask": 0.2, "pos": 0.2, "ngram": 0.3}
    assert synthetic(**options, seed=3) == synthetic(**options, seed=3) != synthetic(**options, seed=4)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=6), st.integers(0, 5))
def test_any_text(texts, seed):
    """No synthetic message is repeated, blank or a training message; each has the index of its source."""
    messages = synthetic(texts, mask=0.2, pos=0.3, ngram=0.3, sentence=0.3, n_iter=3, seed=seed)
    found = [message.text for message in messages]
    assert len(set(found)) == len(found) and not set(found) & set(texts)
    assert all(text.strip() == text and text for text in found)
    assert all(0 <= message.source < len(texts) for message in messages)


def test_words_between_the_same_words_have_the_same_tag():
    dishes, songs = "pizza curry soup pasta rice fish".split(), "waltz ballad hymn tango polka march".split()
    texts = [f"order some {dish} please" for dish in dishes] + [f"play that {song} now" for song in songs]
    words = [[word.text for word in split_words(text)] for text in texts]
    tags = PartsOfSpeech(words, spacy_model=None, seed=0)
    of_dishes = {tags.of_message(index)[2] for index in range(6)}
    of_songs = {tags.of_message(index)[2] for index in range(6, 12)}
    assert len(of_dishes) == len(of_songs) == 1 and of_dishes != of_songs


def test_frequent_words_are_likelier():
    tags = tags_of(["a"] * 9 + ["b"])
    rng = np.random.default_rng(0)
    drawn = [tags.sample(tags.of_message(0)[0], rng) for _ in range(1000)]
    assert drawn.count("a") == pytest.approx(900, abs=40)


def test_nearest_words():
    vocabulary = {"[CLS]": 0, "good": 1, "great": 2, "fine": 3, "bad": 4, "##od": 5, "is": 6}
    table = np.array([[9, 9], [1, 0], [1, 0.1], [1, 0.4], [-1, 0], [1, 0], [1, 0]], float)
    near = nearest_words(["good", "unknown", "is"], vocabulary, table, count=2)
    assert near == {"good": ["great", "fine"]}


def test_nearest_words_of_a_vocabulary_that_keeps_capitals():
    table = np.array([[1, 0], [1, 0.1], [1, 0.4], [-1, 0]], float)
    near = nearest_words(["Wetter", "wetter"], {"Wetter": 0, "Regen": 1, "Sonne": 2, "Geld": 3}, table, count=2)
    assert near == {"Wetter": ["Regen", "Sonne"]}
    found = {message.text for message in synthetic(["Wetter morgen"], near=near, neighbours=1.0)}
    assert found == {"Regen morgen", "Sonne morgen"}


def test_another_mask():
    config = AugmentationConfig(**{**NOTHING, "n_iter": 10, "mask": 0.5})
    made = synthesize(TEXTS, config, mask="<mask>", seed=0)
    assert any("<mask>" in message.text for message in made) and not any(MASK in message.text for message in made)
    assert not any(set(message.text.split()) == {"<mask>"} for message in made)
