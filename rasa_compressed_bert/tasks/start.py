"""Pretrained weights as the options ask for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from rasa_compressed_bert.compression.shrinking import require_layers
from rasa_compressed_bert.config import DEFAULT_VOCABULARY_SIZE, LARGE_VOCABULARY, BertOptions, EncoderConfig
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.models.shape import TOKEN_TYPE
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.tokenization.pairs import pair_template
from rasa_compressed_bert.tokenization.vocabulary import trim


def start_from_pretrained(
    config: EncoderConfig, texts: Sequence[str], *, pooler: bool = False, pairs: bool = False
) -> ModelState:
    """The pretrained encoder with as many positions and wordpieces as the options keep.

    Args:
        config: the options.
        texts: of the training data, whose wordpieces a trimmed vocabulary keeps first.
        pooler: adds the pooler of the weights, if they have one.
        pairs: adds the token types of pairs of texts and the head of answers, if the weights have them.

    Raises:
        WeightsError: if the weights cannot be read, or if their vocabulary cannot be trimmed.
        ConfigError: if `max_length` is more than the weights have positions for, or if they lack one of
            `pruning.layers`.
    """
    checkpoint = load_pretrained(config.model_weights)
    positions = checkpoint.shape.max_position_embeddings
    if config.max_length > positions:
        raise ConfigError(f"max_length: {config.max_length} is more than the {positions} positions of the weights")
    parameters, tokenizer = dict(checkpoint.parameters), checkpoint.tokenizer
    parameters["embeddings.position"] = parameters["embeddings.position"][: config.max_length]
    is_large = checkpoint.shape.vocab_size > LARGE_VOCABULARY
    if config.vocabulary == "trim" or (config.vocabulary == "auto" and is_large):
        tokenizer, rows = trim(
            tokenizer,
            texts,
            config.vocabulary_size or DEFAULT_VOCABULARY_SIZE,
            table=parameters["embeddings.word"],
            one_language=is_large,
            with_texts=config.vocabulary == "auto",
        )
        parameters["embeddings.word"] = parameters["embeddings.word"][rows]
    if pooler:
        parameters.update(checkpoint.pooler or {})
    dense = replace(checkpoint.shape, max_position_embeddings=config.max_length)
    if pairs:
        parameters.update(checkpoint.answerer or {})
    if pairs and checkpoint.token_type is not None:
        dense = replace(dense, separator=pair_template(tokenizer).separator)
        parameters[TOKEN_TYPE] = checkpoint.token_type
    shape = replace(dense, vocab_size=len(parameters["embeddings.word"]))
    if isinstance(config, BertOptions):
        require_layers(config.pruning.layers, shape)
    return ModelState(shape, parameters, tokenizer, dense)
