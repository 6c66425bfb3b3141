"""Synthetic messages from training messages, with neighbours of words in the encoder's vocabulary."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional, Sequence

import numpy as np

from rasa_compressed_bert.augmentation.parts_of_speech import PartsOfSpeech
from rasa_compressed_bert.augmentation.synthesis import Synthetic, nearest_words, synthesize
from rasa_compressed_bert.config import AugmentationConfig
from rasa_compressed_bert.data.words import split_words
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer


def synthetic_messages(
    texts: Sequence[str], options: AugmentationConfig, *, tokenizer: str, table: np.ndarray, seed: int
) -> List[Synthetic]:
    """Messages made from others by masking and replacing words, see `augmentation.synthesis.synthesize`.

    Args:
        texts: texts of the training messages.
        options: rounds and probabilities; no words are masked if the vocabulary has no mask wordpiece.
        tokenizer: the `tokenizers` library's JSON.
        table: embeddings of its wordpieces, `(V, H)`, by which neighbours of words are found.
        seed: random seed.
    """
    words = [[word.text for word in split_words(text)] for text in texts]
    pieces = WordpieceTokenizer(tokenizer, 3)
    tags: Optional[PartsOfSpeech] = None
    near: Dict[str, List[str]] = {}
    if pieces.mask is None:
        options = replace(options, mask=0.0)
    if options.n_iter and options.pos:
        tags = PartsOfSpeech(words, spacy_model=options.spacy_model, seed=seed)
    if options.n_iter and options.neighbours:
        met = {word for message in words for word in message}
        near = nearest_words(sorted({*met, *map(str.lower, met)}), pieces.words, table)
    mask = pieces.mask or ""
    return synthesize(texts, options, parts_of_speech=tags, neighbours=near, mask=mask, seed=seed)
