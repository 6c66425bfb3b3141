"""The first stage of training: fine-tuning the dense model, from the linear layers that logistic regression finds."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np

from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.tasks.bert_task import BertTask
from rasa_compressed_bert.training.loop import fit, predict_inputs

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
    training = task.with_filled()
    epochs = math.ceil(config.epochs * _DENSE_SHARE) if halved else config.epochs
    plan = task.plan(name, epochs, messages=len(training))
    fit(model, training, plan, objective=task.make_loss(None), rng=np.random.default_rng(config.random_seed))
    return model


def _probed(model: TaskModel, task: BertTask) -> Parameters:
    """The linear layers as logistic regression finds them."""
    seed = task.config.random_seed
    parameters: Parameters = {}
    for head in task.heads:
        probed = task.training[head.places_to_probe(len(task.training), seed=seed)]
        inputs = predict_inputs(model, head.layer.name, probed.input_ids)
        fitted = head.probe(inputs, probed.labels[head.name], seed=seed)
        parameters.update(zip((head.layer.kernel, head.layer.bias), fitted))
    return parameters
