"""Relative positions are put into the same buckets as in transformers."""

import numpy as np
import pytest
import tensorflow as tf
from transformers.models.mpnet.modeling_tf_mpnet import TFMPNetEncoder

from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.models.relative_positions import bucket_of, relative_positions
from rasa_compressed_bert.models.shape import EncoderShape, LayerShape


@pytest.mark.parametrize("buckets", [8, 32, 64])
def test_buckets_equal_those_of_transformers(buckets):
    distances = np.arange(-600, 601)
    expected = TFMPNetEncoder._relative_position_bucket(tf.constant(distances, tf.int32), num_buckets=buckets)
    np.testing.assert_array_equal(bucket_of(distances, buckets), expected)


def test_small_distances_and_directions_have_buckets_of_their_own():
    assert bucket_of(np.array([0, -1, -7, 1, 7]), 32).tolist() == [0, 1, 7, 17, 23]
    assert bucket_of(np.array([-128, -500, 128, 500]), 32).tolist() == [15, 15, 31, 31]


@pytest.mark.parametrize("positions", [1, 5, 300])
def test_tables_give_the_bucket_of_every_pair(positions):
    queries, keys, buckets = relative_positions(positions, 32)
    assert len(buckets) == 2 * positions - 1
    i, j = np.indices((positions, positions))
    np.testing.assert_array_equal(buckets[queries[:, np.newaxis] + keys], bucket_of(j - i, 32))


def test_an_encoder_of_very_many_positions_is_refused():
    """Their tables would take 200 GB for the few bytes of an untrusted manifest."""
    shape = EncoderShape(10, 1, 10**9, 1, 1e-12, "gelu", (LayerShape(1, 1, 1, 0),), relative_buckets=32)
    with pytest.raises(ArtifactError, match="more than .* 100000 positions"):
        EncoderShape.from_dict(shape.to_dict())
