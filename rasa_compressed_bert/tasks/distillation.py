"""From labelled messages to the artifact of a small student, top to bottom."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np
from scipy.special import softmax

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.augmentation.parts_of_speech import load_tagger
from rasa_compressed_bert.augmentation.synthetic import synthetic_messages
from rasa_compressed_bert.config import DistilledIntentClassifierConfig, student_of
from rasa_compressed_bert.data.example import Example, class_indices, digest_place, intent_labels, normal_form
from rasa_compressed_bert.data.lines import read_lines
from rasa_compressed_bert.data.predictions import read_predictions, require_all
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.heads import ResponseHead, require_same_labels
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.runtime.ranking import LOGITS, RESPONSE_LOGITS
from rasa_compressed_bert.tasks.cross_fitted import cross_fitted_of
from rasa_compressed_bert.tasks.distillation_data import DistillationData, response_data, response_labels
from rasa_compressed_bert.tasks.start import start_from_pretrained
from rasa_compressed_bert.tasks.teacher import Cache, soft_targets, teacher_for
from rasa_compressed_bert.tasks.training_data import warn_of_data
from rasa_compressed_bert.tasks.view_stage import with_views
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.voting import UNMEASURED, Voting

_LEAST = 1e-6  # probability whose logarithm is taken
_FEWEST_HELD_OUT, _MOST_HELD_OUT = 20, 1000


def train_distilled_classifier(
    examples: Sequence[Example],
    config: DistilledIntentClassifierConfig,
    *,
    cache: Cache = lambda key, make: make(),
    origin: Optional[Artifact] = None,
    held_out: Sequence[str] = (),
) -> Artifact:
    """Trains a student on a teacher's predictions for training messages, synthetic and unlabelled ones.

    Args:
        examples: the labelled messages; the student is trained on all of them.
        config: all options.
        cache: may keep the teacher and its soft targets for the next training.
        origin: a student with the same options and labels, whose training is continued.
        held_out: messages that the student will be evaluated on; synthetic and unlabelled messages that equal one of
            them are left out.

    Raises:
        DataError: if no example has an intent, or if the labels are not those of `origin` or of the teacher.
        CompressedBertError: if a file that the options name cannot be read, or if a required package is not installed.
        ExportError: if the exported student disagrees with the trained one.
    """
    labels = intent_labels(examples)
    if not labels:
        raise DataError("There are no examples with an intent to train on.")
    before = ResponseHead.from_manifest(origin.manifest) if origin else None
    if origin is not None:
        require_same_labels(origin.manifest["labels"], labels)
    if before is not None:  # before a teacher is trained
        require_same_labels(before.labels, response_labels(examples), what=ResponseHead.name)
    architecture = student_of(config.student.architecture)
    architecture.check(labels, config)
    if config.augmentation.n_iter and config.augmentation.spacy_model:
        load_tagger(config.augmentation.spacy_model)
    teacher, everything, voting = _distillation_data(examples, labels, config, cache, set(map(normal_form, held_out)))
    data = _with_held_out(everything, config, before=origin.manifest.get("held_out_up_to") if origin else None)
    if origin is not None:
        now = data.responses.head.labels if data.responses else ()
        require_same_labels(before.labels if before else (), now, what=ResponseHead.name)
    warn_of_data(examples, config, tokenizer=teacher.tokenizer)
    student = architecture.train(data, teacher, config, origin=origin, cache=cache)
    described = {
        "teacher": _described(teacher, data, config),
        "temperature": voting.temperature,
        "calibrated": voting.calibrated,
        "held_out_up_to": data.held_out_up_to,
    }
    return with_views(
        Artifact({**student.manifest, **described}, student.files),
        [example.text for example in examples],
        class_indices(examples, labels),
        config.out_of_scope,
        voting=voting,
        seed=config.random_seed,
    )


def texts_to_ask(texts: Sequence[str], config: DistilledIntentClassifierConfig) -> List[str]:
    """The training messages and the synthetic and unlabelled ones, for a black-box teacher to predict.

    Its predictions go into the file of the option `teacher.predictions`.

    Args:
        texts: the training messages.
        config: all options; the section `augmentation` sets how many messages are added.
    """
    teacher = start_from_pretrained(config.teacher_options(), texts)
    return [*texts, *_other_texts(texts, teacher, config, set())[0]]


def _described(teacher: ModelState, data: DistillationData, config: DistilledIntentClassifierConfig) -> Dict[str, Any]:
    """The manifest entry of the teacher: its size, and for how many messages the student learns its predictions."""
    given = config.teacher.predictions is not None
    return {
        "parameters": None if given else sum(value.size for value in teacher.parameters.values()),
        "training_messages": int((data.classes >= 0).sum()),
        "other_messages": int((data.classes < 0).sum()),
    }


def _distillation_data(
    examples: Sequence[Example],
    labels: Tuple[str, ...],
    config: DistilledIntentClassifierConfig,
    cache: Cache,
    held_out: Set[str],
) -> Tuple[ModelState, DistillationData, Voting]:
    """The teacher's encoder and vocabulary, the messages with their soft targets, and the weights of the views.

    If messages are held out, only the training messages are taken from a file of predictions: its other rows may be
    derived from held-out ones.
    """
    texts, own = [example.text for example in examples], class_indices(examples, labels)
    voting, responses = UNMEASURED, None
    warned: List[str] = []  # keys that the cache did not hold: their training warned of long messages
    if config.teacher.predictions is not None:
        teacher = start_from_pretrained(config.teacher_options(), texts)
        path = Path(os.path.expanduser(config.teacher.predictions))
        predictions = read_predictions(path, labels)
        require_all(predictions, [example.text for example in examples], path)
        labelled = {example.text for example in examples}
        others = [] if held_out else [text for text in predictions if text not in labelled]
        targets = np.log(np.maximum([predictions[text] for text in texts + others], _LEAST)).astype(np.float32)
    else:

        def noted(key: str, make: Callable[[], Artifact]) -> Artifact:
            def made() -> Artifact:
                warned.append(key)
                return make()

            return cache(key, made)

        artifact = teacher_for(examples, config, noted)
        teacher, voting = state_of(artifact), cross_fitted_of(artifact).voting
        others, sources = _other_texts(texts, teacher, config, held_out)
        order = [artifact.manifest["labels"].index(label) for label in labels]
        answers = soft_targets(artifact, texts + others, cache)
        targets = answers[LOGITS][:, order]
        calibrated = targets[len(texts) :] / artifact.manifest["temperature"]
        kept = _confident(calibrated, own, sources, config.augmentation.min_confidence)
        others = [others[index] for index in kept]
        chosen = np.concatenate([np.arange(len(texts)), len(texts) + kept])
        targets = targets[chosen]
        if config.learns_responses and RESPONSE_LOGITS in answers:
            selected = answers[RESPONSE_LOGITS][chosen]
            responses = response_data(
                examples, artifact, intents=labels, intent_targets=targets, response_targets=selected
            )
    if not warned:
        WordpieceTokenizer(teacher.tokenizer, config.max_length).encode_all([example.text for example in examples])
    known = np.concatenate([own, np.full(len(others), -1)]).astype(np.int32)
    data = DistillationData(labels, texts + others, known, targets, [], np.zeros(0, np.int32), responses)
    return teacher, data, voting


def _with_held_out(
    data: DistillationData, config: DistilledIntentClassifierConfig, *, before: Optional[float] = None
) -> DistillationData:
    """Moves some of the synthetic and unlabelled messages to the validation messages, on which epochs are compared.

    The measure is how often the student gives them the teacher's intent; no training message of the user is held out.
    Apart from case and whitespace, a validation message equals no other message, and was not learnt in the training
    that is continued.

    Args:
        data: all messages.
        config: all options.
        before: `held_out_up_to` of the training that is continued; None for a new one.
    """
    labelled = {normal_form(data.texts[place]) for place in np.flatnonzero(data.classes >= 0)}
    places: Dict[str, List[int]] = defaultdict(list)  # of messages that differ only in case and whitespace
    for place in np.flatnonzero(data.classes < 0):
        places[normal_form(data.texts[place])].append(place)
    candidates = sorted((digest_place(form, seed=config.random_seed), form) for form in places if form not in labelled)
    if before is None:
        count = min(int(config.validation_split * len(candidates)), _MOST_HELD_OUT)
    else:
        count = min(sum(place <= before for place, _ in candidates), _MOST_HELD_OUT)
    if count < _FEWEST_HELD_OUT:
        return data
    held_out = np.sort(np.concatenate([places[form] for _, form in candidates[:count]]))
    kept = np.setdiff1d(np.arange(len(data.texts)), held_out)
    return replace(
        data,
        texts=[data.texts[place] for place in kept],
        classes=data.classes[kept],
        soft_targets=data.soft_targets[kept],
        responses=data.responses.of(kept) if data.responses else None,
        validation_texts=[data.texts[place] for place in held_out],
        validation_classes=data.soft_targets[held_out].argmax(axis=1).astype(np.int32),
        held_out_up_to=candidates[count - 1][0],
    )


def _other_texts(
    texts: Sequence[str], teacher: ModelState, config: DistilledIntentClassifierConfig, held_out: Set[str]
) -> Tuple[List[str], np.ndarray]:
    """Synthetic messages followed by those of the file of unlabelled ones, and the position of the source of each.

    The source of a synthetic message is the training message that it was made from; that of an unlabelled one is -1.
    Unlabelled messages that differ from a training message, a synthetic one or one another only in case and whitespace
    are left out, and so are messages of both kinds whose normal form is in `held_out`.
    """
    options, table = config.augmentation, teacher.parameters["embeddings.word"]
    synthetic = synthetic_messages(texts, options, tokenizer=teacher.tokenizer, table=table, seed=config.random_seed)
    synthetic = [message for message in synthetic if normal_form(message.text) not in held_out]
    known = {*held_out, *map(normal_form, texts), *(normal_form(message.text) for message in synthetic)}
    given = read_lines(options.unlabelled, option="augmentation.unlabelled") if options.unlabelled else []
    unlabelled = [text for form, text in {normal_form(text): text for text in given}.items() if form not in known]
    sources = [message.source for message in synthetic] + [-1] * len(unlabelled)
    return [message.text for message in synthetic] + unlabelled, np.array(sources, np.int64)


def _confident(logits: np.ndarray, classes: np.ndarray, sources: np.ndarray, least: float) -> np.ndarray:
    """Positions of the messages for which the teacher is confident enough of the intent of their source.

    Args:
        logits: the teacher's logits of synthetic and unlabelled messages, divided by its temperature, `(n, C)`.
        classes: the intents of the training messages.
        sources: positions in `classes`; -1 for an unlabelled message, which is always kept.
        least: the smallest confidence that is kept; 0 keeps all messages.
    """
    if least == 0.0 or not len(logits):
        return np.arange(len(logits))
    confidences = softmax(logits, axis=1)[np.arange(len(logits)), classes[np.maximum(sources, 0)]]
    return np.flatnonzero((sources < 0) | (confidences >= least))
