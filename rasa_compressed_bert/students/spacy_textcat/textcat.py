"""spaCy's own text classifier, a bag of words with a convolutional network, as a student (NLP Town 2019)."""

from __future__ import annotations

import logging
import random
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional

import numpy as np
from scipy.special import log_softmax, softmax

from rasa_compressed_bert.config import StudentDistillationConfig
from rasa_compressed_bert.runtime.spacy_predictor import read_weights, scale_logits
from rasa_compressed_bert.tasks.distillation_data import DistillationData
from rasa_compressed_bert.tokenization.bounded import bounded
from rasa_compressed_bert.training.progress import stage
from rasa_compressed_bert.training.scores import Score, evaluate

logger = logging.getLogger(__name__)
_NAME = "student (spacy_textcat)"
_DROPOUT = 0.2
_SAMPLE = 100  # messages from which spaCy infers the widths of its layers


def train_spacy_textcat(
    nlp: Any,
    data: DistillationData,
    options: StudentDistillationConfig,
    *,
    validate: Callable[[], np.ndarray],
    max_length: int,
    epochs: int,
    patience: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    start: Optional[bytes] = None,
    start_temperature: float = 1.0,
) -> Optional[Score]:
    """Trains the `textcat` of a pipeline on softened probabilities, through spaCy's own `update`.

    Its loss is the squared distance to `softmax(log(p) / T)`, where `p` are the teacher's probabilities, mixed with the
    labels. In the end the pipeline has the parameters of its best epoch, and the logits of its softmax are multiplied
    by `T`, so that it predicts `p`.

    Args:
        nlp: an untrained pipeline with the data's labels; it is trained in place.
        data: the training data.
        options: temperature and weight of the labels.
        validate: returns the logits of the validation messages, `(m, C)`.
        max_length: maximum number of words of a message; longer ones are truncated.
        epochs: maximum number of epochs.
        patience: epochs in a row without improvement after which training stops early.
        batch_size: messages per step.
        learning_rate: learning rate of Adam.
        seed: random seed.
        start: `to_bytes` of a pipeline to train further.
        start_temperature: the temperature at which it predicts: 1 for `p`.

    Returns:
        The score of the best epoch; None without validation examples.
    """
    temperature = target_temperature(options)
    with _seeded(seed):
        examples = partial(_examples, nlp, data, _targets(data, options), max_length=max_length)
        optimizer = nlp.initialize(lambda: examples(range(min(len(data.texts), _SAMPLE))))
        optimizer.learn_rate = learning_rate
        if start is not None:
            read_weights(nlp, start)
            scale_logits(nlp, start_temperature / temperature)
        plan = {"epochs": epochs, "patience": patience, "batch_size": batch_size, "seed": seed}
        count, classes = len(data.texts), data.validation_classes
        score = _fit(nlp, examples, count, optimizer, lambda: temperature * validate(), classes, **plan)
        scale_logits(nlp, temperature)
        return score


def target_temperature(options: StudentDistillationConfig) -> float:
    """The temperature `T` of the targets: 1 if only labels are learnt."""
    return 1.0 if options.alpha == 1.0 else options.temperature


def _targets(data: DistillationData, options: StudentDistillationConfig) -> np.ndarray:
    """The softened probabilities that are learnt.  # (n, C)"""
    logs = log_softmax(data.soft_targets, axis=1)
    labelled = np.flatnonzero(data.classes >= 0)
    if options.alpha:
        own = labelled, data.classes[labelled]
        with np.errstate(divide="ignore"):
            logs[labelled] += np.log1p(-options.alpha)
        logs[own] = np.logaddexp(logs[own], np.log(options.alpha))
    return softmax(logs / target_temperature(options), axis=1)


def _examples(
    nlp: Any, data: DistillationData, targets: np.ndarray, places: Iterable[int], *, max_length: int
) -> List[Any]:
    """Some of the messages with their targets: with 150 intents they take 23 kB each, all of them gigabytes."""
    from spacy.training import Example

    return [
        Example.from_dict(
            nlp.make_doc(bounded(data.texts[place], max_length)),
            {"cats": dict(zip(data.labels, targets[place].tolist()))},
        )
        for place in places
    ]


def _fit(
    nlp: Any,
    examples: Callable[[Iterable[int]], List[Any]],
    count: int,
    optimizer: Any,
    validate: Callable[[], np.ndarray],
    classes: np.ndarray,
    *,
    epochs: int,
    patience: int,
    batch_size: int,
    seed: int,
) -> Optional[Score]:
    best, best_epoch, best_bytes = None, 0, b""
    rng = np.random.default_rng(seed)
    total = epochs * -(-count // batch_size)
    with stage(_NAME, total) as shown:
        for epoch in range(1, epochs + 1):
            losses: Dict[str, float] = {}
            order = rng.permutation(count)
            for start in range(0, len(order), batch_size):
                batch = examples(order[start : start + batch_size])
                nlp.update(batch, sgd=optimizer, drop=_DROPOUT, losses=losses)
                shown.step()
            values = {"loss": losses["textcat"] / count}
            if len(classes):
                score = evaluate(validate(), classes)
                values.update({**score.f1, **score.others})
                if score.better_than(best):
                    best, best_epoch, best_bytes = score, epoch, nlp.to_bytes()
            shown.epoch(epoch, values)
            if best is not None and epoch - best_epoch >= patience:
                logger.info(f"{_NAME}: stopped early, epoch {best_epoch} kept.")
                break
    if best_bytes:
        nlp.from_bytes(best_bytes)
    return best


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seeds Python's and numpy's global generators, which spaCy uses, and restores their states afterwards."""
    before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
