"""A compressed BERT as a component of a spaCy pipeline."""

# no `from __future__ import annotations`: spaCy reads the types of a factory's arguments
import json
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import from_bytes, to_bytes
from spacy.vectors import Vectors
from spacy.vocab import Vocab

from rasa_compressed_bert.artifact.artifact import FILES, Artifact, read_artifact, write_artifact
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.document_predictor import Document, DocumentPredictor
from rasa_compressed_bert.runtime.opening import PROBE, as_artifact_error

NAME = "compressed_bert"
_MANIFEST = "manifest"
_WRITES = ["doc.tensor", "doc.cats", "doc.ents", "token.ent_type", "token.ent_iob", "span._.compressed_bert"]

if not Span.has_extension(NAME):
    Span.set_extension(NAME, default=None)


@Language.factory(NAME, assigns=_WRITES, default_config={"num_threads": 1})
def make_component(nlp: Language, name: str, num_threads: int) -> "CompressedBert":
    """The factory of `nlp.add_pipe("compressed_bert")`; `from_disk`, `from_bytes` or `set_artifact` loads the model."""
    return CompressedBert(nlp.vocab, name, num_threads=num_threads)


class CompressedBert:
    """Sets the vectors, intents and entities of a document, depending on what its model was trained for.

    - `doc.tensor` has one row per token, from which `token.vector` and `doc.vector` are taken: their mean is the vector
      that the fine-tuned classifier reads, see `runtime.document_predictor.DocumentPredictor`.
    - `doc.cats` has the calibrated confidence of each intent; all are 0 for a text without a wordpiece.
    - `doc.ents` keeps existing entities, and gets those of the model that do not overlap them. An entity that begins or
      ends inside a token is extended to the whole token. `ent._.compressed_bert` has its `role`, `group` and
      `confidence`.

    Args:
        vocab: the vocabulary of the pipeline; it gets an empty table of vectors of the model's width, since spaCy and
            Rasa assume that a pipeline without such a table has no document vectors.
        name: the name of the component.
        num_threads: number of threads of the engine; 0 means all cores.
    """

    def __init__(self, vocab: Vocab, name: str = NAME, *, num_threads: int = 1):
        self.vocab, self.name = vocab, name
        self._num_threads = num_threads
        self._model: Optional[Tuple[Artifact, DocumentPredictor]] = None
        self._no_intent: Dict[str, float] = {}

    def set_artifact(self, artifact: Artifact) -> None:
        """Sets the model.

        Args:
            artifact: an artifact of `export.documents.document_artifact`.

        Raises:
            ArtifactError: if ONNX Runtime refuses the graph, or if parts of the artifact do not fit each other.
        """
        with as_artifact_error():
            predictor = DocumentPredictor(artifact, num_threads=self._num_threads)
            predictor.predict_document(PROBE, [(0, len(PROBE))])
            no_intent = dict.fromkeys(artifact.manifest["labels"], 0.0)
        self._model, self._no_intent = (artifact, predictor), no_intent
        if not len(self.vocab.vectors):
            self.vocab.vectors = Vectors(strings=self.vocab.strings, shape=(0, predictor.size))

    @property
    def labels(self) -> Tuple[str, ...]:
        """The intents; empty before a model is set."""
        return tuple(self._no_intent)

    def __call__(self, doc: Doc) -> Doc:
        """Writes the model's predictions to a document.

        `nlp.pipe` also calls this, for one document after the other: there is no method `pipe`, since vectors and
        confidences of a document must not depend on its batch.
        """
        _, predictor = self._require_model()
        tokens = [token for token in doc if token.text.strip()]
        words = [(token.idx, token.idx + len(token)) for token in tokens]
        document = predictor.predict_document(doc.text, words)
        self._write(doc, [token.i for token in tokens], document)
        return doc

    def to_disk(self, path: Union[str, Path], *, exclude: Sequence[str] = ()) -> None:
        """Writes the model to a folder."""
        artifact, _ = self._require_model()
        write_artifact(artifact, Path(path))

    def from_disk(self, path: Union[str, Path], *, exclude: Sequence[str] = ()) -> "CompressedBert":
        """Reads and checks a model.

        Raises:
            ArtifactError: if a file is missing or damaged, which it names.
        """
        self.set_artifact(read_artifact(Path(path)))
        return self

    def to_bytes(self, *, exclude: Sequence[str] = ()) -> bytes:
        """The model as bytes."""
        artifact, _ = self._require_model()
        parts = {_MANIFEST: json.dumps(artifact.manifest).encode("ascii"), **artifact.files}
        return to_bytes({name: lambda data=data: data for name, data in parts.items()}, exclude)

    def from_bytes(self, data: bytes, *, exclude: Sequence[str] = ()) -> "CompressedBert":
        """Reads and checks a model from the bytes of `to_bytes`."""
        parts: Dict[str, Any] = {}
        from_bytes(data, {name: partial(parts.__setitem__, name) for name in (_MANIFEST, *FILES)}, exclude)
        self.set_artifact(Artifact(json.loads(parts.pop(_MANIFEST)), parts))
        return self

    def __getstate__(self) -> Dict[str, Any]:
        """Pickles the artifact and no engine, as `nlp.pipe(n_process=2)` does where processes do not fork."""
        return {**vars(self), "_model": self._model and self._model[0]}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        artifact = state.pop("_model")
        vars(self).update(state, _model=None)
        if artifact:
            self.set_artifact(artifact)

    def _require_model(self) -> Tuple[Artifact, DocumentPredictor]:
        if self._model is None:
            raise ArtifactError(
                f"The spaCy component '{self.name}' has no model: load a package that was made with "
                "`rasa-compressed-bert package-spacy`."
            )
        return self._model

    def _write(self, doc: Doc, words: List[int], document: Document) -> None:
        """Writes vectors, intents and entities; white-space tokens get the document's vector, which keeps the mean."""
        if len(words) == len(doc):
            doc.tensor = document.words  # a copy of the vectors of a long document would take hundreds of megabytes
        else:
            doc.tensor = document.vector[None].repeat(len(doc), axis=0)
            doc.tensor[words] = document.words
        doc.cats.update(document.prediction.ranking or self._no_intent)
        for start, end, label, confidence in document.prediction.entities:
            span = doc.char_span(start, end, label=label.entity, alignment_mode="expand")
            if add_entity(doc, span):
                span._.set(NAME, {"role": label.role, "group": label.group, "confidence": confidence})


def add_entity(doc: Doc, span: Span) -> bool:
    """Adds an entity to a document unless it overlaps an existing one; returns whether it was added."""
    if any(token.ent_type for token in span):
        return False
    doc.set_ents([span], default="unmodified")
    return True
