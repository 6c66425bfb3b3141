"""Loads pretrained weights and cuts them to the options: positions, vocabulary and layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from rasa_compressed_bert.compression.shrinking import require_layers
from rasa_compressed_bert.config import DEFAULT_VOCABULARY_SIZE, LARGE_VOCABULARY, BertOptions, EncoderConfig
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.models.head_layer import ANSWERER, halfway
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.models.shape import POOLER, TOKEN_TYPE
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.tokenization.pairs import pair_template
from rasa_compressed_bert.tokenization.vocabulary import trim


def start_from_pretrained(
    config: EncoderConfig,
    texts: Sequence[str],
    *,
    pooler: bool = False,
    pairs: bool = False,
    first_half: bool = False,
) -> ModelState:
    """The pretrained encoder with as many positions and wordpieces as the options keep.

    Args:
        config: the options.
        texts: the training texts, whose wordpieces a trimmed vocabulary keeps first.
        pooler: keeps the pooler of the weights, if they have one.
        pairs: keeps the embeddings of token types and the answer head, if the weights have them.
        first_half: drops the second half of the layers.

    Raises:
        WeightsError: if the weights cannot be read, or if their vocabulary cannot be trimmed.
        ConfigError: if `max_length` is more than the number of positions of the weights, or if they lack a
            layer of `pruning.layers`.
    """
    pretrained = load_pretrained(config.model_weights)
    positions = pretrained.shape.max_position_embeddings
    if config.max_length > positions:
        raise ConfigError(f"max_length: {config.max_length} is more than the {positions} positions of the weights")
    if first_half:
        layers = pretrained.shape.layers[: halfway(len(pretrained.shape.layers))]
        pretrained = replace(pretrained, shape=replace(pretrained.shape, layers=layers))
    others = [*(POOLER if pooler else ()), *((TOKEN_TYPE, ANSWERER.kernel, ANSWERER.bias) if pairs else ())]
    parameters = pretrained.encoder_parameters
    parameters.update({name: pretrained.parameters[name] for name in others if name in pretrained.parameters})
    tokenizer, dense = pretrained.tokenizer, replace(pretrained.shape, max_position_embeddings=config.max_length)
    parameters["embeddings.position"] = parameters["embeddings.position"][: config.max_length]
    is_large = pretrained.shape.vocab_size > LARGE_VOCABULARY
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
    if TOKEN_TYPE in parameters:
        dense = replace(dense, separator=pair_template(tokenizer).separator)
    shape = replace(dense, vocab_size=len(parameters["embeddings.word"]))
    if isinstance(config, BertOptions):
        require_layers(config.pruning.layers, shape)
    return ModelState(shape, parameters, tokenizer, dense)
