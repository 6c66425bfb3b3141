"""From labelled messages to the artifact of a fine-tuned, pruned, quantized BERT, top to bottom.

It learns intents, entities or both: see `bert_task.Targets`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.compression.shrinking import shrink
from rasa_compressed_bert.config import BertConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.task_model import CLASSIFIER, TAGGER, TaskModel
from rasa_compressed_bert.tasks.bert_quantization import quantize_and_export
from rasa_compressed_bert.tasks.bert_task import DROPOUT, STUDENT_RATE, BertTask
from rasa_compressed_bert.tasks.budget import compress_within
from rasa_compressed_bert.tasks.start import Start, start_from_artifact, start_from_pretrained
from rasa_compressed_bert.tasks.targets import Targets, continued, targets_from, targets_of
from rasa_compressed_bert.training.batches import batch_count
from rasa_compressed_bert.training.linear_probe import linear_probe
from rasa_compressed_bert.training.loop import Plan, fit, predict_features, predict_states
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.pruning import HeldZeros, NeuronPruning, NoPruning, pruning_for
from rasa_compressed_bert.training.scores import Score, tags_alone

_PROBED_MESSAGES = 2000  # whose wordpieces' states are kept in memory at once
_DENSE_SHARE = 0.5  # of the epochs: a dense model that starts from a linear probe is done sooner than a pruned one


def train_or_finetune(examples: Sequence[Example], config: BertConfig, artifact: Optional[Artifact]) -> Artifact:
    """A new model, or one that goes on where `artifact` is; see `train_bert` and `finetune_bert`."""
    return train_bert(examples, config) if artifact is None else finetune_bert(examples, config, artifact)


class Dense(NamedTuple):
    """A fine-tuned model, what it was trained on, and its score, None without validation examples."""

    model: TaskModel
    task: BertTask
    score: Optional[Score]


def train_bert(examples: Sequence[Example], config: BertConfig) -> Artifact:
    """Fine-tunes the pretrained weights, prunes them under the dense model's guidance, quantizes and exports.

    Args:
        examples: the labelled messages.
        config: all options.

    Raises:
        DataError: if there is nothing to learn.
        WeightsError: if the pretrained weights cannot be read.
        ExportError: if the exported model disagrees with the trained one.
    """
    dense = fine_tune_bert(examples, config)
    if not config.budget.is_given:
        return compress_bert(dense, config)
    return compress_within(dense.score, config, lambda options: compress_bert(dense, options), dense.task)


def fine_tune_bert(examples: Sequence[Example], config: BertConfig) -> Dense:
    """Fine-tunes the pretrained weights, and leaves them as they are.

    Args:
        examples: the labelled messages.
        config: all options; where it prunes, the dense model is but the teacher, and trains for half of the epochs.

    Raises:
        DataError: if there is nothing to learn.
        WeightsError: if the pretrained weights cannot be read.
    """
    start = start_from_pretrained(config, [example.text for example in examples])
    targets = targets_of(examples, config, start.tokenizer)
    task = BertTask.of(examples, targets, _with_heads(start, targets, config), config)
    rng = np.random.default_rng(config.random_seed)

    model = task.first_model()
    model.assign(_probed(model, task))
    pruned = config.pruning.method != "none"
    plan = task.plan("fine-tune", math.ceil(config.epochs * _DENSE_SHARE) if pruned else config.epochs)
    score = fit(model, task.training, task.validation, plan, rng=rng, objective=task.follow(None))
    return Dense(model, task, score)


def compress_bert(dense: Dense, config: BertConfig) -> Artifact:
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
    model, scores = dense.model, {"dense": dense.score}
    if config.pruning.method != "none":
        model, scores["pruned"] = prune(dense.model, task, rng)
    return quantize_and_export(model, task, scores, rng=rng)


def finetune_bert(examples: Sequence[Example], config: BertConfig, artifact: Artifact) -> Artifact:
    """Continues training a compressed model on examples of the same labels; it stays as small as it is.

    Raises:
        DataError: if there is nothing to learn, or if labels are not those of the artifact.
        ExportError: if the exported model disagrees with the trained one.
    """
    task = _resumed(examples, config, artifact)
    rng = np.random.default_rng(config.random_seed)

    model, plan = task.first_model(), task.plan("fine-tune", config.epochs)
    held, labels = HeldZeros(model.encoder), task.follow(None)
    score = fit(model, task.training, task.validation, plan, rng=rng, pruning=held, objective=labels)
    return quantize_and_export(model, task, {"finetuned": score}, rng=rng, origin=artifact)


def requantize_bert(examples: Sequence[Example], config: BertConfig, artifact: Artifact) -> Artifact:
    """The same model in the format and for the runtime of other options; `aware_training` trains it for them.

    Args:
        examples: of the same labels: for calibration, for validation, and to train on.
        config: the options.
        artifact: of a trained model, best one in floats.

    Raises:
        DataError: if there is nothing to learn, or if labels are not those of the artifact.
        ExportError: if the exported model disagrees with the trained one.
    """
    task = _resumed(examples, config, artifact)
    rng = np.random.default_rng(config.random_seed)
    return quantize_and_export(task.first_model(), task, {}, rng=rng, origin=artifact)


def _resumed(examples: Sequence[Example], config: BertConfig, artifact: Artifact) -> BertTask:
    """New examples of what an artifact says already."""
    start = start_from_artifact(artifact)
    before = targets_from(artifact)
    targets = continued(before, targets_of(examples, config, start.tokenizer, before=before))
    return BertTask.of(examples, targets, start, config)


def _with_heads(start: Start, targets: Targets, config: BertConfig) -> Start:
    """Adds linear layers that say nothing yet and, for `pooling: cls`, the pooler of the weights or a new one."""
    parameters, features = dict(start.parameters), start.shape.hidden_size
    if targets.labels:
        if config.pooling == "cls":
            parameters.update(start.pooler or _new_pooler(start.shape, config))
            features = parameters["pooler.kernel"].shape[1]
        parameters["classifier.kernel"] = np.zeros((features, len(targets.labels)), np.float32)
        parameters["classifier.bias"] = np.zeros(len(targets.labels), np.float32)
    if targets.scheme is not None:
        parameters["tagger.kernel"] = np.zeros((start.shape.hidden_size, targets.scheme.num_tags), np.float32)
        parameters["tagger.bias"] = np.zeros(targets.scheme.num_tags, np.float32)
    return start._replace(parameters=parameters)


def _probed(model: TaskModel, task: BertTask) -> Parameters:
    """The linear layers as logistic regression finds them."""
    training, targets, seed = task.training, task.targets, task.config.random_seed
    parameters: Parameters = {}
    if targets.labels:
        labelled = training[np.flatnonzero(training.classes >= 0)]
        features = predict_features(model, labelled.input_ids)
        probe = linear_probe(features, labelled.classes, len(targets.labels), seed=seed)
        parameters.update(zip(CLASSIFIER, probe))
    if targets.scheme is not None and training.tags is not None:
        few = np.random.default_rng(seed).permutation(len(training))[:_PROBED_MESSAGES]
        states, tags = tags_alone(predict_states(model, training[few].input_ids), training[few].tags)
        parameters.update(zip(TAGGER, linear_probe(states, tags, targets.scheme.num_tags, seed=seed)))
    return parameters


def _new_pooler(shape: EncoderShape, config: BertConfig) -> Parameters:
    rng = np.random.default_rng(config.random_seed)
    kernel = rng.normal(0.0, 0.02, (shape.hidden_size, shape.hidden_size)).astype(np.float32)
    return {"pooler.kernel": kernel, "pooler.bias": np.zeros(shape.hidden_size, np.float32)}


def prune(dense: TaskModel, task: BertTask, rng: np.random.Generator) -> Tuple[TaskModel, Optional[Score]]:
    """Prunes a copy of the dense model, which is its teacher, cuts out what is pruned, and lets the rest recover.

    Args:
        dense: the model; it is left as it is.
        task: what it was trained on.
        rng: of the order of the examples.

    Returns:
        The pruned model, and its score, None without validation examples.
    """
    config, training, validation = task.config, task.training, task.validation
    teacher = dense if config.distillation.enabled else None
    dropout, rate = (0.0, STUDENT_RATE) if teacher else (DROPOUT, 1.0)
    model = task.model(dense.encoder.shape, dense.values(), dropout=dropout)
    whole = task.plan(f"prune ({config.pruning.method})", config.epochs, rate=rate)
    pruning = pruning_for(config.pruning, model, batch_count(len(training), whole.batch_size))
    pruning_epochs = max(1, math.ceil(config.pruning.end_epoch))
    plan = replace(whole, epochs=pruning_epochs, keep_from=pruning_epochs)
    score = fit(model, training, validation, plan, rng=rng, pruning=pruning, objective=task.follow(teacher))

    afterwards: NoPruning = HeldZeros(model.encoder)
    if isinstance(pruning, NeuronPruning):
        shape, parameters = shrink(model.encoder.shape, model.values(), pruning.final_gates())
        model = task.model(shape, parameters, dropout=dropout)
        afterwards = NoPruning(pruning.sparsity)
    if pruning_epochs < config.epochs:
        plan = replace(whole, name="recover", epochs=config.epochs - pruning_epochs, schedule=_rest(whole, plan))
        score = fit(model, training, validation, plan, rng=rng, pruning=afterwards, objective=task.follow(teacher))
    return model, score


def _rest(whole: Plan, done: Plan) -> WarmUpLinearDecay:
    steps = whole.schedule.steps
    return WarmUpLinearDecay(whole.schedule.peak, steps, first_step=steps * done.epochs // whole.epochs)
