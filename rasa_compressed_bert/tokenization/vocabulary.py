"""A smaller vocabulary, in which any text can still be written.

Which pieces can be left out, so that the others are chosen as before: see `subwords`. Characters stay, and so do
the pieces of the training data. Of the others those that are met most often come first, by the order or the scores of
the vocabulary. A vocabulary of many languages has few of them in each: so a second term is the likelihood that a piece
is one of the language and the subject of the training data. Embeddings show both (Fisher's linear discriminant):

    log p(piece) + 2 ((x - mu)' S^-1 (m - mu)),    x: the piece's embedding; mu, S: mean and covariance of all
                                                   pieces in the scripts of the data; m: mean of those of the data

The weight 2 and the ridge of S, its mean diagonal, are choices made on parts of training sets in three languages.
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

_UNUSED = ("[unused", "<unused")  # and a number: rows that pretraining left as they were
_LIKENESS, _RIDGE = 2.0, 1.0
_ROWS = 20_000


class TrimmedVocabulary(NamedTuple):
    """A tokenizer with dense ids, and the old id of each: the new embeddings are `table[rows]`."""

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
    """Keeps the `size` pieces that are most likely to be met, in their old order.

    Always kept are the special and the added ones and every single character (of BERT's 30,522 pieces 1,999). Then come
    the pieces of the texts, the most frequent first; then the others, see above; placeholders ([unused0]) last.

    Args:
        tokenizer: the `tokenizers` library's JSON.
        texts: messages that are like the ones to come; none leaves the vocabulary alone to decide.
        size: pieces kept, all included; fewer than are always kept means those, more than there are means all.
        table: embeddings of the pieces, `(V, H)`, for `one_language`.
        one_language: whether the vocabulary has many languages, of which the texts need one: characters of other
            scripts go, and pieces that are like those of the texts come first.
        with_texts: whether all pieces of the texts are always kept.

    Raises:
        WeightsError: if the tokenizer is of a kind that is not supported.
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
    # the library numbers added ones that are not in its model's vocabulary after it
    order = sorted(kept, key=lambda piece: (piece not in pieces, ids[piece]))
    rows = np.array([ids[piece] for piece in order], np.int64)
    _renumber(state, subwords, {piece: new for new, piece in enumerate(order)}, rows, known=pieces)
    return TrimmedVocabulary(json.dumps(state, ensure_ascii=False, separators=(",", ":")), rows)


def _keep(piece: str, parts: Mapping[str, Any], kept: Set[str]) -> None:
    """Keeps a piece and all that it is made of."""
    left = [piece]
    while left:
        one = left.pop()
        if one not in kept:
            kept.add(one)
            left.extend(parts.get(one, ()))


def _normalized(library: Tokenizer, texts: Sequence[str]) -> List[str]:
    """The texts as their pieces write them."""
    texts = [well_formed(text) for text in texts]
    normalizer = library.normalizer  # not tested for truth: a sequence of normalizers is false in tokenizers 0.15
    return texts if normalizer is None else [normalizer.normalize_str(text) for text in texts]


def _counts(library: Tokenizer, texts: Sequence[str]) -> Counter[int]:
    """How often each id occurs in the texts, uncut."""
    library.no_padding()
    library.no_truncation()
    encodings = library.encode_batch(list(texts))
    return Counter(index for encoding in encodings for index in encoding.ids)


def _with_likeness(
    scores: Mapping[str, float], pieces: Mapping[str, int], met: Sequence[str], candidates: Set[str], table: np.ndarray
) -> Dict[str, float]:
    """Scores with the second term of the ranking; pieces that are no candidates come last.

    Args:
        scores: of the pieces that are ranked.
        pieces: ids.
        met: pieces of the texts.
        candidates: pieces in the scripts of the texts.
        table: the embeddings, `(V, H)`.
    """
    names = sorted(candidates, key=pieces.__getitem__)
    if not met or not names:
        return dict(scores)
    ids = np.array([pieces[piece] for piece in names])
    parts = np.array_split(ids, -(-len(ids) // _ROWS))  # a large table is not copied as a whole
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
    """Special and added pieces, those that no text can be written without, and what characters do not write."""
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
    """The lists of a post-processor that hold the ids of special wordpieces, some beside their names."""
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
    """Writes new ids wherever the tokenizer holds old ones; padding, which would hold one more, is switched off."""
    new_ids = {old: new for new, old in enumerate(rows.tolist())}
    subwords.select(state["model"], {piece: new for piece, new in positions.items() if piece in known})
    for token in state["added_tokens"]:
        token["id"] = positions[token["content"]]
    for entries in _special_ids(state["post_processor"] or {}):
        entries[:] = [new_ids.get(entry, entry) for entry in entries]
    state["padding"] = None
