"""The teacher of a student: trained here or given as a trained model, and its soft targets."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np

from rasa_compressed_bert.artifact.archives import artifacts_of
from rasa_compressed_bert.artifact.artifact import INTENT_CLASSIFIER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.config import DistilledIntentClassifierConfig
from rasa_compressed_bert.data.example import Example, intent_labels
from rasa_compressed_bert.errors import CompressedBertError, DataError
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.runtime.opening import PROBE, as_artifact_error
from rasa_compressed_bert.runtime.ranking import LOGITS, RESPONSE_LOGITS
from rasa_compressed_bert.tasks.bert_training import train_bert
from rasa_compressed_bert.tasks.served_outputs import outputs_of_messages

Cache = Callable[[str, Callable[[], Artifact]], Artifact]
"""Takes a key and a function that makes an artifact; may return what was made for the same key before."""


def teacher_for(examples: Sequence[Example], config: DistilledIntentClassifierConfig, cache: Cache) -> Artifact:
    """A trained intent classifier with the labels of the examples: that of `teacher.model`, or one fine-tuned on them.

    Raises:
        CompressedBertError: if `teacher.model` cannot be read, or is not an intent classifier.
        DataError: if its labels are not those of the examples.
    """
    if config.teacher.model is not None:
        return given_teacher(Path(os.path.expanduser(config.teacher.model)), intent_labels(examples))
    options = config.teacher_options()
    labelled = [[example.text, example.intent, example.response] for example in examples]
    return cache(_key("teacher", options.to_dict(), labelled), lambda: train_bert(examples, options))


@as_artifact_error()
def given_teacher(model: Path, labels: Sequence[str]) -> Artifact:
    """The intent classifier in a trained Rasa archive, in a folder of archives or in an artifact folder.

    Raises:
        CompressedBertError: if there is none, or more than one, or if its parts do not fit each other.
        DataError: if its labels are not `labels`.
    """
    if not model.exists():
        raise CompressedBertError(f"teacher.model: there is no '{model}'; give a trained Rasa archive or a folder.")
    found = [artifact for artifact in artifacts_of(model).values() if artifact.manifest["kind"] == INTENT_CLASSIFIER]
    if len(found) != 1:
        raise CompressedBertError(
            f"teacher.model: '{model}' holds {len(found) or 'no'} trained components that learn only intents, such "
            "as PrunedBertIntentClassifier; it must hold exactly one."
        )
    if "student" in found[0].manifest and "encoder" not in found[0].manifest:
        raise CompressedBertError(
            f"teacher.model: the intent classifier in '{model}' is a student itself; a teacher must be a BERT, such as "
            "that of a PrunedBertIntentClassifier."
        )
    theirs = found[0].manifest["labels"]
    missing, unknown = sorted(set(labels) - set(theirs)), sorted(set(theirs) - set(labels))
    if missing or unknown:
        raise DataError(
            f"teacher.model: the intents of '{model}' are not those of the training data. Missing: "
            f"{missing or 'none'}; unknown: {unknown or 'none'}. Train the teacher again."
        )
    return found[0]


def soft_targets(teacher: Artifact, texts: Sequence[str], cache: Cache) -> Mapping[str, np.ndarray]:
    """The teacher's logits of each text, by the names of its outputs, computed once on all cores.  # (n, C) each"""

    def ask() -> Artifact:
        with as_artifact_error():
            MessagePredictor(teacher).predict(PROBE)
        logits = outputs_of_messages(teacher, texts, (LOGITS, RESPONSE_LOGITS), name="ask the teacher")
        return Artifact({"kind": "soft_targets"}, {WEIGHTS: tensors_to_bytes(logits)})

    answer = cache(_key("soft targets", teacher.digest, list(texts)), ask)
    return tensors_from_bytes(answer.files[WEIGHTS])


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()
