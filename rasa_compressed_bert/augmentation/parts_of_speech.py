"""Groups of interchangeable words: parts of speech from a spaCy model, or word classes found in the messages."""

from __future__ import annotations

import os
import warnings
from collections import Counter, defaultdict
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning

from rasa_compressed_bert.errors import INSTALL_SPACY, ConfigError

_CLASSES = 45  # the number of tags of the Penn Treebank
_WORDS_OF_A_CLASS = 4  # minimum, on average
_CONTEXTS, _DIMENSIONS = 500, 50
_EDGE = " "  # stands before the first word and after the last one; no word contains a space


class PartsOfSpeech:
    """A tag for each word of each message, and the words of each tag with their frequencies.

    Args:
        messages: the words of each message.
        spacy_model: name of the spaCy model that tags them; None means `distributional_classes`.
        seed: random seed of the clustering.

    Raises:
        ConfigError: if the spaCy model is not installed, or has no tagger.
    """

    def __init__(self, messages: Sequence[Sequence[str]], *, spacy_model: Optional[str], seed: int):
        if spacy_model is None:
            classes = distributional_classes(messages, seed=seed)
            self._tags = [[classes[word.lower()] for word in words] for words in messages]
        else:
            self._tags = _spacy_tags(messages, spacy_model)
        members: Dict[int, List[str]] = defaultdict(list)
        for words, tags in zip(messages, self._tags):
            for word, tag in zip(words, tags):
                members[tag].append(word)
        self._members = dict(members)

    def of_message(self, index: int) -> Sequence[int]:
        """The tags of the words of a message."""
        return self._tags[index]

    def sample(self, tag: int, rng: np.random.Generator) -> str:
        """A random word of a tag, drawn in proportion to its frequency (the unigram distribution of Tang et al.)."""
        members = self._members[tag]
        return members[rng.integers(len(members))]


def distributional_classes(messages: Sequence[Sequence[str]], *, seed: int) -> Dict[str, int]:
    """Classes of words that occur between the same words (Schuetze 1995), by the word in lower case.

    The logarithmic counts of the previous and of the next word are reduced by a singular value decomposition and
    clustered by k-means. With fewer words there are fewer classes; if there were only one, no clustering is done.

    Args:
        messages: the words of each message.
        seed: random seed of decomposition and clustering.
    """
    lower = [[_EDGE, *(word.lower() for word in words), _EDGE] for words in messages]
    frequency = Counter(word for words in lower for word in words)
    names = sorted(set(frequency) - {_EDGE})
    contexts = {word: index for index, (word, _) in enumerate(frequency.most_common(_CONTEXTS))}
    rows = {word: index for index, word in enumerate(names)}
    counts: Counter[Tuple[int, int]] = Counter()
    for words in lower:
        for before, word, after in zip(words, words[1:], words[2:]):
            for side, context in enumerate((before, after)):
                if context in contexts:
                    counts[rows[word], contexts[context] + side * len(contexts)] += 1
    num_classes = min(_CLASSES, len(names) // _WORDS_OF_A_CLASS)
    if num_classes < 2:
        return dict.fromkeys(names, 0)
    positions = np.array(list(counts)).T
    vectors = csr_matrix((np.log1p(list(counts.values())), positions), shape=(len(names), 2 * len(contexts)))
    dimensions = min(_DIMENSIONS, min(vectors.shape) - 1)
    with warnings.catch_warnings():  # in few messages, all words may have equal vectors: then there is one class
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        reduced = TruncatedSVD(dimensions, random_state=seed).fit_transform(vectors)
        reduced /= np.maximum(np.linalg.norm(reduced, axis=1, keepdims=True), 1e-12)
        tags = KMeans(num_classes, n_init=1, random_state=seed).fit_predict(reduced)
    return dict(zip(names, tags.tolist()))


def load_tagger(model: str) -> Any:
    """A spaCy model that tags parts of speech.

    Raises:
        ConfigError: if spaCy, or the model, is not installed, or if spaCy cannot load it.
    """
    try:
        import spacy

        return spacy.load(os.path.expanduser(model), exclude=["ner", "parser", "lemmatizer", "textcat"])
    except ImportError as error:
        raise ConfigError(
            f"augmentation.spacy_model: '{model}' needs spaCy, which is not installed: {INSTALL_SPACY}"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"augmentation.spacy_model: '{model}' is not installed: python -m spacy download {model}; or leave "
            "spacy_model out, to use classes of words from the training data"
        ) from error
    except Exception as error:  # of a package or folder that is no model, or of a model for another version of spaCy
        raise ConfigError(
            f"augmentation.spacy_model: '{model}' cannot be loaded ({type(error).__name__}: {error}); choose a model "
            "for the installed version of spaCy"
        ) from error


def _spacy_tags(messages: Sequence[Sequence[str]], model: str) -> List[List[int]]:
    nlp = load_tagger(model)
    from spacy.tokens import Doc

    docs = [Doc(nlp.vocab, words=list(words)) for words in messages]
    tags = [[token.pos for token in doc] for doc in nlp.pipe(docs)]
    if any(words for words in messages) and not any(tag for row in tags for tag in row):
        raise ConfigError(f"augmentation.spacy_model: '{model}' has no tagger for parts of speech; choose another one")
    return tags
