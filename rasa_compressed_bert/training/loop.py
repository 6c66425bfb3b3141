"""The training loop and its train step."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.training.batches import (
    Batch,
    EncodedExamples,
    batch_count,
    shuffled_batches,
    sorted_batches,
)
from rasa_compressed_bert.training.head import Head, Rows, score_of
from rasa_compressed_bert.training.objectives import Objective, StepInputs
from rasa_compressed_bert.training.optimizer import AdamW, WarmUpLinearDecay
from rasa_compressed_bert.training.progress import stage
from rasa_compressed_bert.training.pruning import PruningCallback
from rasa_compressed_bert.training.scores import Predictions, Score

logger = logging.getLogger(__name__)
_PREDICTION_BATCH = 64
_IDS = tf.TensorSpec([None, None], tf.int32)  # ids or mask, (B, T)
_FEW_BATCHES = 5  # with MiniLM, they take as long as tracing the graph
_FEW_STEPS = 14  # tracing takes as long as 17 steps of MiniLM, or 15 with pruning


@dataclass(frozen=True)
class Plan:
    """The length and the learning rates of a stage of training.

    Attributes:
        name: the label of the progress bar.
        epochs: passes over the examples.
        batch_size: examples in a step.
        schedule: the schedule of the learning rate.
        keep_from: the first epoch (from 1) that may be kept as the best one.
        patience: the number of consecutive epochs without improvement after which training stops; None trains to the
            end.
    """

    name: str
    epochs: int
    batch_size: int
    schedule: WarmUpLinearDecay
    keep_from: int = 1
    patience: Optional[int] = None


class TrainStep:
    """One train step: forward and backward pass, observation of gates, update of the weights, masks.

    Args:
        model: the model to train.
        plan: epochs, batch size and learning rates.
        pruning: prunes during training.
        objective: the loss.
        examples: the training examples, for the types of their labels and their number.
    """

    def __init__(
        self, model: TaskModel, plan: Plan, pruning: PruningCallback, objective: Objective, examples: EncodedExamples
    ):
        self.model, self.pruning, self.objective = model, pruning, objective
        self.variables = model.variables_in_order()
        self.optimizer = AdamW(self.variables, plan.schedule)
        labels = {
            name: tf.TensorSpec([None] * one.ndim, one.dtype) for name, one in examples.targets(np.arange(1)).items()
        }
        # autograph has nothing to convert here, and its search takes longer than tracing
        step = tf.function(self._update, input_signature=[_IDS, _IDS, labels], autograph=False)
        steps = plan.epochs * batch_count(len(examples), plan.batch_size)
        self._step = step.python_function if steps <= _FEW_STEPS else step

    def __call__(self, batch: Batch, labels: Mapping[str, np.ndarray]) -> tf.Tensor:
        """The mean loss of the batch before the update."""
        return self._step(batch.input_ids, batch.attention_mask, dict(labels))

    def _update(self, input_ids: tf.Tensor, attention_mask: tf.Tensor, labels: Mapping[str, tf.Tensor]) -> tf.Tensor:
        batch_size = tf.shape(input_ids)[0]
        gates = self.pruning.gates(batch_size)
        with tf.GradientTape() as tape:
            tape.watch(gates)
            # summed, not averaged, so that the gradient of an example's gate is that of the example's own loss
            outputs = self.model(input_ids, attention_mask, gates=gates, training=True)
            loss = tf.reduce_sum(self.objective.losses(outputs, StepInputs(input_ids, attention_mask, labels)))
        gradients, gate_gradients = tape.gradient(  # unused variables, as in a layer without heads, get zeros
            loss, [self.variables, gates], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        self.pruning.observe(gate_gradients)
        count = tf.cast(batch_size, tf.float32)
        self.optimizer.apply([tf.convert_to_tensor(gradient) / count for gradient in gradients])
        self.pruning.constrain()
        return loss / count

    @tf.function(input_signature=[_IDS, _IDS], autograph=False)
    def predict(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """The logits of the heads with the present gates and without dropout, see `TaskModel.predict`."""
        return self.model(input_ids, attention_mask, gates=self.pruning.gates(tf.shape(input_ids)[0])).heads


@dataclass(frozen=True)
class Validation:
    """Examples on which epochs are compared.

    Attributes:
        examples: the examples with their labels.
        heads: the heads of the model, which score them.
    """

    examples: EncodedExamples
    heads: Sequence[Head]


def fit(
    model: TaskModel,
    examples: EncodedExamples,
    plan: Plan,
    *,
    objective: Objective,
    rng: np.random.Generator,
    pruning: Optional[PruningCallback] = None,
    validation: Optional[Validation] = None,
) -> Optional[Score]:
    """Trains a model in place, and keeps the last epoch or, with validation examples, the best one.

    Args:
        model: the model to train.
        examples: the training examples.
        plan: epochs, batch size and learning rates.
        objective: the loss.
        rng: shuffles the examples.
        pruning: prunes during training.
        validation: examples on which epochs are compared.

    Returns:
        The score of the epoch that was kept; None without validation examples.
    """
    pruning = pruning or PruningCallback()
    step = TrainStep(model, plan, pruning, objective, examples)
    best, best_epoch, best_values = None, 0, model.values()
    steps = 0
    total = plan.epochs * batch_count(len(examples), plan.batch_size)
    with stage(plan.name, total) as shown:
        for epoch in range(1, plan.epochs + 1):
            losses: List[tf.Tensor] = []
            for batch in shuffled_batches(examples.input_ids, plan.batch_size, rng):
                losses.append(step(batch, examples.targets(batch.indices)))
                shown.step()
                steps += 1
                pruning.after_step(steps)
            values = {"loss": float(np.mean(losses)), "sparsity": pruning.sparsity}
            if validation is not None and len(validation.examples):
                compared = validation.examples
                score = score_of(_in_batches(step.predict, compared.input_ids), compared, validation.heads)
                values.update({**score.f1, **score.others})
                if epoch >= plan.keep_from and score.better_than(best):
                    best, best_epoch, best_values = score, epoch, model.values()
            shown.epoch(epoch, values)
            if best is not None and plan.patience and epoch - best_epoch >= plan.patience:
                logger.info(f"{plan.name}: stopped early, epoch {best_epoch} kept.")
                break
    if best is not None:
        model.assign(best_values)
    return best


def predict(model: TaskModel, input_ids: Sequence[np.ndarray]) -> Predictions:
    """The logits of the heads of a model for examples, in their order; empty if there are no examples."""
    return _in_batches(_quickest(model.predict, input_ids), input_ids)


def predict_inputs(model: TaskModel, name: str, input_ids: Sequence[np.ndarray]) -> Rows:
    """The inputs of the linear layer of a head for examples, in their order, see `TaskModel.head_inputs`.

    Args:
        model: the model.
        name: the name of the layer, or `FEATURES`.
        input_ids: the wordpiece ids of the examples, at least one.
    """
    inputs = _quickest(model.head_inputs, input_ids)
    return _in_batches(lambda *batch: {name: inputs(*batch)[name]}, input_ids)[name]


def _quickest(function: Any, input_ids: Sequence[np.ndarray]) -> Any:
    """The `tf.function` itself or, for a few batches, its Python function, which need not be traced."""
    few = batch_count(len(input_ids), _PREDICTION_BATCH) <= _FEW_BATCHES
    return function.python_function if few else function


def _in_batches(function: Callable[..., Mapping[str, tf.Tensor]], input_ids: Sequence[np.ndarray]) -> Dict[str, Rows]:
    """Outputs (B, C) as one array, and outputs (B, T, C) as an array without padding for each example."""
    rows: Dict[str, Dict[int, np.ndarray]] = defaultdict(dict)
    for batch in sorted_batches(input_ids, _PREDICTION_BATCH):
        for name, tensor in function(batch.input_ids, batch.attention_mask).items():
            output = tensor.numpy()
            for row, index in enumerate(batch.indices):
                rows[name][index] = output[row, : len(input_ids[index])] if output.ndim == 3 else output[row]
    places = range(len(input_ids))
    return {
        name: [own[place] for place in places] if own[0].ndim == 2 else np.stack([own[place] for place in places])
        for name, own in rows.items()
    }
