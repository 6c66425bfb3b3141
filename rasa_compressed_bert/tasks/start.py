"""What a task starts from: pretrained weights, or an artifact of an earlier training."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, NamedTuple, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.config import DEFAULT_VOCABULARY_SIZE, LARGE_VOCABULARY, EncoderConfig
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.export.packing import unpack
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.tokenization.vocabulary import trim


class Start(NamedTuple):
    """What training starts from.

    Attributes:
        shape: widths of the encoder.
        dense: those before anything was compressed, or trimmed.
        parameters: of the encoder, and of a head where an artifact has one.
        tokenizer: the `tokenizers` library's JSON.
        pooler: of pretrained weights that have one.
    """

    shape: EncoderShape
    dense: EncoderShape
    parameters: Dict[str, np.ndarray]
    tokenizer: str
    pooler: Optional[Dict[str, np.ndarray]] = None


def start_from_pretrained(config: EncoderConfig, texts: Sequence[str]) -> Start:
    """The pretrained encoder with as many positions and wordpieces as the options keep.

    Args:
        config: the options.
        texts: of the training data, whose wordpieces a trimmed vocabulary keeps first.

    Raises:
        WeightsError: if the weights cannot be read, or if their vocabulary cannot be trimmed.
        ConfigError: if `max_length` is more than the weights have positions for.
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
    dense = replace(checkpoint.shape, max_position_embeddings=config.max_length)
    shape = replace(dense, vocab_size=len(parameters["embeddings.word"]))
    return Start(shape, dense, parameters, tokenizer, checkpoint.pooler)


@as_artifact_error()
def start_from_artifact(artifact: Artifact) -> Start:
    """The compressed model as it is, in floats.

    Raises:
        ArtifactError: if its parts do not fit each other.
    """
    shape = EncoderShape.from_dict(artifact.manifest["encoder"])
    dense = EncoderShape.from_dict(artifact.manifest["dense_encoder"])
    parameters = unpack(shape, tensors_from_bytes(artifact.files[WEIGHTS]))
    return Start(shape, dense, parameters, artifact.files[TOKENIZER].decode("utf-8"))
