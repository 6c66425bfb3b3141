"""From labelled messages to the artifact of a small student, top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from scipy.special import softmax

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.config import DistilledIntentClassifierConfig
from rasa_compressed_bert.data.example import Example, class_indices, stratified_split
from rasa_compressed_bert.data.predictions import read_predictions, require_all
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.students.augmentation import nearest_words, synthesize
from rasa_compressed_bert.students.lesson import Lesson
from rasa_compressed_bert.students.parts_of_speech import PartsOfSpeech
from rasa_compressed_bert.students.words import split_words
from rasa_compressed_bert.tasks import keras_students, spacy_student, transformer_student
from rasa_compressed_bert.tasks.start import Start, start_from_artifact, start_from_pretrained
from rasa_compressed_bert.tasks.targets import labels_of, require_same_labels
from rasa_compressed_bert.tasks.teacher import Cache, soft_targets, teacher_for
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

_STUDENTS = {
    "bilstm": keras_students.train,
    "ngrams": keras_students.train,
    "transformer": transformer_student.train,
    "spacy_textcat": spacy_student.train,
}
_LEAST = 1e-6  # probability whose logarithm is taken


def train_distilled_classifier(
    examples: Sequence[Example],
    config: DistilledIntentClassifierConfig,
    *,
    cache: Cache = lambda key, make: make(),
    origin: Optional[Artifact] = None,
) -> Artifact:
    """Has a teacher label training messages, synthetic and unlabelled ones, and trains a student on what it says.

    Args:
        examples: the labelled messages.
        config: all options.
        cache: may keep the teacher's work for the next training.
        origin: a student of the same options and labels that is trained further.

    Raises:
        DataError: if there are no examples, or if labels are not those of `origin` or of the teacher.
        CompressedBertError: if a file that the options name cannot be read.
        ExportError: if the exported student disagrees with the trained one.
    """
    labels = labels_of(examples)
    if origin is not None:
        require_same_labels(origin.manifest["labels"], labels)
    teacher, lesson = _lesson(examples, labels, config, cache)
    student = _STUDENTS[config.student.architecture](lesson, teacher, config, origin, cache)
    return Artifact({**student.manifest, "teacher": _described(teacher, lesson, config)}, student.files)


def texts_to_ask(texts: Sequence[str], config: DistilledIntentClassifierConfig) -> List[str]:
    """The messages, and the synthetic and unlabelled ones: what a black box is asked for `teacher.predictions`.

    Args:
        texts: of the training messages.
        config: whose section `augmentation` says how many there are.
    """
    teacher = start_from_pretrained(config.teacher_options(), texts)
    return [*texts, *_other_texts(texts, teacher, config)[0]]


def _described(teacher: Start, lesson: Lesson, config: DistilledIntentClassifierConfig) -> Dict[str, Any]:
    """What shall be known of the teacher and of what it was asked."""
    given = config.teacher.predictions is not None
    return {
        "parameters": None if given else sum(value.size for value in teacher.parameters.values()),
        "training_messages": int((lesson.classes >= 0).sum()),
        "other_messages": int((lesson.classes < 0).sum()),
    }


def _lesson(
    examples: Sequence[Example], labels: Tuple[str, ...], config: DistilledIntentClassifierConfig, cache: Cache
) -> Tuple[Start, Lesson]:
    """The teacher's encoder and vocabulary, and what there is to learn."""
    classes = class_indices(examples, labels)
    training, validation = stratified_split(classes, config.validation_split, seed=config.random_seed)
    texts, own = [examples[index].text for index in training], classes[training]
    warned: List[str] = []  # of what is cut: by the teacher's training, if there is one
    if config.teacher.predictions is not None:
        teacher = start_from_pretrained(config.teacher_options(), texts)
        path = Path(config.teacher.predictions)
        said = read_predictions(path, labels)
        require_all(said, [example.text for example in examples], path)
        labelled = {example.text for example in examples}
        others = [text for text in said if text not in labelled]
        targets = np.log(np.maximum([said[text] for text in texts + others], _LEAST)).astype(np.float32)
    else:
        artifact = teacher_for(examples, config, lambda key, make: cache(key, lambda: warned.append(key) or make()))
        teacher = start_from_artifact(artifact)
        others, sources = _other_texts(texts, teacher, config)
        order = [artifact.manifest["labels"].index(label) for label in labels]
        targets = soft_targets(artifact, texts + others, cache)[:, order]
        kept = _confident(targets[len(texts) :], own, sources, config.augmentation.min_confidence)
        others = [others[index] for index in kept]
        targets = np.concatenate([targets[: len(texts)], targets[len(texts) :][kept]])
    if not warned:
        WordpieceTokenizer(teacher.tokenizer, config.max_length).encode_all([example.text for example in examples])
    known = np.concatenate([own, np.full(len(others), -1)]).astype(np.int32)
    held_out_texts = [examples[index].text for index in validation]
    return teacher, Lesson(labels, texts + others, known, targets, held_out_texts, classes[validation])


def _other_texts(
    texts: Sequence[str], teacher: Start, config: DistilledIntentClassifierConfig
) -> Tuple[List[str], np.ndarray]:
    """Synthetic messages and those of the file of unlabelled ones, and the message that each was made from, or -1."""
    options, seed = config.augmentation, config.random_seed
    words = [[word.text for word in split_words(text)] for text in texts]
    tags: Optional[PartsOfSpeech] = None
    near: Dict[str, List[str]] = {}
    if options.n_iter and options.pos:
        tags = PartsOfSpeech(words, spacy_model=options.spacy_model, seed=seed)
    if options.n_iter and options.neighbours:
        vocabulary = WordpieceTokenizer(teacher.tokenizer, config.max_length).vocabulary
        lower = sorted({word.lower() for message in words for word in message})
        near = nearest_words(lower, vocabulary, teacher.parameters["embeddings.word"])
    synthetic = synthesize(texts, options, parts_of_speech=tags, neighbours=near, seed=seed)
    known = {*texts, *(message.text for message in synthetic)}
    unlabelled = [text for text in _unlabelled(options.unlabelled) if text not in known]
    sources = [message.source for message in synthetic] + [-1] * len(unlabelled)
    return [message.text for message in synthetic] + unlabelled, np.array(sources, np.int64)


def _unlabelled(path: Optional[str]) -> List[str]:
    """The lines of a file, each once, without blank ones."""
    if path is None:
        return []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"augmentation.unlabelled: '{path}' cannot be read: {error}") from error
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _confident(logits: np.ndarray, classes: np.ndarray, sources: np.ndarray, least: float) -> np.ndarray:
    """Positions of the messages that the teacher gives the intent of their source at least so much confidence.

    Args:
        logits: of synthetic and unlabelled messages, `(n, C)`.
        classes: of the training messages.
        sources: positions in `classes`; -1 for an unlabelled message, which is always kept.
        least: confidence; 0 keeps all.
    """
    if least == 0.0 or not len(logits):
        return np.arange(len(logits))
    confidences = softmax(logits, axis=1)[np.arange(len(logits)), classes[np.maximum(sources, 0)]]
    return np.flatnonzero((sources < 0) | (confidences >= least))
