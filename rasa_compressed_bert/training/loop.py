"""The training loop and its one train step."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.training.batches import EncodedExamples, batch_count, shuffled_batches, sorted_batches
from rasa_compressed_bert.training.objectives import LabelLoss, StepInputs
from rasa_compressed_bert.training.optimizer import AdamW, WarmUpLinearDecay
from rasa_compressed_bert.training.pruning import PruningCallback
from rasa_compressed_bert.training.scores import Predictions, Score, score_of

logger = logging.getLogger(__name__)
_PREDICTION_BATCH = 64
_FEW_BATCHES = 5  # MiniLM takes as long for them as for tracing its graph


@dataclass(frozen=True)
class Plan:
    """A stretch of training.

    Attributes:
        name: what the progress bar says.
        epochs: passes over the examples.
        batch_size: messages in a step.
        schedule: of the learning rate.
        keep_from: first epoch (from 1) that may be kept as the best one.
        patience: epochs in a row without a better one after which it ends; None goes on to the end.
    """

    name: str
    epochs: int
    batch_size: int
    schedule: WarmUpLinearDecay
    keep_from: int = 1
    patience: Optional[int] = None


class TrainStep:
    """One step: forward, backward, gate scores, update of the weights, masks."""

    def __init__(self, model: TaskModel, plan: Plan, pruning: PruningCallback, objective: LabelLoss):
        self.model, self.pruning, self.objective = model, pruning, objective
        self.variables = model.variables_in_order()
        self.optimizer = AdamW(self.variables, plan.schedule)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),  # input_ids (B, T)
            tf.TensorSpec([None, None], tf.int32),  # attention_mask (B, T)
            tf.TensorSpec([None], tf.int32),  # classes (B,)
            tf.TensorSpec([None, None], tf.int32),  # tags (B, T) or (B, 0)
            tf.TensorSpec([None, None], tf.float32),  # soft_targets (B, C) or (B, 0)
        ],
        autograph=False,  # there is nothing to convert, and looking for it takes longer than tracing
    )
    def __call__(
        self,
        input_ids: tf.Tensor,
        attention_mask: tf.Tensor,
        classes: tf.Tensor,
        tags: tf.Tensor,
        soft_targets: tf.Tensor,
    ) -> tf.Tensor:
        """The mean loss of the batch before the update."""
        batch_size = tf.shape(input_ids)[0]
        gates = self.pruning.gates(batch_size)
        with tf.GradientTape() as tape:
            tape.watch(gates)
            # summed, not averaged, so that a gate's gradient is that of its own example's loss
            outputs = self.model(input_ids, attention_mask, gates=gates, training=True)
            inputs = StepInputs(input_ids, attention_mask, classes, tags, soft_targets)
            loss = tf.reduce_sum(self.objective.losses(outputs, inputs))
        gradients, gate_gradients = tape.gradient(  # a layer without heads has variables that nothing uses: zero
            loss, [self.variables, gates], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        self.pruning.observe(gate_gradients)
        count = tf.cast(batch_size, tf.float32)
        self.optimizer.apply([tf.convert_to_tensor(gradient) / count for gradient in gradients])
        self.pruning.constrain()
        return loss / count

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)], autograph=False
    )
    def predict(
        self, input_ids: tf.Tensor, attention_mask: tf.Tensor
    ) -> Tuple[Optional[tf.Tensor], Optional[tf.Tensor]]:
        """Logits of the model as it is pruned now, without dropout, see `TaskModel.predict`."""
        outputs = self.model(input_ids, attention_mask, gates=self.pruning.gates(tf.shape(input_ids)[0]))
        return outputs.logits, outputs.tag_logits


def fit(
    model: TaskModel,
    examples: EncodedExamples,
    plan: Plan,
    *,
    rng: np.random.Generator,
    pruning: Optional[PruningCallback] = None,
    objective: Optional[LabelLoss] = None,
    validation: Optional[EncodedExamples] = None,
) -> Optional[Score]:
    """Trains in place, to the end of the plan or, with examples to compare epochs on, to the best epoch.

    Args:
        model: what is trained.
        examples: what it is trained on.
        plan: for how long, and how fast.
        rng: of the order of the examples.
        pruning: what is pruned on the way.
        objective: what the loss is; that of the labels unless given.
        validation: what epochs are compared on; without it the last epoch is kept.

    Returns:
        The score of the epoch that was kept, None without validation examples.
    """
    pruning = pruning or PruningCallback()
    step = TrainStep(model, plan, pruning, objective or LabelLoss())
    best, best_epoch, best_values = None, 0, model.values()
    steps = 0  # the bar's own count stays 0 where TQDM_DISABLE is set
    total = plan.epochs * batch_count(len(examples), plan.batch_size)
    with tqdm(total=total, desc=plan.name, unit="step", dynamic_ncols=True, mininterval=1.0) as bar:
        for epoch in range(1, plan.epochs + 1):
            losses: List[tf.Tensor] = []
            for batch in shuffled_batches(examples.input_ids, plan.batch_size, rng):
                losses.append(step(batch.input_ids, batch.attention_mask, *examples.targets(batch.indices)))
                bar.update()
                steps += 1
                pruning.after_step(steps)
            status: Dict[str, str] = {"epoch": f"{epoch}/{plan.epochs}", "loss": f"{np.mean(losses):.3f}"}
            if validation is not None and len(validation):
                score = score_of(_in_batches(step.predict, validation.input_ids), validation)
                status.update(score.in_words())
                if epoch >= plan.keep_from and score.better_than(best):
                    best, best_epoch, best_values = score, epoch, model.values()
            bar.set_postfix(**status, sparsity=f"{pruning.sparsity:.2f}")
            if best is not None and plan.patience and epoch - best_epoch >= plan.patience:
                break
    if best is not None:
        model.assign(best_values)
    return best


def predict(model: TaskModel, input_ids: Sequence[np.ndarray]) -> Predictions:
    """What a model says of examples, in their order."""
    return _in_batches(_quickest(model.predict, input_ids), input_ids)


def predict_features(model: TaskModel, input_ids: Sequence[np.ndarray]) -> np.ndarray:
    """What the linear layer of the intents sees of examples, in their order.  # (n, P)"""
    features = _quickest(model.features, input_ids)
    rows = _in_batches(lambda *batch: (features(*batch), None), input_ids).logits
    return np.zeros((0, model.features_size), np.float32) if rows is None else rows


