"""What the stages that train a BERT share: its making, how long and how fast it learns, and its score."""

from __future__ import annotations

from dataclasses import replace
from typing import Mapping, Optional, Sequence

import numpy as np

from rasa_compressed_bert.config import BertOptions
from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.quantizer import Quantizer
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.tasks.training_run import Messages, TrainingRun
from rasa_compressed_bert.training.batches import EncodedExamples, batch_count, batch_size_for
from rasa_compressed_bert.training.head import score_of
from rasa_compressed_bert.training.loop import Plan, fit, predict
from rasa_compressed_bert.training.objectives import objective_for
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.pruning import PruningCallback

DROPOUT = 0.1  # of a model that learns from labels; one that follows a teacher needs none
STUDENT_RATE = 3.0  # times the learning rate: a compressed model has further to go, and its teacher holds it


def make_model(
    shape: EncoderShape,
    parameters: Mapping[str, np.ndarray],
    config: BertOptions,
    *,
    dropout: float = DROPOUT,
    quantizer: Optional[Quantizer] = None,
) -> TaskModel:
    """A model of these widths and values, with as many word embeddings as these have."""
    narrow = replace(shape, vocab_size=len(parameters["embeddings.word"]))
    return TaskModel(narrow, parameters, dropout=Dropout(dropout, seed=config.random_seed), quantizer=quantizer)


def first_model(start: ModelState, messages: Messages, config: BertOptions) -> TaskModel:
    """The model that training starts from, with the word embeddings that the messages use."""
    return make_model(start.shape, messages.vocabulary.narrow(start.parameters), config)


def plan_of(run: TrainingRun, name: str, epochs: int, *, rate: float = 1.0, size: Optional[int] = None) -> Plan:
    """The length and the speed of a stage of training.

    Args:
        run: whose messages are learnt.
        name: the label of the progress bar.
        epochs: passes over the messages.
        rate: multiplies the learning rate.
        size: messages of an epoch, where there are others than those that are learnt in every stage.
    """
    batch_size = batch_size_for(len(run.messages.encoded), run.config.batch_size)
    steps = epochs * batch_count(size or len(run.messages.learnt), batch_size)
    return Plan(name, epochs, batch_size, WarmUpLinearDecay(run.config.learning_rate * rate, steps))


def train(
    run: TrainingRun,
    plan: Plan,
    *,
    teacher: Optional[TaskModel] = None,
    layers: Optional[Sequence[int]] = None,
    pruning: Optional[PruningCallback] = None,
    examples: Optional[EncodedExamples] = None,
) -> None:
    """Trains the model of a run in place.

    Args:
        run: whose messages are learnt.
        plan: for how long, and how fast.
        teacher: whose answers are learnt besides the labels.
        layers: of the teacher that the model has; None if it has all.
        pruning: what is pruned on the way.
        examples: in the place of the messages of the run.
    """
    objective = objective_for(run.heads, run.config.distillation, teacher, layers=layers)
    examples = run.messages.learnt if examples is None else examples
    fit(run.model, examples, plan, objective=objective, rng=run.rng, pruning=pruning)


def scored(run: TrainingRun, stage: str) -> TrainingRun:
    """The run with the score that a stage gave: of the training messages themselves.

    It shows what compression changed, not how good the model is on others.
    """
    encoded = run.messages.encoded
    score = score_of(predict(run.model, encoded.input_ids), encoded, run.heads)
    return replace(run, scores={**run.scores, stage: score.to_dict()})
