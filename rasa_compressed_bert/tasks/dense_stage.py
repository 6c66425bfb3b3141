"""The first stage of training: fine-tuning the dense model, from the linear layers that logistic regression finds."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np

from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.task_model import CLASSIFIER, TAGGER, TaskModel
from rasa_compressed_bert.tasks.bert_task import BertTask
from rasa_compressed_bert.training.linear_probe import linear_probe
from rasa_compressed_bert.training.loop import fit, predict_features, predict_states
from rasa_compressed_bert.training.scores import tags_alone

_PROBED_MESSAGES = 2000  # whose wordpieces' states are kept in memory at once
_DENSE_SHARE = 0.5  # of the epochs: a dense model that starts from a linear probe is done sooner than a pruned one


def fine_tune(task: BertTask, name: str = "fine-tune", *, halved: Optional[bool] = None) -> TaskModel:
    """A dense model, trained on all messages of a task.

    Args:
        task: the messages, and what training starts from.
        name: the label of the progress bar.
        halved: trains for half of the epochs; None does so where the model is to be pruned.
    """
    config = task.config
    model = task.first_model()
    model.assign(_probed(model, task))
    halved = config.pruning.method != "none" if halved is None else halved
    plan = task.plan(name, math.ceil(config.epochs * _DENSE_SHARE) if halved else config.epochs)
    fit(model, task.training, plan, rng=np.random.default_rng(config.random_seed), objective=task.make_loss(None))
    return model


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
        few_tags = [training.tags[place] for place in few]
        states, tags = tags_alone(predict_states(model, training[few].input_ids), few_tags)
        parameters.update(zip(TAGGER, linear_probe(states, tags, targets.scheme.num_tags, seed=seed)))
    return parameters
