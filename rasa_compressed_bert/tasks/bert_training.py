"""From labelled messages to the artifact of a fine-tuned, pruned, quantized BERT, top to bottom.

What is predicted is defined by the heads of the model, see `heads`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Dict, NamedTuple, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.config import BertOptions, BudgetConfig, IntentConfig
from rasa_compressed_bert.data.example import Example, class_indices, intent_labels, stratified_split
from rasa_compressed_bert.data.known_values import NO_VALUES, KnownValues
from rasa_compressed_bert.heads import continued_heads, heads_of, intents_of, learnt_heads, require_registered
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.tasks.bert_quantization import Scores, quantize_and_export
from rasa_compressed_bert.tasks.bert_task import DROPOUT, STUDENT_RATE, BertTask
from rasa_compressed_bert.tasks.budget import Choice, compress_within
from rasa_compressed_bert.tasks.cross_fitting import CrossFitted, cross_fit, cross_fitted_of, voting_of
from rasa_compressed_bert.tasks.dense_stage import fine_tune
from rasa_compressed_bert.tasks.intent_names import helpful_names, name_examples
from rasa_compressed_bert.tasks.start import start_from_artifact, start_from_pretrained, with_heads
from rasa_compressed_bert.tasks.training_data import warn_of_data, with_whole_words
from rasa_compressed_bert.tasks.view_stage import with_views
from rasa_compressed_bert.training.batches import batch_count
from rasa_compressed_bert.training.head import score_of
from rasa_compressed_bert.training.loop import Plan, fit, predict
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.pruning import FixedMask, pruning_for


def train_or_finetune(
    examples: Sequence[Example],
    config: BertOptions,
    artifact: Optional[Artifact],
    *,
    known: KnownValues = NO_VALUES,
) -> Artifact:
    """Trains a new model, or an artifact further, after warnings about the training data.

    See `train_bert` and `finetune_bert`; lookup tables and synonyms, `known`, are for models with entities.
    """
    if artifact is not None:
        tokenizer = artifact.files[TOKENIZER].decode("utf-8")
        warn_of_data(examples, config, tokenizer=tokenizer, max_length=config.max_length)
        return finetune_bert(examples, config, artifact, known=known)
    pretrained = _pretrained(examples, config)
    warn_of_data(examples, config, tokenizer=pretrained.tokenizer, max_length=config.max_length)
    return train_bert(examples, config, known=known, pretrained=pretrained)


def _pretrained(examples: Sequence[Example], config: BertOptions) -> ModelState:
    texts = [example.text for example in examples]
    return start_from_pretrained(config, texts, pooler=config.pooling == "cls")


class Dense(NamedTuple):
    """A fine-tuned model, what it was trained on, and what cross-fitting measured, None without it."""

    model: TaskModel
    task: BertTask
    cross_fitted: Optional[CrossFitted]


def train_bert(
    examples: Sequence[Example],
    config: BertOptions,
    *,
    known: KnownValues = NO_VALUES,
    pretrained: Optional[ModelState] = None,
) -> Artifact:
    """Fine-tunes the pretrained weights, prunes them under the dense model's guidance, quantizes and exports.

    Args:
        examples: the labelled messages; all of them are learnt.
        config: all options. With a budget, a sparsity is chosen on a held-out part first.
        known: values of entities that are learnt besides.
        pretrained: the pretrained encoder; None reads it.

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
    return Artifact({**artifact.manifest, **described}, artifact.files)


def choose_sparsity(examples: Sequence[Example], config: BertOptions, *, known: KnownValues = NO_VALUES) -> Choice:
    """The options with the sparsity that keeps within the budget, measured on messages that are held out for it.

    Raises:
        DataError: if no sparsity does, or if there are too few messages to hold some out.
    """
    classes = class_indices(examples, intent_labels(examples))
    split = stratified_split(classes, config.validation_split, seed=config.random_seed)
    training, held_out = ([examples[place] for place in part] for part in split)
    dense = fine_tune_bert(training, replace(config, validation_split=0.0, budget=BudgetConfig()), known=known)
    return compress_within(held_out, config, lambda options: compress_bert(dense, options))


def fine_tune_bert(
    examples: Sequence[Example],
    config: BertOptions,
    *,
    known: KnownValues = NO_VALUES,
    pretrained: Optional[ModelState] = None,
) -> Dense:
    """Fine-tunes the pretrained weights, and leaves them as they are.

    Args:
        examples: the labelled messages.
        config: all options; where it prunes, the dense model is but the teacher, and trains for half of the epochs.
        known: values of entities that are learnt besides.
        pretrained: the pretrained encoder; None reads it.

    Raises:
        DataError: if there is nothing to learn.
        WeightsError: if the pretrained weights cannot be read.
    """
    pretrained = pretrained or _pretrained(examples, config)
    examples, _ = with_whole_words(examples, pretrained.tokenizer)
    heads = learnt_heads(examples, config, pretrained.tokenizer)
    state = with_heads(pretrained, heads, config)
    intents = intents_of(heads)
    names = helpful_names(examples, intents.labels, state, seed=config.random_seed) if intents else []
    task = BertTask.of([*examples, *names], heads, state, config, known=known)
    cross_fitted = cross_fit(task)
    return Dense(fine_tune(task), task, cross_fitted)


def compress_bert(dense: Dense, config: BertOptions) -> Artifact:
    """Prunes a copy of a fine-tuned model, which is its teacher, quantizes it and exports it.

    Args:
        dense: the model; it is left as it is, so that it can be compressed in several ways.
        config: all options; those that a model starts with (weights, vocabulary, max_length, pooling, seed and split)
            are those that the dense one was trained with.

    Raises:
        DataError: if there is nothing to calibrate on.
        ExportError: if the exported model disagrees with the trained one.
    """
    task = replace(dense.task, config=config)
    rng = np.random.default_rng(config.random_seed)
    model, scores = dense.model, {"dense": _training_score(dense.model, task)}
    if config.pruning.method != "none":
        model = prune(dense.model, task, rng)
        scores["pruned"] = _training_score(model, task)
    return _finish(model, task, scores, rng, dense.cross_fitted)


