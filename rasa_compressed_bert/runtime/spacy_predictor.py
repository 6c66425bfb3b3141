"""Ranks the intents of a text with a spaCy text classifier."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import SPACY_MODEL, Artifact
from rasa_compressed_bert.errors import INSTALL_SPACY, ArtifactError, ConfigError, RuntimeMissingError
from rasa_compressed_bert.runtime.decoders import INTENTS
from rasa_compressed_bert.runtime.message_predictor import NOTHING, Prediction
from rasa_compressed_bert.runtime.ranking import IntentRanker
from rasa_compressed_bert.tokenization.bounded import bounded

_SAYS_NOTHING = " \ufffd"  # printable characters without meaning; no other whitespace is printable
_BATCH = 256
_OF_LANGUAGE = ["tokenizer"]  # not read from files: untrusted regular expressions may take exponential time
_MOST_LABELS = 10_000  # adding them takes quadratic time; so many take two seconds
_LEAST = 1e-9  # smaller probabilities are raised to it before the logarithm
_MOST_WORDS = 10_000  # new words in a vocabulary before it is replaced; each takes 1.2 kB


class SpacyPredictor:
    """The pipeline of one artifact, and calibrated confidences; safe to call from several threads.

    The pipeline is made from the language and the labels in the manifest; only its weights and its vocabulary are read
    from the file.

    Args:
        artifact: a spacy_textcat student.

    Raises:
        RuntimeMissingError: if spaCy is not installed.
        ArtifactError: if spaCy refuses the file.
    """

    def __init__(self, artifact: Artifact):
        self._ranker = IntentRanker(artifact)
        self._max_length = artifact.max_length
        language: str = artifact.manifest["student"]["language"]
        self._nlp = textcat_pipeline(language, self._ranker.labels)
        try:
            read_weights(self._nlp, artifact.files[SPACY_MODEL])
            self._nlp.tokenizer = _ForgetfulTokenizer(self._nlp, language)
        except Exception as error:  # spaCy's errors have no common base
            raise ArtifactError(f"spaCy cannot load the model: {error}") from error

    def predict(self, text: str) -> Prediction:
        """The intents of a text; none if it consists of whitespace and control characters."""
        read = bounded(text, self._max_length)
        if not any(character.isprintable() and character not in _SAYS_NOTHING for character in read):
            return NOTHING
        return Prediction({INTENTS: self._ranker.rank(text, self.logits([text])[0], None)})

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """The logarithms of the probabilities of intents, for each message.  # (n, C)"""
        return log_probabilities(self._nlp, texts, max_length=self._max_length)


class _ForgetfulTokenizer:
    """A pipeline's tokenizer with a vocabulary of its own, which is replaced when it has grown too large.

    The vocabulary of spaCy 3.4 keeps every word that it has seen, and cannot remove any.

    Args:
        nlp: the pipeline; its `textcat` accepts documents of any vocabulary.
        language: the language of the pipeline.
    """

    def __init__(self, nlp: Any, language: str):
        self._language = language
        self._bytes = nlp.to_bytes(exclude=[*_OF_LANGUAGE, *nlp.pipe_names])  # the vocabulary of the training
        self._tokenizer, self._most = self._new()

    def __call__(self, text: str) -> Any:
        """Converts a text to a document."""
        if len(self._tokenizer.vocab) > self._most:
            self._tokenizer, self._most = self._new()
        return self._tokenizer(text)

    def _new(self) -> Tuple[Any, int]:
        """Makes a tokenizer; also returns the number of words at which its vocabulary is replaced."""
        nlp = blank_pipeline(self._language, option="student.language")
        read_weights(nlp, self._bytes)
        return nlp.tokenizer, len(nlp.vocab) + _MOST_WORDS


def textcat_pipeline(language: str, labels: Sequence[str]) -> Any:
    """Makes a spaCy pipeline with an untrained `textcat` for some labels.

    Raises:
        RuntimeMissingError: if spaCy is not installed.
        ConfigError: if spaCy does not know the language, or if there are very many labels.
    """
    if len(labels) > _MOST_LABELS:
        raise ConfigError(f"student.architecture: spacy_textcat has at most {_MOST_LABELS} intents, not {len(labels)}")
    nlp = blank_pipeline(language, option="student.language")
    textcat = nlp.add_pipe("textcat")
    for label in labels:
        textcat.add_label(label)
    return nlp


def scale_logits(nlp: Any, factor: float) -> None:
    """Multiplies the logits of the `textcat` of a pipeline, through the weights of its softmax layer."""
    last = nlp.get_pipe("textcat").model.layers[-1]  # the softmax layer of the ensemble
    for name in ("W", "b"):
        last.set_param(name, last.get_param(name) * factor)


def read_weights(nlp: Any, data: bytes) -> None:
    """Reads the weights and the vocabulary of a pipeline, but not its tokenizer: that of the language is kept.

    Args:
        nlp: a pipeline of `textcat_pipeline`, which is changed.
        data: `to_bytes` of such a pipeline, which may be untrusted.
    """
    nlp.from_bytes(data, exclude=_OF_LANGUAGE)


def blank_pipeline(language: str, *, option: str) -> Any:
    """Makes a spaCy pipeline with only a tokenizer.

    Args:
        language: spaCy's code of the language.
        option: the option that sets the language, for the error message.

    Raises:
        RuntimeMissingError: if spaCy is not installed.
        ConfigError: if spaCy does not know the language.
    """
    try:
        import spacy
    except ImportError as error:
        raise RuntimeMissingError(f"The runtime 'spacy' is not installed: {INSTALL_SPACY}") from error
    try:
        return spacy.blank(language)
    except (ImportError, AttributeError) as error:  # AttributeError: a module that is not a language
        raise ConfigError(f"{option}: spaCy does not support '{language}', or lacks a package for it") from error


def log_probabilities(nlp: Any, texts: Sequence[str], *, max_length: int) -> np.ndarray:
    """The logarithms of the probabilities that a pipeline of `textcat_pipeline` predicts for messages.  # (n, C)

    Args:
        nlp: the pipeline.
        texts: the messages.
        max_length: the largest number of words of a message; the rest is cut off.
    """
    textcat = nlp.get_pipe("textcat")
    docs = [nlp.make_doc(bounded(text, max_length)) for text in texts]
    scores = np.concatenate([textcat.predict(docs[start : start + _BATCH]) for start in range(0, len(docs), _BATCH)])
    return np.log(np.maximum(scores, _LEAST))
