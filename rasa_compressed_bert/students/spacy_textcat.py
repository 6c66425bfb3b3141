"""spaCy's own text classifier, a bag of words and a convolutional network, as a student (NLP Town 2019)."""

from __future__ import annotations

import random
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from scipy.special import softmax
from tqdm import tqdm

from rasa_compressed_bert.config import StudentDistillationConfig
from rasa_compressed_bert.errors import ConfigError, DataError, RuntimeMissingError
from rasa_compressed_bert.students.lesson import Lesson
from rasa_compressed_bert.tokenization.words import bounded
from rasa_compressed_bert.training.loop import Score, evaluate

_DROPOUT = 0.2
_LEAST = 1e-9  # probability whose logarithm is taken


def train_spacy_textcat(
    lesson: Lesson,
    options: StudentDistillationConfig,
    *,
    language: str,
    max_length: int,
    epochs: int,
    patience: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    start: Optional[bytes] = None,
) -> Tuple[Any, Optional[Score]]:
    """Trains a pipeline of one `textcat` on the teacher's probabilities, through spaCy's own `update`.

    Its loss is the squared distance of probabilities.

    Args:
        lesson: what is learnt.
        options: temperature and weight of the labels.
        language: of the tokenizer.
        max_length: words of a message; the rest is cut.
        epochs: at most.
        patience: epochs in a row without a better one after which it ends.
        batch_size: messages in a step.
        learning_rate: of Adam.
        seed: of everything random.
        start: `to_bytes` of a pipeline that is trained further.

    Returns:
        The pipeline as it was after its best epoch, and that epoch's score, None without validation examples.

    Raises:
        RuntimeMissingError: if spaCy is not installed.
        ConfigError: if spaCy does not know the language.
        DataError: if there is but one intent, which spaCy does not learn.
    """
    if len(lesson.labels) < 2:
        raise DataError("student.architecture: spacy_textcat needs at least two intents; choose another architecture.")
    with _seeded(seed):
        nlp = blank_pipeline(language, lesson.labels)
        examples = _examples(nlp, lesson, options, max_length=max_length)
        optimizer = nlp.initialize(lambda: examples[: len(lesson.labels)] + examples[:100])
        optimizer.learn_rate = learning_rate
        if start is not None:
            nlp.from_bytes(start)
        validate = partial(log_probabilities, nlp, lesson.validation_texts, max_length=max_length)
        plan = {"epochs": epochs, "patience": patience, "batch_size": batch_size}
        return nlp, _fit(nlp, examples, optimizer, validate, lesson.validation_classes, **plan)


def blank_pipeline(language: str, labels: Tuple[str, ...]) -> Any:
    """A pipeline with an untrained `textcat` of these labels.

    Raises:
        RuntimeMissingError: if spaCy is not installed.
        ConfigError: if spaCy does not know the language.
    """
    try:
        import spacy
    except ImportError as error:
        raise RuntimeMissingError("student.architecture: spacy_textcat needs spaCy: pip install spacy") from error
    try:
        nlp = spacy.blank(language)
    except ImportError as error:
        raise ConfigError(f"student.language: spaCy does not know '{language}', or lacks a package for it") from error
    textcat = nlp.add_pipe("textcat")
    for label in labels:
        textcat.add_label(label)
    return nlp


def log_probabilities(nlp: Any, texts: Sequence[str], *, max_length: int) -> np.ndarray:
    """What a pipeline says of messages, as logits.  # (n, C)"""
    textcat = nlp.get_pipe("textcat")
    docs = [nlp.make_doc(bounded(text, max_length)) for text in texts]
    scores = np.concatenate([textcat.predict(docs[start : start + 256]) for start in range(0, len(docs), 256)])
    return np.log(np.maximum(scores, _LEAST))


def _examples(nlp: Any, lesson: Lesson, options: StudentDistillationConfig, *, max_length: int) -> List[Any]:
    from spacy.training import Example

    targets = softmax(lesson.soft_targets / options.temperature, axis=1)
    labelled = np.flatnonzero(lesson.classes >= 0)
    targets[labelled] *= 1.0 - options.alpha
    targets[labelled, lesson.classes[labelled]] += options.alpha
    return [
        Example.from_dict(nlp.make_doc(bounded(text, max_length)), {"cats": dict(zip(lesson.labels, row.tolist()))})
        for text, row in zip(lesson.texts, targets)
    ]


def _fit(
    nlp: Any,
    examples: List[Any],
    optimizer: Any,
    validate: Callable[[], np.ndarray],
    classes: np.ndarray,
    *,
    epochs: int,
    patience: int,
    batch_size: int,
) -> Optional[Score]:
    best, best_epoch, best_bytes = None, 0, b""
    rng = np.random.default_rng(0)
    total = epochs * -(-len(examples) // batch_size)
    with tqdm(total=total, desc="student (spacy_textcat)", unit="step", dynamic_ncols=True, mininterval=1.0) as bar:
        for epoch in range(1, epochs + 1):
            losses: Dict[str, float] = {}
            order = rng.permutation(len(examples))
            for start in range(0, len(order), batch_size):
                batch = [examples[index] for index in order[start : start + batch_size]]
                nlp.update(batch, sgd=optimizer, drop=_DROPOUT, losses=losses)
                bar.update()
            status = {"epoch": f"{epoch}/{epochs}", "loss": f"{losses['textcat'] / len(examples):.2e}"}
            if len(classes):
                score = evaluate(validate(), classes)
                status["accuracy"] = f"{score.accuracy:.3f}"
                if score.better_than(best):
                    best, best_epoch, best_bytes = score, epoch, nlp.to_bytes()
            bar.set_postfix(**status)
            if best is not None and epoch - best_epoch >= patience:
                break
    if best_bytes:
        nlp.from_bytes(best_bytes)
    return best


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Python's and numpy's global generators, which spaCy draws from, seeded; afterwards they are as they were."""
    before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
