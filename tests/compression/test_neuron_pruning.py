"""`select_units` removes the wanted share of weights and keeps the most important units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import UNEVEN, random_shape

from rasa_compressed_bert.compression.neuron_pruning import (
    HEADS,
    INTERMEDIATE,
    QUERY_KEY,
    UNIT_KINDS,
    VALUE,
    Ranking,
    select_neurons,
    select_units,
)

RANKED_KINDS = (HEADS, INTERMEDIATE)
HIDDEN = 32
SHAPE = random_shape(((4, 8, 8, 64), (4, 8, 16, 96), (2, 16, 16, 32)), hidden_size=HIDDEN)
LARGEST_STEP = 2 * HIDDEN * 16 * 2 + 2 * HIDDEN * 8 * 3  # a head of 16 + 16, and 7 rounded neurons per layer

sparsities = st.floats(0.0, 1.0)
seeds = st.integers(0, 2**32 - 1)


def random_scores(seed, shape=SHAPE, *, ties=False):
    rng = np.random.default_rng(seed)

    def draw(*size):
        return rng.integers(0, 3, size).astype(float) if ties else rng.exponential(size=size)

    return [
        {
            HEADS: draw(layer.num_attention_heads) * 30,
            INTERMEDIATE: draw(layer.intermediate_size),
            QUERY_KEY: draw(layer.num_attention_heads, layer.query_key_size),
            VALUE: draw(layer.num_attention_heads, layer.value_size),
        }
        for layer in shape.layers
    ]


def weights_left(gates):
    return sum(
        HIDDEN * 2 * (layer[QUERY_KEY].sum() + layer[VALUE].sum() + layer[INTERMEDIATE].sum()) for layer in gates
    )


def kept_heads(layer):
    return layer[VALUE].any(axis=1)


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0.0, 0.99), st.sampled_from([RANKED_KINDS, UNIT_KINDS]), st.booleans())
def test_share_is_reached_within_a_unit_and_never_overshot(seed, sparsity, kinds, ties):
    left = weights_left(select_units(SHAPE, random_scores(seed, ties=ties), [Ranking(kinds, sparsity)]))
    wanted = (1.0 - sparsity) * SHAPE.encoder_size()
    assert wanted - 1e-6 <= left <= wanted + LARGEST_STEP


@settings(max_examples=30, deadline=None)
@given(seeds, sparsities, sparsities, st.sampled_from([RANKED_KINDS, UNIT_KINDS]), st.booleans())
def test_more_sparsity_keeps_a_subset(seed, first, second, kinds, ties):
    scores = random_scores(seed, ties=ties)
    low, high = sorted((first, second))
    more, fewer = (select_units(SHAPE, scores, [Ranking(kinds, sparsity)]) for sparsity in (low, high))
    for kept, left in zip(more, fewer):
        for kind, gate in kept.items():
            assert (left[kind] <= gate).all()


@settings(max_examples=30, deadline=None)
@given(seeds, sparsities, sparsities, sparsities)
def test_gates_are_well_formed(seed, ranked, query_key, value):
    rankings = [Ranking(RANKED_KINDS, ranked), Ranking((QUERY_KEY,), query_key), Ranking((VALUE,), value)]
    scores = random_scores(seed)
    for layer, gate, score in zip(SHAPE.layers, select_units(SHAPE, scores, rankings), scores):
        assert {kind: values.shape for kind, values in gate.items()} == {
            QUERY_KEY: (layer.num_attention_heads, layer.query_key_size),
            VALUE: (layer.num_attention_heads, layer.value_size),
            INTERMEDIATE: (layer.intermediate_size,),
        }
        heads = kept_heads(gate)
        for kind in (QUERY_KEY, VALUE):
            assert set(np.unique(gate[kind])) <= {0.0, 1.0}
            sizes = gate[kind].sum(axis=1)
            assert set(sizes[~heads]) <= {0.0}
            assert len(set(sizes[heads])) <= 1, "head sizes differ within a layer"
            assert (sizes[heads] % 8 == 0).all() and (sizes[heads] > 0).all()
        assert gate[INTERMEDIATE].sum() % 8 == 0
        for kept, values in [(heads, score[HEADS]), (gate[INTERMEDIATE] == 1, score[INTERMEDIATE])]:
            if kept.any() and not kept.all():
                assert values[kept].min() >= values[~kept].max()
        for head in np.flatnonzero(heads):
            for kind in (QUERY_KEY, VALUE):
                kept = gate[kind][head] == 1
                if not kept.all():
                    assert score[kind][head][kept].min() >= score[kind][head][~kept].max()


def test_no_sparsity_keeps_all_even_units_of_score_zero():
    scores = [{kind: np.zeros_like(value) for kind, value in layer.items()} for layer in random_scores(0)]
    assert weights_left(select_units(SHAPE, scores, [Ranking(RANKED_KINDS, 0.0)])) == SHAPE.encoder_size()


def test_no_ranking_keeps_all():
    assert weights_left(select_units(SHAPE, random_scores(0), [])) == SHAPE.encoder_size()


def test_units_compete_by_score_per_weight():
    """A head of 16 + 16 dimensions has 1,024 x 2 weights, a neuron 64: 32 neurons of score 1 equal a head of 32."""
    shape = random_shape(((2, 16, 16, 64),), hidden_size=HIDDEN)
    scores = [
        {HEADS: np.array([31.0, 33.0]), INTERMEDIATE: np.ones(64), QUERY_KEY: np.ones((2, 16)), VALUE: np.ones((2, 16))}
    ]
    size = shape.encoder_size()
    one_head = select_units(shape, scores, [Ranking(RANKED_KINDS, 2048 / size)])
    assert kept_heads(one_head[0]).tolist() == [False, True] and one_head[0][INTERMEDIATE].all()
    scores[0][HEADS][0] = 32.5
    neurons_first = select_units(shape, scores, [Ranking(RANKED_KINDS, 4096 / size)])
    assert kept_heads(neurons_first[0]).all() and not neurons_first[0][INTERMEDIATE].any()


def test_ranking_is_global_so_a_layer_may_lose_all():
    scores = random_scores(1)
    for kind in (HEADS, INTERMEDIATE):
        scores[1][kind] = scores[1][kind] * 1e-6
    share = SHAPE.layers[1].num_attention_heads * 2 * (8 + 16) + 2 * 96
    gates = select_units(SHAPE, scores, [Ranking(RANKED_KINDS, share * HIDDEN / SHAPE.encoder_size())])
    assert not any(gate.any() for gate in gates[1].values())
    assert all(gate.all() for layer in (gates[0], gates[2]) for gate in layer.values())


def test_everything_pruned():
    gates = select_units(SHAPE, random_scores(2), [Ranking(RANKED_KINDS, 1.0)])
    assert weights_left(gates) <= LARGEST_STEP


@pytest.mark.parametrize("kind", UNIT_KINDS)
def test_kind_with_its_own_sparsity_leaves_the_others_alone(kind):
    shape = random_shape(((4, 16, 16, 64), (4, 32, 16, 96)), hidden_size=HIDDEN)
    gates = select_units(shape, random_scores(3, shape), [Ranking((kind,), 0.5)])
    touched = [QUERY_KEY, VALUE] if kind == HEADS else [kind]
    for layer in gates:
        for other in {QUERY_KEY, VALUE, INTERMEDIATE}.difference(touched):
            assert layer[other].all()
    before = sum(layer[name].size for layer in gates for name in touched)
    left = sum(layer[name].sum() for layer in gates for name in touched)
    assert 0.5 * before <= left <= 0.75 * before


@pytest.mark.parametrize("sparsity", [0.5, 0.99])
def test_dimensions_of_a_head_never_all_go(sparsity):
    for layer in select_units(SHAPE, random_scores(4), [Ranking((QUERY_KEY,), sparsity), Ranking((VALUE,), sparsity)]):
        assert kept_heads(layer).all() and (layer[QUERY_KEY].sum(axis=1) >= 8).all()


def test_widths_that_are_no_multiples_of_8_are_not_rounded():
    shape = random_shape(((2, 5, 6, 21),), hidden_size=HIDDEN)
    scores = random_scores(5, shape)
    gates = select_units(shape, scores, [Ranking((INTERMEDIATE,), 10 / 21), Ranking((VALUE,), 0.5)])
    assert gates[0][INTERMEDIATE].sum() == 11 and gates[0][VALUE].sum() == 6


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_scores_still_reach_the_sparsity(value):
    """All Taylor scores are 0 if there is one intent or the loss is 0; units must be removed all the same."""
    scores = [{kind: np.full_like(values, value) for kind, values in layer.items()} for layer in random_scores(0)]
    left = weights_left(select_units(SHAPE, scores, [Ranking(UNIT_KINDS, 0.6)]))
    wanted = 0.4 * SHAPE.encoder_size()
    assert wanted - 1e-6 <= left <= wanted + LARGEST_STEP


def test_layers_that_lost_their_units():
    shape = random_shape(UNEVEN, hidden_size=HIDDEN)
    for sparsity in (0.0, 0.5, 1.0):
        gates = select_units(shape, random_scores(6, shape), [Ranking(RANKED_KINDS, sparsity)])
        assert gates[2][VALUE].shape == (0, 0) and gates[3][INTERMEDIATE].shape == (0,)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 70), st.floats(0.0, 0.99))
def test_neurons_of_one_matrix(seed, size, sparsity):
    scores = np.random.default_rng(seed).exponential(size=size)
    kept = select_neurons(scores, sparsity) == 1
    wanted = size * (1.0 - sparsity)
    assert max(1, wanted - 1e-6) <= kept.sum() < wanted + (8 if size % 8 == 0 else 1) + 1e-6
    assert kept.all() or scores[kept].min() > scores[~kept].max()
