"""Selects the units to keep at a sparsity, by one ranking of the heads, dimensions and neurons of all layers.

Units of different sizes are ranked by score per weight, so that the ranking itself decides how much of each layer and
component is removed. Head sizes stay equal within a layer (attention stays one batched product), and widths are
multiples of 8 (preferred by int8 kernels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.models.gates import LayerGates
from rasa_compressed_bert.models.shape import EncoderShape, LayerShape

HEADS, INTERMEDIATE, QUERY_KEY, VALUE, POOLER = "attention_heads", "intermediate", "query_key", "value", "pooler"
UNIT_KINDS = (HEADS, INTERMEDIATE, QUERY_KEY, VALUE)
_MULTIPLE = 8

LayerScores = Dict[str, np.ndarray]
"""Scores of a layer's units: attention_heads (N,), intermediate (I,), query_key (N, K), value (N, V); of a pooler's
neurons: pooler (P,)."""


@dataclass(frozen=True)
class Ranking:
    """Kinds of units that are ranked together and share one sparsity."""

    kinds: Tuple[str, ...]
    sparsity: float


def select_units(shape: EncoderShape, scores: Sequence[LayerScores], rankings: Sequence[Ranking]) -> List[LayerGates]:
    """Gates that keep the most important units, such that each ranking removes its share of weights.

    Args:
        shape: the widths before pruning.
        scores: the importance of every unit, larger is better, see `LayerScores`.
        rankings: kinds of units that are ranked together, and the share of their weights to remove.

    Returns:
        One dictionary for each layer: query_key (N, K), value (N, V) and intermediate (I,), of 0 and 1.
    """
    kept = {kind: [np.ones(layer_units(layer)[kind], bool) for layer in shape.layers] for kind in UNIT_KINDS}
    for ranking in rankings:
        kept.update(_select(shape, scores, ranking))
    return [
        _gates(shape, scores[index], {kind: kept[kind][index] for kind in UNIT_KINDS}, index)
        for index in range(len(shape.layers))
    ]


def select_neurons(scores: np.ndarray, sparsity: float) -> np.ndarray:
    """Gates (P,) of the neurons of one matrix that keep the most important ones."""
    kept = _best(scores, int(np.ceil(len(scores) * (1.0 - sparsity))), multiple=_MULTIPLE, least=1)
    return kept.astype(np.float32)


def layer_units(layer: LayerShape) -> Dict[str, int]:
    """The number of units of each kind in a layer; a dimension counts once for all heads of the layer."""
    return {
        HEADS: layer.num_attention_heads,
        INTERMEDIATE: layer.intermediate_size,
        QUERY_KEY: layer.query_key_size if layer.num_attention_heads else 0,
        VALUE: layer.value_size if layer.num_attention_heads else 0,
    }


def _select(shape: EncoderShape, scores: Sequence[LayerScores], ranking: Ranking) -> Dict[str, List[np.ndarray]]:
    """The units to keep after removing those of the lowest score per weight, up to the sparsity, by bisection."""
    densities = {
        kind: [_unit_scores(score, kind) / size for score, size in zip(scores, _unit_sizes(shape, kind))]
        for kind in ranking.kinds
    }
    ranks = _ranks(densities)
    count = sum(len(layer) for layers in ranks.values() for layer in layers)
    before = _weights(shape, {}, ranking.kinds)
    low, high = 0, count  # removing the `low` worst units is allowed, removing the `high` worst is too much
    while high - low > 1:
        middle = (low + high) // 2
        left = _weights(shape, _keep(ranks, middle), ranking.kinds)
        low, high = (middle, high) if left >= (1.0 - ranking.sparsity) * before else (low, middle)
    return _keep(ranks, low)


def _ranks(densities: Mapping[str, List[np.ndarray]]) -> Dict[str, List[np.ndarray]]:
    """Positions in one ranking of all units, worst first, so that units of equal density are removed one by one."""
    layers = [layer for values in densities.values() for layer in values]
    order = np.argsort(np.concatenate(layers or [np.zeros(0)]), kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    pieces = iter(np.split(ranks, np.cumsum([len(layer) for layer in layers])[:-1]))
    return {kind: [next(pieces) for _ in values] for kind, values in densities.items()}


def _keep(ranks: Mapping[str, List[np.ndarray]], worst: int) -> Dict[str, List[np.ndarray]]:
    return {
        kind: [
            _best(
                layer,
                int((layer >= worst).sum()),
                multiple=1 if kind == HEADS else _MULTIPLE,
                least=0 if kind in (HEADS, INTERMEDIATE) else 1,
            )
            for layer in layers
        ]
        for kind, layers in ranks.items()
    }


def _best(scores: np.ndarray, count: int, *, multiple: int, least: int) -> np.ndarray:
    """A mask of the `count` best units; the count is rounded up to a multiple if the number of units is one."""
    if len(scores) % multiple == 0:
        count = -(-max(count, least if len(scores) else 0) // multiple) * multiple
    kept = np.zeros(len(scores), bool)
    kept[np.argsort(-scores, kind="stable")[: max(count, min(least, len(scores)))]] = True
    return kept


def _unit_scores(scores: LayerScores, kind: str) -> np.ndarray:
    """Scores of units; the r-th unit of dimensions consists of the r-th best dimension of every head."""
    values = np.asarray(scores[kind], np.float64)
    return (
        np.sort(values, axis=1)[:, ::-1].sum(axis=0)
        if kind in (QUERY_KEY, VALUE) and values.size
        else values.reshape(-1)
    )


def _unit_sizes(shape: EncoderShape, kind: str) -> List[int]:
    """The number of weights of one unit of a kind, for each layer."""
    sizes = []
    for layer in shape.layers:
        widths = {HEADS: 2 * (layer.query_key_size + layer.value_size), INTERMEDIATE: 2}
        sizes.append(shape.hidden_size * widths.get(kind, 2 * layer.num_attention_heads))
    return sizes


def _weights(shape: EncoderShape, kept: Mapping[str, List[np.ndarray]], kinds: Sequence[str]) -> int:
    """The number of weights that are left in the matrices to which units of these kinds belong."""
    total = 0
    for index, layer in enumerate(shape.layers):
        units = {**layer_units(layer), **{kind: int(layers[index].sum()) for kind, layers in kept.items()}}
        if INTERMEDIATE in kinds:
            total += 2 * units[INTERMEDIATE]
        if HEADS in kinds or QUERY_KEY in kinds:
            total += 2 * units[HEADS] * units[QUERY_KEY]
        if HEADS in kinds or VALUE in kinds:
            total += 2 * units[HEADS] * units[VALUE]
    return total * shape.hidden_size


def _gates(shape: EncoderShape, scores: LayerScores, kept: Mapping[str, np.ndarray], index: int) -> LayerGates:
    layer = shape.layers[index]
    heads = kept[HEADS].astype(np.float32)[:, np.newaxis]  # (N, 1)
    sizes = {QUERY_KEY: layer.query_key_size, VALUE: layer.value_size}
    dimensions = {
        kind: np.array(
            [_best(head, int(kept[kind].sum()), multiple=1, least=0) for head in scores[kind]], np.float32
        ).reshape(layer.num_attention_heads, size)
        for kind, size in sizes.items()
    }
    return {
        QUERY_KEY: dimensions[QUERY_KEY] * heads,
        VALUE: dimensions[VALUE] * heads,
        INTERMEDIATE: kept[INTERMEDIATE].astype(np.float32),
    }
