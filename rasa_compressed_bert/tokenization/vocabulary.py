"""Trims a vocabulary such that any text can still be written with it.

See `subwords` for the pieces that can be removed without changing how the others are used. Single characters are kept,
then the pieces of the training data, then the pieces that are most frequent according to the order or the scores of the
vocabulary. A multilingual vocabulary has few pieces of each language, so a second term estimates from the embeddings
whether a piece belongs to the language and the subject of the training data (Fisher's linear discriminant):

    log p(piece) + 2 ((x - mu)' S^-1 (m - mu)),    x: the piece's embedding; mu, S: mean and covariance of all
                                                   pieces in the scripts of the data; m: mean of those of the data

The weight 2 and the ridge of S, its mean diagonal, were chosen on parts of training sets in three languages.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import AbstractSet, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set

import numpy as np
from tokenizers import Tokenizer

from rasa_compressed_bert.tokenization.scripts import is_in, scripts_of
from rasa_compressed_bert.tokenization.subwords import subword_model
from rasa_compressed_bert.tokenization.subwords.subword_model import SubwordModel
from rasa_compressed_bert.tokenization.wordpieces import well_formed, with_separators

_UNUSED = ("[unused", "<unused")  # followed by a number: rows that pretraining did not train
_LIKENESS, _RIDGE = 2.0, 1.0
_ROWS = 20_000


class TrimmedVocabulary(NamedTuple):
    """A tokenizer with consecutive ids, and the old id of each: the new embeddings are `table[rows]`."""

    tokenizer: str  # the `tokenizers` library's JSON
    rows: np.ndarray  # (V,) int64


def trim(
    tokenizer: str,
    texts: Sequence[str],
    size: int,
    *,
    table: Optional[np.ndarray] = None,
    one_language: bool = False,
    with_texts: bool = False,
) -> TrimmedVocabulary:
    """Keeps the `size` pieces that are most likely to occur, in their old order.

    Special pieces, added pieces and single characters are always kept (1,999 of BERT's 30,522 pieces). Next are the
    pieces of the texts, the most frequent first, then all others, ranked as above; placeholders ([unused0]) are last.

    Args:
        tokenizer: the `tokenizers` library's JSON.
        texts: messages similar to those that will be encoded; without any, only the vocabulary decides.
        size: the number of pieces to keep in all; at least those that are always kept, at most all.
        table: the embeddings of the pieces, `(V, H)`, for `one_language`.
        one_language: whether the vocabulary is multilingual and the texts need one language: characters of other
            scripts are removed, and pieces that are similar to those of the texts are preferred.
        with_texts: whether all pieces of the texts are always kept.

    Raises:
        WeightsError: if the kind of tokenizer is not supported.
    """
    state, library = json.loads(tokenizer), Tokenizer.from_str(tokenizer)
    subwords, model = subword_model(library), state["model"]
    pieces = subwords.pieces(model)
    parts = subwords.parts(model)
    scripts = scripts_of(_normalized(library, texts)) if one_language and texts else None
    counts = _counts(library, [subwords.written(with_separators(text, subwords)) for text in texts])
    kept: Set[str] = set()
    for piece in sorted(_always_kept(state, subwords, scripts)):
        _keep(piece, parts, kept)
    met = [piece for piece, index in pieces.items() if counts[index]]
    if with_texts:
        for piece in met:
            _keep(piece, parts, kept)
    rest = [piece for piece in pieces if piece not in kept]
    frequencies = subwords.frequencies(model)
    scores = {piece: frequencies[piece] for piece in rest}
    if scripts is not None and table is not None:
        scores = _with_likeness(
            scores, pieces, met, {piece for piece in rest if is_in(subwords.spelling(piece), scripts)}, table
        )
    for piece in sorted(rest, key=lambda p: (p.startswith(_UNUSED), -counts[pieces[p]], -scores[p], pieces[p])):
        if len(kept) >= size:
            break
        if piece not in kept:
            _keep(piece, parts, kept)
    ids = {**pieces, **{token["content"]: token["id"] for token in state["added_tokens"]}}
    # the library numbers added pieces that are not in the vocabulary of its model after that vocabulary
    order = sorted(kept, key=lambda piece: (piece not in pieces, ids[piece]))
    rows = np.array([ids[piece] for piece in order], np.int64)
    _renumber(state, subwords, {piece: new for new, piece in enumerate(order)}, rows, known=pieces)
    return TrimmedVocabulary(json.dumps(state, ensure_ascii=False, separators=(",", ":")), rows)


def _keep(piece: str, parts: Mapping[str, Any], kept: Set[str]) -> None:
    """Keeps a piece and the pieces of which it is made."""
    left = [piece]
    while left:
        one = left.pop()
        if one not in kept:
            kept.add(one)
            left.extend(parts.get(one, ()))


def _normalized(library: Tokenizer, texts: Sequence[str]) -> List[str]:
    """The texts after the normalisation of the tokenizer."""
    texts = [well_formed(text) for text in texts]
    normalizer = library.normalizer  # compared with None, as a sequence of normalizers is falsy in tokenizers 0.15
    return texts if normalizer is None else [normalizer.normalize_str(text) for text in texts]


def _counts(library: Tokenizer, texts: Sequence[str]) -> Counter[int]:
    """The number of occurrences of each id in the texts, without truncation."""
    library.no_padding()
    library.no_truncation()
    encodings = library.encode_batch(list(texts))
    return Counter(index for encoding in encodings for index in encoding.ids)


def _with_likeness(
    scores: Mapping[str, float], pieces: Mapping[str, int], met: Sequence[str], candidates: Set[str], table: np.ndarray
) -> Dict[str, float]:
    """Adds the second term of the ranking to scores; pieces that are not candidates are ranked last.

    Args:
        scores: the scores of the pieces to rank.
        pieces: the ids of all pieces.
        met: the pieces of the texts.
        candidates: the pieces in the scripts of the texts.
        table: the embeddings, `(V, H)`.
    """
    names = sorted(candidates, key=pieces.__getitem__)
    if not met or not names:
        return dict(scores)
    ids = np.array([pieces[piece] for piece in names])
    parts = np.array_split(ids, -(-len(ids) // _ROWS))  # avoids a copy of a large table
    mean = sum(table[part].sum(axis=0, dtype=np.float64) for part in parts) / len(ids)
    covariance = sum((table[part] - mean).T @ (table[part] - mean) for part in parts) / len(ids)
    ridge = max(_RIDGE * float(np.trace(covariance)) / len(covariance), 1e-12)
    own = table[[pieces[piece] for piece in met]].mean(axis=0, dtype=np.float64)
    direction = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), own - mean)
    likeness = dict(zip(names, np.concatenate([(table[part] - mean) @ direction for part in parts]).tolist()))
    return {
        piece: score + _LIKENESS * likeness[piece] if piece in likeness else -np.inf for piece, score in scores.items()
    }


def _always_kept(state: Dict[str, Any], subwords: SubwordModel, scripts: Optional[AbstractSet[str]]) -> Set[str]:
    """Special and added pieces, indispensable ones, and those that cannot be spelled with single characters."""
    model = state["model"]
    pieces = subwords.pieces(model)
    named = {entry for entries in _special_ids(state["post_processor"] or {}) for entry in entries}
    kept = {piece for piece, index in pieces.items() if index in named or piece == model.get("unk_token")}
    kept.update(token["content"] for token in state["added_tokens"])
    kept.update(subwords.indispensable(model))
    for piece in pieces:
        if piece.startswith(_UNUSED) or subwords.is_spelled(piece, pieces):
            continue
        if scripts is None or is_in(subwords.spelling(piece), scripts):
            kept.add(piece)
    return kept


def _special_ids(processor: Dict[str, Any]) -> Iterator[List[Any]]:
    """The lists in a post-processor that contain ids of special wordpieces, some together with their names."""
    for inner in processor.get("processors", ()):
        yield from _special_ids(inner)
    for special in processor.get("special_tokens", {}).values():
        yield special["ids"]
    yield from (processor[name] for name in ("cls", "sep") if name in processor)


def _renumber(
    state: Dict[str, Any],
    subwords: SubwordModel,
    positions: Mapping[str, int],
    rows: np.ndarray,
    *,
    known: Mapping[str, int],
) -> None:
    """Replaces old ids by new ones throughout the tokenizer; padding, which contains an id too, is disabled."""
    new_ids = {old: new for new, old in enumerate(rows.tolist())}
    subwords.select(state["model"], {piece: new for piece, new in positions.items() if piece in known})
    for token in state["added_tokens"]:
        token["id"] = positions[token["content"]]
    for entries in _special_ids(state["post_processor"] or {}):
        entries[:] = [new_ids.get(entry, entry) for entry in entries]
    state["padding"] = None
