"""From questions on passages to the artifact of a BERT that answers from documents: the stages, top to bottom."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import astuple, replace
from typing import List, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.documents import Document, read_documents
from rasa_compressed_bert.data.example import evenly_spaced
from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.data.warnings import other_weights
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.heads import AnswerHead, heads_of
from rasa_compressed_bert.heads.answer import random_layer
from rasa_compressed_bert.models.pretrained import may_be_trimmed, only_language
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.runtime.passage_index import PassageIndex
from rasa_compressed_bert.tasks.answer_data import encode_questions, questions_for
from rasa_compressed_bert.tasks.answer_measuring import measured
from rasa_compressed_bert.tasks.dense_stage import fine_tune, fine_tune_further
from rasa_compressed_bert.tasks.export_stage import export
from rasa_compressed_bert.tasks.fitting import first_model
from rasa_compressed_bert.tasks.preparation import with_heads
from rasa_compressed_bert.tasks.pruning_stage import prune
from rasa_compressed_bert.tasks.quantization_stage import quantize
from rasa_compressed_bert.tasks.start import start_from_pretrained
from rasa_compressed_bert.tasks.teacher import Cache
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer, unknown_id

logger = logging.getLogger(__name__)
_MANY_UNKNOWN = 0.05  # of the wordpieces of documents
_MANY_SPLIT = 0.3  # of their words; with the English weights 0.02 to 0.16 in English, and 0.4 to 0.8 in other languages
_LOOKED_AT = 100_000  # characters of all documents, to see whether the vocabulary covers them
_LEAST = 1000  # characters of each of these documents, so that few words are cut: their parts have other wordpieces
_WITHOUT_EFFECT = (
    *("training_data", "documents", "intents", "passages", "no_answer_threshold", "num_threads"),
    "tensorboard_log_directory",
)
"""Options that weights do not depend on, besides the questions and the texts that they name."""


def train_or_finetune(
    config: BertAnswerExtractorConfig, artifact: Optional[Artifact], *, cache: Cache = lambda key, make: make()
) -> Artifact:
    """Fine-tunes the pretrained weights on questions, prunes, quantizes and exports; or continues to train an artifact.

    Args:
        config: all options.
        artifact: the model whose training is continued, at its present size; None trains a new one.
        cache: keeps new models without documents, as documents and messages of a bot change more often than questions.

    Raises:
        DataError: if questions or documents cannot be read, or if there is nothing to learn.
        WeightsError: if the pretrained weights cannot be read.
        ExportError: if the exported model disagrees with the trained one.
    """
    documents = read_documents(config.documents, option="documents") if config.documents else []
    all_learnt = artifact is not None and not artifact.manifest["held_out"]  # so none of them may be held out now
    options = replace(config, validation_split=0.0) if all_learnt else config
    questions = questions_for(options, continued=artifact is not None)
    if artifact is None:
        exported = _cached(cache, questions.learnt, config, texts=[document.text for document in documents])
        trained = measured(exported, questions.held_out, config)
    else:
        run = prepare_further(questions.learnt, config, artifact)
        run = fine_tune_further(run)
        trained = measured(_exported(run, rounded=True), questions.held_out, config, before=artifact)
    language = only_language(config.model_weights) if artifact is None else None  # a trimmed one splits new words
    return with_documents(trained, documents, language=language)


def fine_tune_extractor(
    questions: Sequence[Question], config: BertAnswerExtractorConfig, *, texts: Sequence[str] = ()
) -> TrainingRun:
    """Runs the first stages, which train the dense model; if it is to be pruned, it becomes the teacher.

    Takes the arguments of `prepare`, and raises its errors.
    """
    run = prepare(questions, config, texts=texts)
    return fine_tune(run)


def compress_extractor(dense: TrainingRun, held_out: Sequence[Question], config: BertAnswerExtractorConfig) -> Artifact:
    """Runs the remaining stages on a copy of a fine-tuned model, so that it can be compressed in several ways.

    Args:
        dense: the fine-tuned model.
        held_out: questions that it has not learnt, on which confidences and their threshold are fitted.
        config: all options; the weights, vocabulary, lengths, seed and split have to be those that the dense model was
            trained with.

    Raises the errors of `quantize` and of `export`.
    """
    return measured(_compressed(dense, config), held_out, config)


def _compressed(dense: TrainingRun, config: BertAnswerExtractorConfig) -> Artifact:
    """A compressed copy of a fine-tuned model, not measured yet."""
    run = replace(dense, config=config, rng=np.random.default_rng(config.random_seed))
    run = prune(run)
    return _exported(run)


def _exported(run: TrainingRun, *, rounded: bool = False) -> Artifact:
    """Runs the last stages, which all kinds of training share; for `rounded` see `quantize`."""
    run = quantize(run, rounded=rounded)
    return export(run)


def _cached(
    cache: Cache, questions: Sequence[Question], config: BertAnswerExtractorConfig, *, texts: Sequence[str]
) -> Artifact:
    """A new model before it is measured, or the one that was trained with the same questions and options before."""
    trained: List[Artifact] = []

    def make() -> Artifact:
        trained.append(_compressed(fine_tune_extractor(questions, config, texts=texts), config))
        return trained[0]

    options = {name: value for name, value in config.to_dict().items() if name not in _WITHOUT_EFFECT}
    kept = texts if may_be_trimmed(config.vocabulary, config.model_weights) else []
    parts = [options, [astuple(question) for question in questions], list(kept)]
    artifact = cache(hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest(), make)
    if not trained:
        logger.info("The model of an earlier training with the same questions and options is used again.")
    return Artifact({**artifact.manifest, "config": config.to_dict()}, artifact.files)


def prepare(questions: Sequence[Question], config: BertAnswerExtractorConfig, *, texts: Sequence[str]) -> TrainingRun:
    """Prepares the training of a new model, from the answer head of the pretrained weights or from a random one.

    Args:
        questions: the training questions.
        config: all options.
        texts: documents, whose wordpieces a trimmed vocabulary keeps too.
    """
    written = [text for question in questions for text in (question.text, question.passage)]
    pretrained = start_from_pretrained(config, [*dict.fromkeys(written), *texts], pairs=True)
    head = AnswerHead(config.max_answer_length, config.stride)
    start, layer = with_heads(pretrained, [head], config), (head.layer.kernel, head.layer.bias)
    if layer[0] in pretrained.parameters:
        weights = config.model_weights
        logger.info(f"model_weights '{weights}' were trained to answer questions: training starts from their head.")
        values = {name: pretrained.parameters[name] for name in layer}
    else:
        values = random_layer(pretrained.shape.hidden_size, seed=config.random_seed)
    return _run(questions, head, replace(start, parameters={**start.parameters, **values}), config)


def prepare_further(
    questions: Sequence[Question], config: BertAnswerExtractorConfig, artifact: Artifact
) -> TrainingRun:
    """Prepares to continue the training of a model."""
    (head,) = (head for head in heads_of(artifact.manifest) if isinstance(head, AnswerHead))
    run = _run(questions, head, state_of(artifact), config)
    stages = artifact.manifest.get("training_scores", {})
    return replace(run, scores={stage: score for stage, score in stages.items() if stage != "final"})


def _run(
    questions: Sequence[Question], head: AnswerHead, start: ModelState, config: BertAnswerExtractorConfig
) -> TrainingRun:
    messages = encode_questions(questions, head, start, max_length=config.max_length)
    model, rng = first_model(start, messages, config), np.random.default_rng(config.random_seed)
    return TrainingRun(config, (head,), start, messages, model, rng)


def with_documents(artifact: Artifact, documents: Sequence[Document], *, language: Optional[str]) -> Artifact:
    """Adds the documents that an artifact answers from, and their index.

    Args:
        artifact: the trained model.
        documents: the documents; without any, a warning is logged.
        language: the only language of the weights, if they have one, to warn of documents in another language.
    """
    if not documents:
        logger.warning("documents: no folder is set, so BertAnswerExtractor will not answer any question.")
        return artifact
    _warn_of_vocabulary(artifact, documents, language=language)
    return Artifact(artifact.manifest, {**artifact.files, **PassageIndex.of(documents).files()})


def _warn_of_vocabulary(artifact: Artifact, documents: Sequence[Document], *, language: Optional[str]) -> None:
    """Warns of documents that the vocabulary does not cover, such as those in another language."""
    json, chosen = artifact.files[TOKENIZER].decode("utf-8"), evenly_spaced(len(documents), _LOOKED_AT // _LEAST)
    each, tokenizer = _LOOKED_AT // len(chosen), WordpieceTokenizer(json, _LOOKED_AT)
    text = "\n".join(documents[place].text[:each] for place in chosen)
    ids, _, continues, _ = tokenizer.encode_with_offsets(tokenizer.read(text))
    unknown = float(np.mean(ids == unknown_id(json)))
    split = float(np.mean(np.append(continues, False)[1:][~continues])) if len(continues) else 0.0
    others = other_weights("model_weights", present=artifact.manifest.get("config", {}).get("model_weights"))
    if unknown > _MANY_UNKNOWN:
        logger.warning(
            f"documents: {unknown:.0%} of the wordpieces are not in the vocabulary of the weights. If the documents "
            f"are in a language that the weights do not know, {others}."
        )
    elif language and split > _MANY_SPLIT:
        logger.warning(
            f"documents: {split:.0%} of the words are not in the vocabulary of the weights, which support only "
            f"'{language}'. If the documents are in another language, {others}."
        )