def predict_states(model: TaskModel, input_ids: Sequence[np.ndarray]) -> List[np.ndarray]:
    """What the linear layer of the tags sees of examples, in their order.  # n arrays of (T_i, H)"""
    states = _quickest(model.last_states, input_ids)
    return _in_batches(lambda *batch: (None, states(*batch)), input_ids).tag_logits or []


def _quickest(function: Any, input_ids: Sequence[np.ndarray]) -> Any:
    """A `tf.function` for these examples or, for a few batches, its Python function, which need not be traced."""
    few = batch_count(len(input_ids), _PREDICTION_BATCH) <= _FEW_BATCHES
    return function.python_function if few else function


def _in_batches(
    function: Callable[..., Tuple[Optional[tf.Tensor], Optional[tf.Tensor]]], input_ids: Sequence[np.ndarray]
) -> Predictions:
    rows: Dict[int, np.ndarray] = {}
    tag_rows: Dict[int, np.ndarray] = {}
    for batch in sorted_batches(input_ids, _PREDICTION_BATCH):
        outputs = function(batch.input_ids, batch.attention_mask)
        logits, tag_logits = (None if output is None else output.numpy() for output in outputs)
        for row, index in enumerate(batch.indices):
            if logits is not None:
                rows[index] = logits[row]
            if tag_logits is not None:
                tag_rows[index] = tag_logits[row, : len(input_ids[index])]
    places = range(len(input_ids))
    return Predictions(
        np.stack([rows[place] for place in places]) if rows else None,
        [tag_rows[place] for place in places] if tag_rows else None,
    )
