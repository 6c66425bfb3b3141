"""Prepares a training run: a model, the heads that the examples have labels for, and the encoded messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import KnownValues
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.heads import Head, continued_heads, heads_of, intents_of, learnt_heads, require_registered
from rasa_compressed_bert.models.shape import POOLER
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.tasks.cross_fitted import cross_fitted_of
from rasa_compressed_bert.tasks.fitting import first_model
from rasa_compressed_bert.tasks.intent_names import helpful_names, name_examples
from rasa_compressed_bert.tasks.messages import encode_messages
from rasa_compressed_bert.tasks.start import start_from_pretrained
from rasa_compressed_bert.tasks.training_data import with_whole_words
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.training.head import initial_parameters


def pretrained_for(examples: Sequence[Example], config: BertOptions) -> ModelState:
    """The pretrained encoder, with a pooler if the options ask for one; for entities alone, its first half.

    Entities are tagged from the hidden states of a middle layer, see docs/decisions.md.
    """
    texts, entities_alone = [example.text for example in examples], not config.learns_intents
    return start_from_pretrained(config, texts, pooler=config.pooling == "cls", first_half=entities_alone)


def prepare(
    examples: Sequence[Example], config: BertOptions, *, known: KnownValues, pretrained: Optional[ModelState] = None
) -> TrainingRun:
    """Prepares the training of a new model, see `bert_training.train_bert`.

    Raises:
        DataError: if there is nothing to learn.
        WeightsError: if the pretrained weights cannot be read.
    """
    pretrained = pretrained or pretrained_for(examples, config)
    examples, _ = with_whole_words(examples, pretrained.tokenizer)
    heads = learnt_heads(examples, config, pretrained.tokenizer)
    intents, start = intents_of(heads), with_heads(pretrained, heads, config)
    names = helpful_names(examples, intents.labels, start, seed=config.random_seed) if intents else []
    return begin([*examples, *names], heads, start, config, known=known)


def prepare_further(
    examples: Sequence[Example], config: BertOptions, artifact: Artifact, *, known: Optional[KnownValues]
) -> TrainingRun:
    """Prepares to continue the training of a model, on examples with the same labels.

    `known` is that of `begin`.

    Raises:
        DataError: if there is nothing to learn, or if the labels or the heads are not those of the artifact.
        ArtifactError: if the parts of the artifact do not fit each other.
    """
    start = state_of(artifact)
    with as_artifact_error():
        require_registered(artifact.manifest)
        before = heads_of(artifact.manifest)
        stages = artifact.manifest.get("training_scores", {})
        scores = {stage: score for stage, score in stages.items() if stage != "final"}  # "final" is measured again
    examples, _ = with_whole_words(examples, start.tokenizer)
    heads = continued_heads(before, learnt_heads(examples, config, start.tokenizer, before=before))
    intents, names = intents_of(heads), []
    if intents and artifact.manifest.get("num_names"):
        names = name_examples(intents.labels, [example.text for example in examples])
    run = begin([*examples, *names], heads, start, config, known=known)
    return replace(run, scores=scores, cross_fitted=cross_fitted_of(artifact))


def start_without(run: TrainingRun, held_out: np.ndarray) -> Optional[ModelState]:
    """The weights that training starts from if its vocabulary is trimmed as if the held-out messages did not exist.

    A trimmed vocabulary keeps the wordpieces of the training messages, and splits other words of users further.

    Args:
        run: a run that is prepared, but not trained.
        held_out: positions of the held-out messages.

    Returns:
        The weights, with the layers of the heads; None if the vocabulary is not trimmed.

    Raises:
        WeightsError: if the pretrained weights cannot be read.
    """
    if run.start.shape.vocab_size == run.start.dense_shape.vocab_size:
        return None
    hidden = set(held_out.tolist())
    seen = [example for place, example in enumerate(run.messages.examples) if place not in hidden]
    return with_heads(pretrained_for(seen, run.config), run.heads, run.config)


def begin(
    examples: Sequence[Example],
    heads: Sequence[Head],
    start: ModelState,
    config: BertOptions,
    *,
    known: Optional[KnownValues],
) -> TrainingRun:
    """Starts a run.

    Args:
        examples: the labelled messages, followed by names of intents.
        heads: the heads to train.
        start: the weights that training starts from, with the layers of the heads.
        config: all options.
        known: further values of entities to learn; None learns none, and keeps those that the heads have.
    """
    heads, messages = encode_messages(examples, heads, start, config, known=known)
    model, rng = first_model(start, messages, config), np.random.default_rng(config.random_seed)
    return TrainingRun(config, heads, start, messages, model, rng)


def with_heads(state: ModelState, heads: Sequence[Head], config: BertOptions) -> ModelState:
    """Replaces the layers on top of the encoder by linear layers of zeros and, for `pooling: cls`, a pooler.

    The pooler is that of the pretrained weights or, if they have none, a random one.
    """
    parameters = state.encoder_parameters
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