def finetune_bert(
    examples: Sequence[Example], config: BertOptions, artifact: Artifact, *, known: KnownValues = NO_VALUES
) -> Artifact:
    """Continues training a compressed model on examples of the same labels; it stays as small as it is.

    Raises:
        DataError: if there is nothing to learn, if labels are not those of the artifact, or if it has other heads.
        ExportError: if the exported model disagrees with the trained one.
    """
    task = _resumed(examples, config, artifact, known=known)
    rng = np.random.default_rng(config.random_seed)
    model, training = task.first_model(), task.with_filled()
    plan = task.plan("fine-tune", config.epochs, messages=len(training))
    fit(model, training, plan, objective=task.make_loss(None), rng=rng, pruning=FixedMask(model.encoder))
    scores = {**_earlier_scores(artifact), "finetuned": _training_score(model, task)}
    return _finish(model, task, scores, rng, cross_fitted_of(artifact))


def requantize_bert(examples: Sequence[Example], config: BertOptions, artifact: Artifact) -> Artifact:
    """The same model in the format and for the runtime of other options; `aware_training` trains it for them.

    Args:
        examples: of the same labels: for activation ranges and for the views, and to train on.
        config: the options.
        artifact: of a trained model, best one in floats.

    Raises:
        DataError: if there is nothing to learn, or if labels are not those of the artifact.
        ExportError: if the exported model disagrees with the trained one.
    """
    task = _resumed(examples, config, artifact)
    rng = np.random.default_rng(config.random_seed)
    return _finish(task.first_model(), task, _earlier_scores(artifact), rng, cross_fitted_of(artifact))


def _earlier_scores(artifact: Artifact) -> Scores:
    """Those of the stages that an artifact went through; the last one, `final`, is measured anew."""
    stages = artifact.manifest.get("training_scores", {})
    return {stage: score for stage, score in stages.items() if stage != "final"}


def _finish(
    model: TaskModel, task: BertTask, scores: Scores, rng: np.random.Generator, cross_fitted: Optional[CrossFitted]
) -> Artifact:
    """The last stages: format, linear layers that are fitted again, export, and the views of a message."""
    artifact = quantize_and_export(model, task, scores, rng=rng, cross_fitted=cross_fitted, refit=True)
    intents = intents_of(task.heads)
    if intents is None or not isinstance(task.config, IntentConfig):
        return artifact
    return with_views(
        artifact,
        task.texts,
        task.training.labels[intents.name],
        task.config.out_of_scope,
        voting=voting_of(cross_fitted),
        num_names=task.num_names,
        seed=task.config.random_seed,
    )


def _training_score(model: TaskModel, task: BertTask) -> Dict[str, float]:
    """Of the training messages themselves: what compression changed, not how good the model is on others."""
    return score_of(predict(model, task.training.input_ids), task.training, task.heads).to_dict()


def _resumed(
    examples: Sequence[Example], config: BertOptions, artifact: Artifact, *, known: KnownValues = NO_VALUES
) -> BertTask:
    """New examples of the labels that an artifact has already."""
    state = start_from_artifact(artifact)
    require_registered(artifact.manifest)
    before = heads_of(artifact.manifest)
    examples, _ = with_whole_words(examples, state.tokenizer)
    heads = continued_heads(before, learnt_heads(examples, config, state.tokenizer, before=before))
    intents, names = intents_of(heads), []
    if intents and artifact.manifest.get("num_names"):
        names = name_examples(intents.labels, [example.text for example in examples])
    return BertTask.of([*examples, *names], heads, state, config, known=known)


def prune(dense: TaskModel, task: BertTask, rng: np.random.Generator) -> TaskModel:
    """Prunes a copy of the dense model, which is its teacher, cuts out what is pruned, and lets the rest recover.

    Where there are synthetic messages without labels, an epoch has them too, and there are as many fewer epochs.

    Args:
        dense: the model; it is left as it is.
        task: what it was trained on.
        rng: of the order of the examples.
    """
    config, labelled = task.config, task.with_filled()
    training = labelled.joined(task.synthetic)
    share = len(labelled) / len(training)
    epochs = max(1, round(config.epochs * share))
    teacher = dense if config.distillation.enabled else None
    dropout, rate = (0.0, STUDENT_RATE) if teacher else (DROPOUT, 1.0)
    model = task.model(dense.encoder.shape, dense.values(), dropout=dropout)
    whole = task.plan(f"prune ({config.pruning.method})", epochs, rate=rate, messages=len(training))
    pruning = pruning_for(config.pruning, model, batch_count(len(labelled), whole.batch_size))
    pruning_epochs = min(epochs, max(1, math.ceil(config.pruning.end_epoch * share)))
    plan = replace(whole, epochs=pruning_epochs)
    fit(model, training, plan, objective=task.make_loss(teacher), rng=rng, pruning=pruning)
    model, fixed = pruning.finish(partial(task.model, dropout=dropout))
    if pruning_epochs < epochs:
        plan = replace(whole, name="recover", epochs=epochs - pruning_epochs, schedule=_rest(whole, plan))
        fit(model, training, plan, objective=task.make_loss(teacher), rng=rng, pruning=fixed)
    return model


def _rest(whole: Plan, done: Plan) -> WarmUpLinearDecay:
    steps = whole.schedule.steps
    return WarmUpLinearDecay(whole.schedule.peak, steps, first_step=steps * done.epochs // whole.epochs)
