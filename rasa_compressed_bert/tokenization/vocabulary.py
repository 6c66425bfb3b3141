"""A smaller WordPiece vocabulary, in which any text can still be written.

WordPiece takes the longest piece that fits and never goes back. In a trained vocabulary every piece can also be spelled
in single characters, so a word is unknown only if one of its characters is. As long as the single characters are kept,
dropping other pieces splits words further but makes none unknown; and a word whose pieces are all kept is split as
before, since they are still the longest. (A piece that cannot be spelled, in a vocabulary written by hand, is kept.)
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Set

import numpy as np
from tokenizers import Tokenizer

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.tokenization.wordpieces import well_formed

_UNUSED = "[unused"  # and a number: rows that pretraining left as they were


class TrimmedVocabulary(NamedTuple):
    """A tokenizer with dense ids, and the old id of each: the new embeddings are `table[rows]`."""

    tokenizer: str  # the `tokenizers` library's JSON
    rows: np.ndarray  # (V,) int64


def trim(tokenizer: str, texts: Sequence[str], size: int) -> TrimmedVocabulary:
    """Keeps the `size` wordpieces that are most likely to be met, in their old order.

    Always kept are the special and the added ones and every single character (`c`, `##c`): 1,999 of BERT's 30,522. Then
    come those of `texts`, the most frequent first; then the rest in its old order, as vocabularies are written by
    falling frequency; placeholders ([unused0]) last.

    Args:
        tokenizer: the `tokenizers` library's JSON.
        texts: messages that are like the ones to come; none leaves the old order alone to decide.
        size: wordpieces kept, all included; fewer than are always kept means those, more than there are means all.

    Raises:
        WeightsError: if the tokenizer is of another kind, whose pieces cannot be dropped one by one.
    """
    state = json.loads(tokenizer)
    kind = state["model"]["type"]
    if kind != "WordPiece":
        raise WeightsError(
            f"Trimming the vocabulary needs a WordPiece vocabulary, as BERT and DistilBERT have; this one is '{kind}'."
        )
    counts = _counts(Tokenizer.from_str(tokenizer), texts)
    pieces: Dict[str, int] = state["model"]["vocab"]
    kept = _always_kept(state)
    ranked = sorted(set(pieces) - kept, key=lambda p: (p.startswith(_UNUSED), -counts[pieces[p]], pieces[p]))
    kept.update(ranked[: max(size - len(kept), 0)])
    ids = {**pieces, **{token["content"]: token["id"] for token in state["added_tokens"]}}
    # the library numbers added ones that are not in its model's vocabulary after it
    order = sorted(kept, key=lambda piece: (piece not in pieces, ids[piece]))
    rows = np.array([ids[piece] for piece in order], np.int64)
    _renumber(state, {piece: new for new, piece in enumerate(order)}, rows)
    return TrimmedVocabulary(json.dumps(state, ensure_ascii=False, separators=(",", ":")), rows)


def _counts(library: Tokenizer, texts: Sequence[str]) -> Counter[int]:
    """How often each id occurs in the texts, uncut."""
    library.no_padding()
    library.no_truncation()
    encodings = library.encode_batch([well_formed(text) for text in texts])
    return Counter(index for encoding in encodings for index in encoding.ids)


def _always_kept(state: Dict[str, Any]) -> Set[str]:
    """Special and added pieces, single characters, and what cannot be written in single characters."""
    model = state["model"]
    vocabulary = set(model["vocab"])
    named = {entry for entries in _special_ids(state["post_processor"] or {}) for entry in entries}
    kept = {piece for piece, index in model["vocab"].items() if index in named or piece == model["unk_token"]}
    kept.update(token["content"] for token in state["added_tokens"])
    for piece in vocabulary:
        characters = _characters(piece, model["continuing_subword_prefix"])
        if len(characters) < 2 or not (vocabulary.issuperset(characters) or piece.startswith(_UNUSED)):
            kept.add(piece)
    return kept


def _characters(piece: str, prefix: str) -> List[str]:
    """`hot` as `h ##o ##t`, `##ing` as `##i ##n ##g`."""
    if piece.startswith(prefix):
        return [prefix + character for character in piece[len(prefix) :]]
    return [piece[:1], *(prefix + character for character in piece[1:])]


def _special_ids(processor: Dict[str, Any]) -> Iterator[List[Any]]:
    """The lists of a post-processor that hold the ids of special wordpieces, some beside their names."""
    for inner in processor.get("processors", ()):
        yield from _special_ids(inner)
    for special in processor.get("special_tokens", {}).values():
        yield special["ids"]
    yield from (processor[name] for name in ("cls", "sep") if name in processor)


def _renumber(state: Dict[str, Any], positions: Dict[str, int], rows: np.ndarray) -> None:
    """Writes new ids wherever the tokenizer holds old ones; padding, which would hold one more, is switched off."""
    new_ids = {old: new for new, old in enumerate(rows.tolist())}
    model = state["model"]
    model["vocab"] = {piece: new for piece, new in positions.items() if piece in model["vocab"]}
    for token in state["added_tokens"]:
        token["id"] = positions[token["content"]]
    for entries in _special_ids(state["post_processor"] or {}):
        entries[:] = [new_ids.get(entry, entry) for entry in entries]
    state["padding"] = None
