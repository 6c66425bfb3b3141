"""Batches contain every example once, and renumbered wordpieces map back to their rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_compressed_bert.training.batches import batch_count, batch_size_for, pad, shuffled_batches, sorted_batches
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

messages = st.lists(st.integers(1, 40), min_size=1, max_size=300).map(
    lambda lengths: [np.full(length, index + 1, np.int32) for index, length in enumerate(lengths)]
)
sizes = st.integers(1, 40)


def both_kinds(input_ids, batch_size, seed):
    yield list(sorted_batches(input_ids, batch_size))
    yield list(shuffled_batches(input_ids, batch_size, np.random.default_rng(seed)))


@settings(max_examples=40, deadline=None)
@given(messages, sizes, st.integers(0, 1000))
def test_every_example_once(input_ids, batch_size, seed):
    for batches in both_kinds(input_ids, batch_size, seed):
        indices = np.concatenate([batch.indices for batch in batches])
        assert sorted(indices) == list(range(len(input_ids)))
        assert len(batches) == batch_count(len(input_ids), batch_size)
        assert all(len(batch.indices) <= batch_size for batch in batches)
        for batch in batches:
            for index, ids, mask in zip(batch.indices, batch.input_ids, batch.attention_mask):
                np.testing.assert_array_equal(ids[mask == 1], input_ids[index])
                assert not ids[mask == 0].any() and sorted(mask, reverse=True) == list(mask)


def test_padding():
    ids, mask = pad([np.array([7, 8]), np.array([9]), np.array([1, 2, 3])])
    assert ids.tolist() == [[7, 8, 0], [9, 0, 0], [1, 2, 3]]
    assert mask.tolist() == [[1, 1, 0], [1, 0, 0], [1, 1, 1]]
    assert ids.dtype == mask.dtype == np.int32


def test_lengths_are_bucketed_so_that_little_is_padded():
    rng = np.random.default_rng(0)
    input_ids = [np.ones(length, np.int32) for length in rng.integers(3, 60, 1000)]
    for batches in both_kinds(input_ids, 20, 0):
        padding = sum((batch.attention_mask == 0).sum() for batch in batches)
        assert padding < 0.05 * sum(map(len, input_ids))


def test_order_of_batches_and_their_content_depend_on_the_seed_alone():
    input_ids = [np.ones(length, np.int32) for length in np.random.default_rng(0).integers(3, 9, 200)]

    def order(seed):
        return [batch.indices.tolist() for batch in shuffled_batches(input_ids, 8, np.random.default_rng(seed))]

    assert order(1) == order(1)
    assert order(1) != order(2)
    lengths = [len(input_ids[batch[0]]) for batch in order(1)]
    assert lengths != sorted(lengths)


def test_epochs_differ():
    rng = np.random.default_rng(0)
    input_ids = [np.ones(4, np.int32)] * 50
    first, second = ([batch.indices.tolist() for batch in shuffled_batches(input_ids, 8, rng)] for _ in range(2))
    assert first != second


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=9).map(np.array), min_size=1, max_size=9))
def test_used_vocabulary_round_trip(input_ids):
    vocabulary = UsedVocabulary.of(input_ids)
    assert vocabulary.rows[0] == 0 and set(vocabulary.rows) == {0, *np.concatenate(input_ids)}
    renumbered = vocabulary.renumber(input_ids)
    for before, after in zip(input_ids, renumbered):
        np.testing.assert_array_equal(vocabulary.rows[after], before)

    table = np.random.default_rng(0).normal(size=(61, 3)).astype(np.float32)
    original = table.copy()
    narrow = vocabulary.narrow({"embeddings.word": table, "other": np.ones(2)})
    for before, after in zip(input_ids, renumbered):
        np.testing.assert_array_equal(narrow["embeddings.word"][after], table[before])
    trained = {**narrow, "embeddings.word": narrow["embeddings.word"] + 1}
    widened = vocabulary.widen(trained, table)["embeddings.word"]
    used = np.isin(np.arange(61), vocabulary.rows)
    np.testing.assert_array_equal(widened[used], table[used] + 1)
    np.testing.assert_array_equal(widened[~used], table[~used])
    np.testing.assert_array_equal(table, original)


@pytest.mark.parametrize(
    "size, batch_size, expected",
    [(3000, 32, 32), (1000, 32, 20), (100, 32, 8), (1, 32, 8), (100, 4, 4)],
)
def test_small_sets_get_smaller_batches(size, batch_size, expected):
    assert batch_size_for(size, batch_size) == expected


def test_first_rows_keep_their_ids():
    vocabulary = UsedVocabulary.of([np.array([9, 2, 7])], first=4)
    assert vocabulary.rows.tolist() == [0, 1, 2, 3, 7, 9]
    assert vocabulary.renumber([np.array([3, 9, 0])])[0].tolist() == [3, 5, 0]
