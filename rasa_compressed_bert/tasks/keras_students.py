"""Students in Keras: a BiLSTM, or n-grams, over the wordpieces of the teacher."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

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
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.students.bilstm import BiLstm, bilstm_parameters
from rasa_compressed_bert.students.distillation_data import DistillationData
from rasa_compressed_bert.students.embeddings import encoded_wordpieces, projected
from rasa_compressed_bert.students.keras_student import KerasStudent
from rasa_compressed_bert.students.ngrams import NGrams, ngram_parameters
from rasa_compressed_bert.tasks.teacher import Cache
from rasa_compressed_bert.tokenization.vocabulary import trim
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.batches import SOFT_TARGETS, EncodedExamples, batch_count, batch_size_for
from rasa_compressed_bert.training.loop import Plan, Validation, fit, predict
from rasa_compressed_bert.training.objectives import SoftTargetLoss
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

_DROPOUT = 0.1
_PARITY_MESSAGES = 500
_TABLE = "embeddings.word"
_PARAMETERS = {"bilstm": bilstm_parameters, "ngrams": ngram_parameters}


def train(
    data: DistillationData,
    teacher: ModelState,
    config: DistilledIntentClassifierConfig,
    origin: Optional[Artifact],
    cache: Cache,
) -> Artifact:
    """Trains and exports a student.

    Args:
        data: what it learns.
        teacher: whose wordpieces and hidden states its embeddings start from.
        config: all options.
        origin: a student that is trained further instead of a new one.
        cache: may keep what the teacher makes of wordpieces for the next training.

    Raises:
        ExportError: if the exported student disagrees with the trained one.
    """
    tokenizer, parameters = _from_artifact(origin) if origin else _from_teacher(teacher, data, config, cache)
    pieces = WordpieceTokenizer(tokenizer, config.max_length)
    parts = [_encoded(pieces, data.texts), _encoded(pieces, data.validation_texts)]
    vocabulary = UsedVocabulary.of([ids for part in parts for ids in part])
    training_ids, validation_ids = map(vocabulary.renumber, parts)
    head = IntentHead(data.labels)
    training = EncodedExamples(training_ids, {head.name: data.classes, SOFT_TARGETS: data.soft_targets})
    validation = EncodedExamples(validation_ids, {head.name: data.validation_classes})
    student = _build(vocabulary.narrow(parameters), config, vocabulary)
    score = fit(
        student,
        training,
        _plan(len(training), config),
        objective=SoftTargetLoss(head, config.distillation),
        rng=np.random.default_rng(config.random_seed),
        validation=Validation(validation, [head]),
    )
    checked = training[evenly_spaced(len(training), _PARITY_MESSAGES)]
    logits = predict(student, checked.input_ids)[head.layer.output]
    manifest = {
        "labels": list(data.labels),
        "max_length": config.max_length,
        "temperature": 1.0,
        "validation": {"student": score.to_dict()} if score else {},
        "config": config.to_dict(),
    }
    return export_student(
        vocabulary.widen(student.values(), parameters[_TABLE]),
        config.student,
        tokenizer=tokenizer,
        quantization=config.quantization,
        manifest=manifest,
        input_ids=vocabulary.whole(checked.input_ids),
        trained=TrainedOutput(head.layer.output, logits, 1.0, checked.labels[head.name]),
    )


def _from_artifact(artifact: Artifact) -> Tuple[str, Dict[str, np.ndarray]]:
    """Tokenizer and parameters of a trained student, in floats."""
    return artifact.files[TOKENIZER].decode("utf-8"), dequantized(tensors_from_bytes(artifact.files[WEIGHTS]))


def _from_teacher(
    teacher: ModelState, data: DistillationData, config: DistilledIntentClassifierConfig, cache: Cache
) -> Tuple[str, Dict[str, np.ndarray]]:
    """A tokenizer of fewer wordpieces, and new parameters around what the teacher makes of each of them."""
    options = config.student
    tokenizer, rows = trim(teacher.tokenizer, data.texts, options.vocabulary_size)
    parameters = {**teacher.parameters, _TABLE: teacher.parameters[_TABLE][rows]}
    first, last = WordpieceTokenizer(tokenizer, config.max_length).encode("")[[0, -1]]

    def encode() -> Artifact:
        encoder = BertEncoder(replace(teacher.shape, vocab_size=len(rows)), parameters)
        encoded = {_TABLE: encoded_wordpieces(encoder, first=first, last=last)}
        return Artifact({"kind": "encoded_wordpieces"}, {WEIGHTS: tensors_to_bytes(encoded)})

    asked = Artifact({}, {WEIGHTS: tensors_to_bytes(parameters), TOKENIZER: tokenizer.encode("utf-8")})
    encoded = tensors_from_bytes(cache(asked.digest, encode).files[WEIGHTS])[_TABLE]
    make = _PARAMETERS[options.architecture]
    table = projected(encoded, options.embedding_size)
    return tokenizer, make(table, options, num_classes=len(data.labels), seed=config.random_seed)


def _build(
    parameters: Mapping[str, np.ndarray], config: DistilledIntentClassifierConfig, vocabulary: UsedVocabulary
) -> KerasStudent:
    dropout = Dropout(_DROPOUT, seed=config.random_seed)
    if config.student.architecture == "bilstm":
        return BiLstm(parameters, pooling=config.student.pooling, dropout=dropout)
    return NGrams(parameters, wordpieces=vocabulary.rows, dropout=dropout)


def _plan(size: int, config: DistilledIntentClassifierConfig) -> Plan:
    batch_size = batch_size_for(size, config.batch_size)
    schedule = WarmUpLinearDecay(config.learning_rate, config.epochs * batch_count(size, batch_size))
    name = f"student ({config.student.architecture})"
    return Plan(name, config.epochs, batch_size, schedule, patience=config.patience)


def _encoded(pieces: WordpieceTokenizer, texts: Sequence[str]) -> List[np.ndarray]:
    """Without a warning of what is cut: the teacher has given one."""
    return [pieces.encode(text).astype(np.int32) for text in texts]
