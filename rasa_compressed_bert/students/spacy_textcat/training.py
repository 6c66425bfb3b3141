"""spaCy's text classifier as a student."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any, Optional, Sequence

from rasa_compressed_bert.artifact.artifact import INTENT_CLASSIFIER, SPACY_MODEL, Artifact
from rasa_compressed_bert.config import DistilledIntentClassifierConfig, StudentDistillationConfig
from rasa_compressed_bert.errors import INSTALL_SPACY, DataError, RuntimeMissingError
from rasa_compressed_bert.runtime.spacy_predictor import log_probabilities, textcat_pipeline
from rasa_compressed_bert.students.spacy_textcat.textcat import target_temperature, train_spacy_textcat
from rasa_compressed_bert.tasks.distillation_data import DistillationData

_TEMPERATURE = "softmax_temperature"


def train(data: DistillationData, config: DistilledIntentClassifierConfig, *, origin: Optional[Artifact]) -> Artifact:
    """Trains a student, which is stored in spaCy's own format.

    Args:
        data: the training data.
        config: all options.
        origin: a student to train further instead of a new one.

    Raises the errors of `new_pipeline`.
    """
    nlp = new_pipeline(data.labels, config)
    validate = partial(log_probabilities, nlp, data.validation_texts, max_length=config.max_length)
    score = train_spacy_textcat(
        nlp,
        data,
        config.distillation,
        validate=validate,
        max_length=config.max_length,
        epochs=config.epochs,
        patience=config.patience,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=config.random_seed,
        start=origin.files[SPACY_MODEL] if origin else None,
        start_temperature=_temperature_of(origin) if origin else 1.0,
    )
    manifest = {
        "kind": INTENT_CLASSIFIER,
        "runtime": "spacy",
        "labels": list(data.labels),
        "max_length": config.max_length,
        "temperature": 1.0,
        _TEMPERATURE: 1.0,
        "student": asdict(config.student),
        "validation": {"student": score.to_dict()} if score else {},
        "config": config.to_dict(),
    }
    return Artifact(manifest, {SPACY_MODEL: nlp.to_bytes()})


def _temperature_of(student: Artifact) -> float:
    """The temperature of a student's probabilities; older students have that of their training."""
    trained = student.manifest["config"]["distillation"]
    of_training = target_temperature(
        StudentDistillationConfig(alpha=trained["alpha"], temperature=trained["temperature"])
    )
    return student.manifest.get(_TEMPERATURE, of_training)


def new_pipeline(labels: Sequence[str], config: DistilledIntentClassifierConfig) -> Any:
    """An untrained spaCy pipeline.

    Args:
        labels: the intents.
        config: all options.

    Raises:
        RuntimeMissingError: if spaCy is not installed.
        ConfigError: if spaCy does not know the language.
        DataError: if there is only one intent.
    """
    if len(labels) < 2:
        raise DataError("student.architecture: spacy_textcat needs at least two intents; choose another architecture.")
    options: Any = config.student  # a SpacyTextcatConfig
    try:
        return textcat_pipeline(options.language, labels)
    except RuntimeMissingError as error:
        raise RuntimeMissingError(f"student.architecture: spacy_textcat needs spaCy: {INSTALL_SPACY}") from error
