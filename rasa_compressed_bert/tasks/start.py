"""The first state of a model: pretrained weights, or an artifact of an earlier training."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.config import DEFAULT_VOCABULARY_SIZE, LARGE_VOCABULARY, BertOptions, EncoderConfig
from rasa_compressed_bert.errors import ConfigError
from rasa_compressed_bert.export.packing import unpack
from rasa_compressed_bert.heads import Head
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import POOLER
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.tokenization.vocabulary import trim
from rasa_compressed_bert.training.head import initial_parameters


def start_from_pretrained(config: EncoderConfig, texts: Sequence[str], *, pooler: bool = False) -> ModelState:
    """The pretrained encoder with as many positions and wordpieces as the options keep.

    Args:
        config: the options.
        texts: of the training data, whose wordpieces a trimmed vocabulary keeps first.
        pooler: adds the pooler of the weights, if they have one.

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
    if pooler:
        parameters.update(checkpoint.pooler or {})
    dense = replace(checkpoint.shape, max_position_embeddings=config.max_length)
    shape = replace(dense, vocab_size=len(parameters["embeddings.word"]))
    return ModelState(shape, parameters, tokenizer, dense)


@as_artifact_error()
def start_from_artifact(artifact: Artifact) -> ModelState:
    """The compressed model as it is, in floats.

    Raises:
        ArtifactError: if its parts do not fit each other.
    """
    shape = EncoderShape.from_dict(artifact.manifest["encoder"])
    dense = EncoderShape.from_dict(artifact.manifest["dense_encoder"])
    parameters = unpack(shape, tensors_from_bytes(artifact.files[WEIGHTS]))
    return ModelState(shape, parameters, artifact.files[TOKENIZER].decode("utf-8"), dense)


def with_heads(state: ModelState, heads: Sequence[Head], config: BertOptions) -> ModelState:
    """Replaces what is on top of the encoder by linear layers of zeros and, for `pooling: cls`, a pooler.

    The pooler is that of the weights or, where they have none, a random one.
    """
    parameters = {name: state.parameters[name] for name in state.shape.parameter_shapes()}
    features = state.shape.hidden_size
    if config.pooling == "cls":
        parameters.update({name: state.parameters[name] for name in POOLER if name in state.parameters})
        if POOLER[0] not in parameters:
            rng = np.random.default_rng(config.random_seed)
            kernel = rng.normal(0.0, 0.02, (features, features)).astype(np.float32)
            parameters.update(zip(POOLER, (kernel, np.zeros(features, np.float32))))
        features = parameters[POOLER[0]].shape[1]
    layers = initial_parameters(heads, hidden_size=state.shape.hidden_size, features_size=features)
    return replace(state, parameters={**parameters, **layers})
