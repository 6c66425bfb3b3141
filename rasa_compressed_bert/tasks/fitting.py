"""What the stages that train a BERT share: making a model, planning and running a training, and scoring."""

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

DROPOUT = 0.1  # of a model that learns from labels alone; with a teacher, none is needed
STUDENT_RATE = 3.0  # times the learning rate: a compressed model has to change more, and its teacher keeps it stable


def make_model(
    shape: EncoderShape,
    parameters: Mapping[str, np.ndarray],
    config: BertOptions,
    *,
    dropout: float = DROPOUT,
    quantizer: Optional[Quantizer] = None,
) -> TaskModel:
    """Makes a model of these widths and values; the table of word embeddings sets the size of its vocabulary."""
    narrow = replace(shape, vocab_size=len(parameters["embeddings.word"]))
    return TaskModel(narrow, parameters, dropout=Dropout(dropout, seed=config.random_seed), quantizer=quantizer)


def first_model(start: ModelState, messages: Messages, config: BertOptions) -> TaskModel:
    """Makes the model that training starts from, with only the word embeddings that the messages use."""
    return make_model(start.shape, messages.vocabulary.narrow(start.parameters), config)


def plan_of(run: TrainingRun, name: str, epochs: int, *, rate: float = 1.0, size: Optional[int] = None) -> Plan:
    """Plans a stage of training: its epochs, batch size and learning rates.

    Args:
        run: the training run.
        name: the label of the progress bar.
        epochs: passes over the messages.
        rate: multiplies the learning rate.
        size: the number of messages of an epoch; None for those of the run.
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
        run: the training run.
        plan: epochs, batch size and learning rates.
        teacher: a model whose predictions are learnt besides the labels.
        layers: the layers of the teacher that the model has; None if it has all.
        pruning: prunes during training.
        examples: training examples instead of the messages of the run.
    """
    objective = objective_for(run.heads, run.config.distillation, teacher, layers=layers)
    examples = run.messages.learnt if examples is None else examples
    fit(run.model, examples, plan, objective=objective, rng=run.rng, pruning=pruning)


def scored(run: TrainingRun, stage: str) -> TrainingRun:
    """Adds the score of the model on the training messages after a stage.

    It shows what compression changed, not how good the model is on other messages.
    """
    encoded = run.messages.encoded
    score = score_of(predict(run.model, encoded.input_ids), encoded, run.heads)
    return replace(run, scores={**run.scores, stage: score.to_dict()})
