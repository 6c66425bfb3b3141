"""Synthetic messages for a teacher to label (Tang et al. 2019, arXiv 1903.12136, section 3.3, and NLP Town 2019).

They need not make sense: the teacher's prediction for "book [MASK] flight" shows its student how much each word
contributes.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from rasa_compressed_bert.augmentation.parts_of_speech import PartsOfSpeech
from rasa_compressed_bert.config import AugmentationConfig
from rasa_compressed_bert.data.words import Word, joined, sentence_bounds, split_words

_LONGEST_NGRAM = 5


class Synthetic(NamedTuple):
    """A synthetic message."""

    text: str
    source: int  # index of the message that it was made from


def synthesize(
    texts: Sequence[str],
    options: AugmentationConfig,
    *,
    parts_of_speech: Optional[PartsOfSpeech] = None,
    neighbours: Optional[Mapping[str, Sequence[str]]] = None,
    mask: str = "[MASK]",
    seed: int,
) -> List[Synthetic]:
    """Synthetic messages from `n_iter` rounds over the messages, without duplicates and messages of masks only.

    In a round, a message is cut down to one of its sentences with probability `sentence`; then each word is masked,
    replaced by one of the same part of speech, replaced by a neighbour, or kept; then the message is cut down to 1 to 5
    consecutive words with probability `ngram`.

    Args:
        texts: the messages.
        options: rounds and probabilities.
        parts_of_speech: those of the messages' words; required if `pos` is above 0.
        neighbours: words similar to a word, by the word or its lower case; required if `neighbours` is above 0.
        mask: the text that masks a word.
        seed: random seed.
    """
    rng = np.random.default_rng(seed)
    messages = [split_words(text) for text in texts]
    sentences = [sentence_bounds(words) for words in messages]
    seen = set(texts)
    synthetic: List[Synthetic] = []
    for _ in range(options.n_iter):
        for source, words in enumerate(messages):
            tags = parts_of_speech.of_message(source) if parts_of_speech else [0] * len(words)
            if len(sentences[source]) > 1 and rng.random() < options.sentence:
                start, end = sentences[source][rng.integers(len(sentences[source]))]
                words, tags = words[start:end], tags[start:end]
            changed = _replace(words, tags, options, parts_of_speech, neighbours or {}, mask, rng)
            if rng.random() < options.ngram:
                changed = _ngram(changed, rng)
            text = joined(changed)
            if text and text not in seen and any(word.text != mask for word in changed):
                seen.add(text)
                synthetic.append(Synthetic(text, source))
    return synthetic


def _replace(
    words: Sequence[Word],
    tags: Sequence[int],
    options: AugmentationConfig,
    parts_of_speech: Optional[PartsOfSpeech],
    neighbours: Mapping[str, Sequence[str]],
    mask: str,
    rng: np.random.Generator,
) -> List[Word]:
    masked, of_same_kind = options.mask, options.mask + options.pos
    changed = list(words)
    for position, draw in enumerate(rng.random(len(words))):
        word = words[position]
        if draw < masked:
            changed[position] = word._replace(text=mask)
        elif draw < of_same_kind and parts_of_speech:
            changed[position] = word._replace(text=parts_of_speech.sample(tags[position], rng))
        elif of_same_kind <= draw < of_same_kind + options.neighbours:
            near = neighbours.get(word.text) or neighbours.get(word.text.lower(), ())
            if near:
                changed[position] = word._replace(text=near[rng.integers(len(near))])
    return changed


def _ngram(words: List[Word], rng: np.random.Generator) -> List[Word]:
    if not words:
        return words
    size = min(int(rng.integers(1, _LONGEST_NGRAM, endpoint=True)), len(words))
    start = int(rng.integers(len(words) - size + 1))
    return words[start : start + size]


def nearest_words(
    words: Sequence[str], vocabulary: Mapping[str, int], table: np.ndarray, *, count: int = 10
) -> Dict[str, List[str]]:
    """The wordpieces nearest to each word in a table of embeddings, by word; none for words of several wordpieces.

    Args:
        words: words of the messages.
        vocabulary: the words that are single wordpieces, with their rows in the table.
        table: the embeddings, `(V, H)`.
        count: number of neighbours per word.
    """
    candidates = [piece for piece in vocabulary if len(piece) > 2 and piece.isalpha()]
    asked = sorted({word for word in words if word in vocabulary and len(word) > 2 and word.isalpha()})
    if not asked or len(candidates) <= count:
        return {}
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    rows = unit[[vocabulary[piece] for piece in candidates]].T  # (H, candidates)
    near: Dict[str, List[str]] = {}
    for word in asked:
        similarity = unit[vocabulary[word]] @ rows
        best = np.argpartition(-similarity, count)[: count + 1]
        best = best[np.argsort(-similarity[best], kind="stable")]
        near[word] = [candidates[index] for index in best if candidates[index] != word][:count]
    return near
