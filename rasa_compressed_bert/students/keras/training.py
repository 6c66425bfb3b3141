"""Training of students over wordpieces, from distillation data to the artifact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.dequantization import dequantized
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.config import DistilledIntentClassifierConfig
from rasa_compressed_bert.data.example import evenly_spaced
from rasa_compressed_bert.export.student import export_student
from rasa_compressed_bert.export.task_model import TrainedOutput
from rasa_compressed_bert.heads import IntentHead
from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.head_layer import CLASSIFIER, SELECTOR
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.students.keras.embeddings import encoded_wordpieces, projected
from rasa_compressed_bert.students.keras.parameters import glorot
from rasa_compressed_bert.tasks.distillation_data import DistillationData
from rasa_compressed_bert.tasks.teacher import Cache
from rasa_compressed_bert.tokenization.vocabulary import trim
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.batches import NO_LABEL, EncodedExamples, batch_count, batch_size_for
from rasa_compressed_bert.training.loop import Plan, Validation, fit, predict
from rasa_compressed_bert.training.objectives import SoftTargetLoss
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

_DROPOUT = 0.1
_PARITY_MESSAGES = 500
_TABLE = "embeddings.word"


def train(
    kind: Any,
    data: DistillationData,
    teacher: ModelState,
    *,
    config: DistilledIntentClassifierConfig,
    origin: Optional[Artifact],
    cache: Cache,
) -> Artifact:
    """Trains and exports a student.

    Args:
        kind: the `KerasStudent`, which defines its parameters, forward pass and graph.
        data: the training data.
        teacher: the teacher, whose wordpieces and hidden states initialise the embeddings.
        config: all options.
        origin: a student to train further instead of a new one.
        cache: keeps the teacher's hidden states of wordpieces for the next training.

    Raises:
        ExportError: if the exported student disagrees with the trained one.
    """
    tokenizer, parameters = (
        _from_artifact(origin) if origin else _from_teacher(kind, teacher, data, config=config, cache=cache)
    )
    pieces = WordpieceTokenizer(tokenizer, config.max_length)
    parts = [_encoded(pieces, data.texts), _encoded(pieces, data.validation_texts)]
    vocabulary = UsedVocabulary.of([ids for part in parts for ids in part])
    training_ids, validation_ids = map(vocabulary.renumber, parts)
    intents, heads = IntentHead(data.labels), data.heads
    training = EncodedExamples(training_ids, data.targets(data.classes))
    validation = EncodedExamples(validation_ids, {intents.name: data.validation_classes})
    dropout = Dropout(_DROPOUT, seed=config.random_seed)
    student = kind.layer(vocabulary.narrow(parameters), config.student, wordpieces=vocabulary.rows, dropout=dropout)
    score = fit(
        student,
        training,
        _plan(len(training), config),
        objective=SoftTargetLoss(heads, config.distillation),
        rng=np.random.default_rng(config.random_seed),
        validation=Validation(validation, [intents]),
    )
    checked = training[evenly_spaced(len(training), _PARITY_MESSAGES)]
    predictions = predict(student, checked.input_ids)
    manifest = {
        "labels": list(data.labels),
        "max_length": config.max_length,
        "temperature": 1.0,
        "validation": {"student": score.to_dict()} if score else {},
        "config": config.to_dict(),
        **(data.responses.to_manifest() if data.responses else {}),
    }
    return export_student(
        vocabulary.widen(student.values(), parameters[_TABLE]),
        config.student,
        graph=kind.graph,
        tokenizer=tokenizer,
        quantization=config.quantization,
        manifest=manifest,
        input_ids=vocabulary.whole(checked.input_ids),
        trained=[
            TrainedOutput(
                head.layer.output,
                predictions[head.layer.output],
                manifest[head.name]["temperature"] if head.name in manifest else 1.0,
                np.where(checked.labels[intents.name] >= 0, checked.labels[head.name], NO_LABEL),
                head.parity_entry,
                head.compared_classes(checked.labels[head.name]),
            )
            for head in heads
        ],
    )


def _from_artifact(artifact: Artifact) -> Tuple[str, Dict[str, np.ndarray]]:
    """The tokenizer and the dequantized parameters of a trained student."""
    return artifact.files[TOKENIZER].decode("utf-8"), dequantized(tensors_from_bytes(artifact.files[WEIGHTS]))


def _from_teacher(
    kind: Any,
    teacher: ModelState,
    data: DistillationData,
    *,
    config: DistilledIntentClassifierConfig,
    cache: Cache,
) -> Tuple[str, Dict[str, np.ndarray]]:
    """A tokenizer of fewer wordpieces, and new parameters with embeddings from the teacher's hidden states."""
    options: Any = config.student  # a KerasStudentConfig
    tokenizer, rows = trim(teacher.tokenizer, data.texts, options.vocabulary_size)
    parameters = {**teacher.parameters, _TABLE: teacher.parameters[_TABLE][rows]}
    first, last = WordpieceTokenizer(tokenizer, config.max_length).encode("")[[0, -1]]

    def encode() -> Artifact:
        encoder = BertEncoder(replace(teacher.shape, vocab_size=len(rows)), parameters)
        encoded = {_TABLE: encoded_wordpieces(encoder, first=first, last=last)}
        return Artifact({"kind": "encoded_wordpieces"}, {WEIGHTS: tensors_to_bytes(encoded)})

    asked = Artifact({}, {WEIGHTS: tensors_to_bytes(parameters), TOKENIZER: tokenizer.encode("utf-8")})
    encoded = tensors_from_bytes(cache(asked.digest, encode).files[WEIGHTS])[_TABLE]
    table = projected(encoded, options.embedding_size)
    parameters = kind.parameters(table, options, num_classes=len(data.labels), seed=config.random_seed)
    if data.responses:
        size, count = len(parameters[CLASSIFIER.kernel]), data.responses.head.size
        parameters[SELECTOR.kernel] = glorot(np.random.default_rng(config.random_seed), size, count)
        parameters[SELECTOR.bias] = np.zeros(count, np.float32)
    return tokenizer, parameters


def _plan(size: int, config: DistilledIntentClassifierConfig) -> Plan:
    batch_size = batch_size_for(size, config.batch_size)
    schedule = WarmUpLinearDecay(config.learning_rate, config.epochs * batch_count(size, batch_size))
    name = f"student ({config.student.architecture})"
    return Plan(name, config.epochs, batch_size, schedule, patience=config.patience)


def _encoded(pieces: WordpieceTokenizer, texts: Sequence[str]) -> List[np.ndarray]:
    """The ids of each text; there is no warning of truncated messages, as the teacher has given one."""
    return [pieces.encode(text).astype(np.int32) for text in texts]
