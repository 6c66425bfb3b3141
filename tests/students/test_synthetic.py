"""Synthetic messages use the mask and the words of any vocabulary."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from rasa_compressed_bert.augmentation.synthetic import synthetic_messages
from rasa_compressed_bert.config import AugmentationConfig
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

NOTHING = {"mask": 0.0, "pos": 0.0, "neighbours": 0.0, "ngram": 0.0}
WORDS = ["Wetter", "Regen", "Sonne", "Geld", "Bank", "Konto", *(f"Wort{letter}" for letter in "abcdefgh")]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def unigram(*special):
    pieces = [*special, "\u2581", *(f"\u2581{word}" for word in WORDS), *"abcdefgh"]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(place)) for place, piece in enumerate(pieces)], 3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    ends = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    tokenizer.add_special_tokens(list(special))
    return tokenizer.to_str(), pieces


def made(tokenizer, table, **options):
    config = AugmentationConfig(**{**NOTHING, "n_iter": 20, **options})
    return {
        found.text for found in synthetic_messages(["Wetter Geld"], config, tokenizer=tokenizer, table=table, seed=0)
    }


def test_the_mask_is_the_vocabularys_own():
    tokenizer, pieces = unigram(*SPECIAL, "<mask>")
    texts = made(tokenizer, np.ones((len(pieces), 4)), mask=0.5)
    assert texts == {"<mask> Geld", "Wetter <mask>"}
    for text in texts:
        assert pieces.index("<mask>") in WordpieceTokenizer(tokenizer, 16).encode(text)


def test_a_vocabulary_without_a_mask_masks_nothing():
    tokenizer, pieces = unigram(*SPECIAL)
    assert made(tokenizer, np.ones((len(pieces), 4)), mask=0.5) == set()


@pytest.mark.parametrize("seed", range(2))
def test_neighbours_are_pieces_that_begin_a_word(seed):
    tokenizer, pieces = unigram(*SPECIAL)
    table = np.random.default_rng(seed).normal(size=(len(pieces), 8))
    words = {word for text in made(tokenizer, table, neighbours=1.0) for word in text.split()}
    assert words and words <= {*WORDS}
