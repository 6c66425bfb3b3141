"""From labelled messages to the artifact of a fine-tuned, pruned, quantized BERT: the stages, top to bottom.

Each stage takes a `TrainingRun`, returns an updated one and knows no other stage; `export` turns the last one into an
artifact. The heads of the model define what is predicted, see `heads`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.augmentation.usable_values import without_held_out_synonyms
from rasa_compressed_bert.config import BertOptions, BudgetConfig
from rasa_compressed_bert.data.example import Example, class_indices, intent_labels, stratified_split
from rasa_compressed_bert.data.known_values import NO_VALUES, KnownValues
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.tasks.budget import Choice, compress_within, warn_of_size
from rasa_compressed_bert.tasks.cross_fitting import cross_fit
from rasa_compressed_bert.tasks.dense_stage import fine_tune, fine_tune_further
from rasa_compressed_bert.tasks.export_stage import export, refit
from rasa_compressed_bert.tasks.preparation import prepare, prepare_further, pretrained_for
from rasa_compressed_bert.tasks.pruning_stage import prune
from rasa_compressed_bert.tasks.quantization_stage import quantize
from rasa_compressed_bert.tasks.training_data import warn_of_data
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.tasks.view_stage import fit_views


def train_or_finetune(
    examples: Sequence[Example],
    config: BertOptions,
    artifact: Optional[Artifact],
    *,
    known: KnownValues = NO_VALUES,
) -> Artifact:
    """Warns about the training data, then trains a new model or continues to train an artifact.

    See `train_bert` and `finetune_bert`; `known`, from lookup tables and synonyms, is for models with entities.
    """
    if artifact is not None:
        tokenizer = artifact.files[TOKENIZER].decode("utf-8")
        warn_of_data(examples, config, tokenizer=tokenizer)
        return finetune_bert(examples, config, artifact, known=known)
    pretrained = pretrained_for(examples, config)
    warn_of_data(examples, config, tokenizer=pretrained.tokenizer)
    return train_bert(examples, config, known=known, pretrained=pretrained)


def train_bert(
    examples: Sequence[Example],
    config: BertOptions,
    *,
    known: KnownValues = NO_VALUES,
    pretrained: Optional[ModelState] = None,
) -> Artifact:
    """Fine-tunes the pretrained weights, prunes them with the dense model as the teacher, quantizes and exports.

    Args:
        examples: the labelled messages; the final model is trained on all of them.
        config: all options. With a budget, the sparsity is chosen on held-out messages first.
        known: further values of entities to learn.
        pretrained: the pretrained encoder; None loads it.

    Raises:
        DataError: if there is nothing to learn.
        WeightsError: if the pretrained weights cannot be read.
        ExportError: if the exported model disagrees with the trained one.
    """
    if not config.budget.is_given:
        return compress_bert(fine_tune_bert(examples, config, known=known, pretrained=pretrained), config)
    choice = choose_sparsity(examples, config, known=known)
    chosen = replace(choice.config, budget=BudgetConfig())
    artifact = train_bert(examples, chosen, known=known, pretrained=pretrained)
    described = {"budget": choice.described, "config": choice.config.to_dict()}
    artifact = Artifact({**artifact.manifest, **described}, artifact.files)
    warn_of_size(artifact, config.budget)
    return artifact


def fine_tune_bert(
    examples: Sequence[Example],
    config: BertOptions,
    *,
    known: KnownValues = NO_VALUES,
    pretrained: Optional[ModelState] = None,
) -> TrainingRun:
    """Runs the first stages, which train the dense model; if it is to be pruned, it becomes the teacher.

    Takes the arguments of `train_bert`, and raises its errors.
    """
    run = prepare(examples, config, known=known, pretrained=pretrained)
    run = cross_fit(run)
    return fine_tune(run)


def compress_bert(dense: TrainingRun, config: BertOptions) -> Artifact:
    """Runs the remaining stages on a copy of a fine-tuned model, so that it can be compressed in several ways.

    Args:
        dense: the fine-tuned model.
        config: all options; the weights, vocabulary, max_length, pooling, seed and split have to be those that the
            dense model was trained with.

    Raises the errors of `quantize` and of `export`.
    """
    run = replace(dense, config=config, rng=np.random.default_rng(config.random_seed))
    run = prune(run)
    return _finished(run)


def finetune_bert(
    examples: Sequence[Example], config: BertOptions, artifact: Artifact, *, known: KnownValues = NO_VALUES
) -> Artifact:
    """Continues to train a compressed model on examples with the same labels; its size does not change.

    When its weights are quantized again, each moves to the nearest 8-bit value. So the linear layers are refitted to
    the quantized model.

    Raises the errors of `prepare_further` and of `export`.
    """
    run = prepare_further(examples, config, artifact, known=known)
    run = fine_tune_further(run)
    tuned = _finished(run, rounded=True)
    if "budget" not in artifact.manifest:
        return tuned
    pruning = artifact.manifest["config"]["pruning"]  # as it was chosen
    described = {"budget": artifact.manifest["budget"], "config": {**tuned.manifest["config"], "pruning": pruning}}
    tuned = Artifact({**tuned.manifest, **described}, tuned.files)
    warn_of_size(tuned, config.budget)
    return tuned


def requantize_bert(examples: Sequence[Example], config: BertOptions, artifact: Artifact) -> Artifact:
    """Exports a trained model again, in another format or for another runtime.

    Args:
        examples: with the same labels; used for activation ranges, for the views and for training.
        config: the options; with `aware_training`, the model is trained for the new format.
        artifact: a trained model, preferably in floats.

    Raises the errors of `prepare_further` and of `export`.
    """
    return _finished(prepare_further(examples, config, artifact, known=None))


def _finished(run: TrainingRun, *, rounded: bool = False) -> Artifact:
    """Runs the last stages, which all kinds of training share; for `rounded` see `quantize`."""
    run = quantize(run, rounded=rounded)
    run = refit(run)
    artifact = export(run)
    return fit_views(artifact, run)


def choose_sparsity(examples: Sequence[Example], config: BertOptions, *, known: KnownValues = NO_VALUES) -> Choice:
    """Chooses the sparsity that stays within the budget, measured on messages that are held out for this.

    Raises:
        DataError: if no sparsity stays within it, or if there are too few messages to hold some out.
    """
    classes, texts = class_indices(examples, intent_labels(examples)), [example.text for example in examples]
    split = stratified_split(classes, config.validation_split, seed=config.random_seed, texts=texts)
    training, held_out = ([examples[place] for place in part] for part in split)
    if not held_out:
        raise DataError("budget: there are too few messages to hold some out and measure a budget on them.")
    known = without_held_out_synonyms(known, held_out, training)
    dense = fine_tune_bert(training, replace(config, validation_split=0.0, budget=BudgetConfig()), known=known)
    return compress_within(held_out, config, lambda options: compress_bert(dense, options))
