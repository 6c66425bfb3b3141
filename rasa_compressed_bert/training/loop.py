"""The training loop and its one train step."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence

import numpy as np
import tensorflow as tf
from sklearn.metrics import f1_score
from tqdm import tqdm

from rasa_compressed_bert.models.intent_model import IntentModel
from rasa_compressed_bert.training.batches import EncodedExamples, batch_count, shuffled_batches, sorted_batches
from rasa_compressed_bert.training.objectives import Labels, StepInputs
from rasa_compressed_bert.training.optimizer import AdamW, WarmUpLinearDecay
from rasa_compressed_bert.training.pruning import NoPruning

logger = logging.getLogger(__name__)
_PREDICTION_BATCH = 64


@dataclass(frozen=True)
class Score:
    """How good a model is on held-out examples; of two scores the larger is better."""

    macro_f1: float
    accuracy: float
    loss: float  # nats

    def better_than(self, other: Optional[Score]) -> bool:
        """Higher macro F1, or the same with a lower loss (small validation sets tie often)."""
        return other is None or (self.macro_f1, -self.loss) > (other.macro_f1, -other.loss)


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

    def __init__(self, model: IntentModel, plan: Plan, pruning: NoPruning, objective: Labels):
        self.model, self.pruning, self.objective = model, pruning, objective
        self.variables = model.variables_in_order()
        self.optimizer = AdamW(self.variables, plan.schedule)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),  # input_ids (B, T)
            tf.TensorSpec([None, None], tf.int32),  # attention_mask (B, T)
            tf.TensorSpec([None], tf.int32),  # classes (B,)
            tf.TensorSpec([None, None], tf.float32),  # soft_targets (B, C) or (B, 0)
        ]
    )
    def __call__(
        self, input_ids: tf.Tensor, attention_mask: tf.Tensor, classes: tf.Tensor, soft_targets: tf.Tensor
    ) -> tf.Tensor:
        """The mean loss of the batch before the update."""
        batch_size = tf.shape(input_ids)[0]
        gates = self.pruning.gates(batch_size)
        with tf.GradientTape() as tape:
            tape.watch(gates)
            # summed, not averaged, so that a gate's gradient is that of its own example's loss
            logits, states = self.model(input_ids, attention_mask, gates=gates, training=True)
            inputs = StepInputs(input_ids, attention_mask, classes, soft_targets)
            loss = tf.reduce_sum(self.objective.losses(logits, states, inputs))
        gradients, gate_gradients = tape.gradient(  # a layer without heads has variables that nothing uses: zero
            loss, [self.variables, gates], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        self.pruning.observe(gate_gradients)
        count = tf.cast(batch_size, tf.float32)
        self.optimizer.apply([tf.convert_to_tensor(gradient) / count for gradient in gradients])
        self.pruning.constrain()
        return loss / count

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)])
    def predict(self, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        """Logits of the model as it is pruned now, without dropout.  # (B, C)"""
        return self.model(input_ids, attention_mask, gates=self.pruning.gates(tf.shape(input_ids)[0]))[0]


def fit(
    model: IntentModel,
    examples: EncodedExamples,
    validation: EncodedExamples,
    plan: Plan,
    *,
    rng: np.random.Generator,
    pruning: Optional[NoPruning] = None,
    objective: Optional[Labels] = None,
) -> Optional[Score]:
    """Trains in place and leaves the model as it was after its best epoch.

    Args:
        model: what is trained.
        examples: what it is trained on.
        validation: what epochs are compared on; where there is none the last epoch is kept.
        plan: for how long, and how fast.
        rng: of the order of the examples.
        pruning: what is pruned on the way.
        objective: what the loss is; that of the labels unless given.

    Returns:
        The score of the epoch that was kept, None without validation examples.
    """
    pruning = pruning or NoPruning()
    step = TrainStep(model, plan, pruning, objective or Labels())
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
            if len(validation):
                logits = _in_batches(step.predict, validation.input_ids, model.num_classes)
                score = evaluate(logits, validation.classes)
                status["accuracy"] = f"{score.accuracy:.3f}"
                if epoch >= plan.keep_from and score.better_than(best):
                    best, best_epoch, best_values = score, epoch, model.values()
            bar.set_postfix(**status, sparsity=f"{pruning.sparsity:.2f}")
            if best is not None and plan.patience and epoch - best_epoch >= plan.patience:
                break
    if best is not None:
        model.assign(best_values)
    return best


def predict_logits(model: IntentModel, input_ids: Sequence[np.ndarray]) -> np.ndarray:
    """Logits of examples in their order.  # (n, C)"""
    return _in_batches(model.predict, input_ids, model.num_classes)


def predict_features(model: IntentModel, input_ids: Sequence[np.ndarray]) -> np.ndarray:
    """What the linear layer sees of examples, in their order.  # (n, P)"""
    return _in_batches(model.features, input_ids, model.head["classifier.kernel"].shape[0])


def _in_batches(function: Callable[..., tf.Tensor], input_ids: Sequence[np.ndarray], width: int) -> np.ndarray:
    rows = np.zeros((len(input_ids), width), np.float32)
    for batch in sorted_batches(input_ids, _PREDICTION_BATCH):
        rows[batch.indices] = function(batch.input_ids, batch.attention_mask)
    return rows


def evaluate(logits: np.ndarray, classes: np.ndarray) -> Score:
    """Scores of logits `(n, C)` against classes `(n,)`."""
    predicted = logits.argmax(axis=1)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_likelihood = shifted[np.arange(len(classes)), classes] - np.log(np.exp(shifted).sum(axis=1))
    return Score(
        macro_f1=float(f1_score(classes, predicted, average="macro")),
        accuracy=float(np.mean(predicted == classes)),
        loss=float(-log_likelihood.mean()),
    )
