"""An index of passages by TF-IDF, with scikit-learn, but stored without pickle."""

from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import DOCUMENTS, PASSAGES, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.data.documents import LONGEST_PASSAGE, Document, Passage, passages_of
from rasa_compressed_bert.errors import ArtifactError

_NGRAMS, _NGRAMS_WITHOUT_BLANKS = (4, 4), (2, 4)
"""The smallest and the largest number of characters of a term, compared in `benchmarks/passages.py`."""
_LONGEST_WORD = 15  # characters on average; in scripts without spaces, what counts as a word is longer
_LONGEST_TERM = 10
_FEWEST_CHARACTERS = 20  # of a passage on average, not counting the last passage of each document
LONGEST_QUESTION = 2000
"""The number of characters of a question that are used, to bound the time."""


class FoundPassage(NamedTuple):
    """A passage that may contain the answer.

    Attributes:
        number: the number of the passage.
        document: the name of its document.
        start: its first character in the text of the document.
        text: the text of the passage.
        similarity: its similarity to the question, 0 to 1.
    """

    number: int
    document: str
    start: int
    text: str
    similarity: float


class PassageIndex:
    """Documents, their passages, and the TF-IDF vector of each passage (Sparck Jones 1972).

    Args:
        documents: the documents.
        passages: the passages of the documents.
        ngrams: the smallest and the largest number of characters of a term.
        terms: the terms, in the order of the columns of the vectors.
        idf: the weight of each term, `(V,)`.
        vectors: the vectors of the passages, a sparse matrix `(N, V)` with rows of length 1.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        passages: Sequence[Passage],
        *,
        ngrams: Tuple[int, int],
        terms: Sequence[str],
        idf: np.ndarray,
        vectors: Any,
    ):
        self.documents, self.passages = list(documents), list(passages)
        self._ngrams, self._terms, self._idf, self._vectors = ngrams, list(terms), idf, vectors
        self._vectorizer = _vectorizer(ngrams, vocabulary={term: column for column, term in enumerate(terms)})
        self._vectorizer.idf_ = idf

    @classmethod
    def of(cls, documents: Sequence[Document]) -> PassageIndex:
        """Makes the index of documents."""
        passages = passages_of(documents)
        texts = [_text(documents, passage) for passage in passages]
        words = [len(word) for text in texts for word in text.split()]
        ngrams = _NGRAMS if sum(words) <= _LONGEST_WORD * len(words) else _NGRAMS_WITHOUT_BLANKS
        vectorizer = _vectorizer(ngrams)
        vectors = vectorizer.fit_transform(texts)
        terms = vectorizer.get_feature_names_out().tolist()
        return cls(documents, passages, ngrams=ngrams, terms=terms, idf=vectorizer.idf_, vectors=vectors)

    @classmethod
    def open(cls, artifact: Artifact) -> Optional[PassageIndex]:
        """Reads the index of an artifact; None if the model has no documents.

        Raises:
            ArtifactError: if the index is damaged.
        """
        if DOCUMENTS not in artifact.files:
            return None
        try:
            stored = json.loads(artifact.files[DOCUMENTS])
            tensors = tensors_from_bytes(artifact.files[PASSAGES])
            documents = [Document(*entry) for entry in stored["documents"]]
            passages = _parts(tensors["passages"], documents)
            shape = (len(passages), len(stored["terms"]))
            if not all(np.isfinite(tensors[name]).all() for name in ("values", "idf")):
                raise ValueError("the weights of terms are not numbers")
            vectors = _matrix(tensors["values"], tensors["columns"], tensors["rows"], shape=shape)
            ngrams, terms = tuple(stored["ngrams"]), stored["terms"]
            if not 1 <= ngrams[0] <= ngrams[1] <= _LONGEST_TERM:  # other terms could take unlimited time
                raise ValueError(f"terms of {ngrams} characters")
            return cls(documents, passages, ngrams=ngrams, terms=terms, idf=tensors["idf"], vectors=vectors)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ArtifactError(f"The documents of the model cannot be read: {error}. Train it again.") from error

    def files(self) -> Dict[str, bytes]:
        """The files of the index in an artifact, by name; the inverse of `open`."""
        stored = {"documents": self.documents, "ngrams": self._ngrams, "terms": self._terms}
        tensors = {
            "passages": np.array(self.passages, np.int32),
            "idf": self._idf.astype(np.float32),
            "values": self._vectors.data.astype(np.float32),
            "columns": self._vectors.indices.astype(np.int32),
            "rows": self._vectors.indptr.astype(np.int64),
        }
        return {DOCUMENTS: json.dumps(stored).encode("ascii"), PASSAGES: tensors_to_bytes(tensors)}

    def find(self, question: str, count: int) -> List[FoundPassage]:
        """The passages that are most similar to a question, best first; only those that share a term with it.

        Args:
            question: a text, of which the first `LONGEST_QUESTION` characters are used.
            count: the largest number of passages.
        """
        (asked,) = self._vectorizer.transform([question[:LONGEST_QUESTION]])
        similarities = (self._vectors @ asked.T).toarray()[:, 0]
        best = np.argsort(-similarities, kind="stable")[:count]
        return [self._found(int(number), float(similarities[number])) for number in best if similarities[number] > 0.0]

    def text_of(self, number: int) -> str:
        """The text of a passage."""
        return _text(self.documents, self.passages[number])

    def _found(self, number: int, similarity: float) -> FoundPassage:
        passage = self.passages[number]
        return FoundPassage(
            number, self.documents[passage.document].name, passage.start, self.text_of(number), similarity
        )


def _parts(rows: np.ndarray, documents: Sequence[Document]) -> List[Passage]:
    """The passages of a tensor of shape `(N, 3)`, checked against the documents.

    Raises:
        ValueError: if a document is not text, if a passage is not a part of one or is longer than `LONGEST_PASSAGE`,
            or if there are more passages than the documents can have: compressed, rows of zeros take almost no space.
    """
    if not all(isinstance(part, str) for document in documents for part in document):
        raise ValueError("a document is not text")
    if len(rows) > len(documents) + sum(len(document.text) for document in documents) // _FEWEST_CHARACTERS:
        raise ValueError(f"the documents have {len(rows)} passages")
    passages = [Passage(*row) for row in rows.tolist()]
    for number, start, end in passages:
        inside = 0 <= number < len(documents) and 0 <= start < end <= len(documents[number].text)
        if not inside or end - start > LONGEST_PASSAGE:
            raise ValueError("a passage is not a part of a document")
    return passages


def _text(documents: Sequence[Document], passage: Passage) -> str:
    return documents[passage.document].text[passage.start : passage.end]


def _vectorizer(ngrams: Tuple[int, int], **options: Any) -> Any:
    """Makes a vectorizer of character n-grams within words, without case and accents: forms of a word share terms."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # takes a second to import

    terms = {"analyzer": "char_wb", "ngram_range": ngrams, "strip_accents": "unicode"}
    return TfidfVectorizer(**terms, sublinear_tf=True, dtype=np.float32, **options)


def _matrix(values: np.ndarray, columns: np.ndarray, rows: np.ndarray, *, shape: Tuple[int, int]) -> Any:
    from scipy.sparse import csr_matrix

    matrix = csr_matrix((values, columns, rows), shape=shape)
    matrix.check_format()
    return matrix
