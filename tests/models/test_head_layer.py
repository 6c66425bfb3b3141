"""The inputs of the heads' linear layers."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_compressed_bert.models.head_layer import CLASSIFIER, HALFWAY_TAGGER, TAGGER, halfway

SIZE = 4


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_a_window_holds_both_neighbours_and_no_padding(lengths, seed):
    hidden = np.random.default_rng(seed).normal(size=(len(lengths), max(lengths), SIZE)).astype(np.float32)
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, np.newaxis]).astype(np.int32)
    windows = TAGGER.select(tf.constant(hidden), None, tf.constant(mask)).numpy()
    nothing = np.zeros(SIZE, np.float32)
    for message, length in enumerate(lengths):
        for place in range(length):
            before = hidden[message, place - 1] if place else nothing
            after = hidden[message, place + 1] if place + 1 < length else nothing
            expected = np.concatenate([before, hidden[message, place], after])
            np.testing.assert_array_equal(windows[message, place], expected)


@pytest.mark.parametrize("num_layers, half", [(1, 1), (2, 1), (3, 2), (6, 3), (12, 6)])
def test_which_hidden_states_are_read(num_layers, half):
    states = list(range(num_layers + 1))  # the embeddings' output is the first
    assert halfway(num_layers) == half == HALFWAY_TAGGER.hidden(states)
    assert TAGGER.hidden(states) == CLASSIFIER.hidden(states) == num_layers


def test_rows_of_the_kernels():
    assert [layer.rows(SIZE, 7) for layer in (TAGGER, HALFWAY_TAGGER, CLASSIFIER)] == [12, 12, 7]
