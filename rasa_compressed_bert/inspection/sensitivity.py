"""How sensitive each part of a model is to few bits and to few weights: one part is compressed at a time.

Nothing is trained after it: the scores show where compression hurts before training has made up for it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.artifact.archives import artifacts_of
from rasa_compressed_bert.artifact.artifact import INTENT_CLASSIFIER, TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.compression.quantization import WORD
from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.inspection.parts import Setting, Sweep, Target, targets
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.models.head_layer import CLASSIFIER
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.reporting.progress import progress
from rasa_compressed_bert.reporting.resumable import Results
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.loop import predict
from rasa_compressed_bert.training.vocabulary import UsedVocabulary

logger = logging.getLogger(__name__)


class Probe:
    """A model in floats whose matrices can be replaced, and the messages that it is scored on.

    Args:
        artifact: of an intent classifier.
        messages: what it is scored on; only the word embeddings that they use are loaded into the model.

    Raises:
        ArtifactError: if its parts do not fit each other.
    """

    @as_artifact_error()
    def __init__(self, artifact: Artifact, messages: Sequence[LabelledMessage]):
        start = state_of(artifact)
        self.shape, self._parameters = start.shape, start.parameters
        self._labels: List[str] = artifact.manifest["labels"]
        self.expected = [message.intent for message in messages]
        wordpieces = WordpieceTokenizer(start.tokenizer, artifact.manifest["max_length"])
        input_ids = wordpieces.encode_all([message.text for message in messages])
        self._vocabulary = UsedVocabulary.of(input_ids)
        self._input_ids = self._vocabulary.renumber(input_ids)
        self._used = self._vocabulary.narrow(self._parameters)
        self._model = TaskModel(replace(self.shape, vocab_size=len(self._vocabulary.rows)), self._used)

    def unknown(self) -> List[str]:
        """The intent of each message whose intent the model does not know."""
        return [intent for intent in self.expected if intent not in self._labels]

    def size(self, target: Target) -> int:
        """Weights of a part."""
        return sum(self._parameters[name].size for name in target.matrices)

    def compressed(self, name: str, sweep: Sweep, setting: Setting) -> np.ndarray:
        """A matrix as a setting leaves it; of the word embeddings, all of which count, the rows that are used."""
        matrix = sweep.compressed(name, self._parameters[name], setting)
        return self._vocabulary.narrow({name: matrix})[name] if name == WORD else matrix

    def score(self, changed: Mapping[str, np.ndarray]) -> Dict[str, float]:
        """Accuracy and macro F1, as shares, with these matrices in the place of the model's own."""
        self._model.assign({**self._used, **changed})
        predictions = predict(self._model, self._input_ids)  # empty where there is no message
        predicted = predictions[CLASSIFIER.output].argmax(axis=1) if predictions else ()
        return intent_scores(self.expected, [self._labels[index] for index in predicted])


@as_artifact_error()
def intent_artifact(model: Path) -> Artifact:
    """The intent classifier in an archive, a folder of archives or an artifact folder; of several, Rasa's last.

    Raises:
        CompressedBertError: if there is none, if it is a student that is no BERT, or if its manifest lacks the methods.
    """
    found = [artifact for artifact in artifacts_of(model).values() if artifact.manifest["kind"] == INTENT_CLASSIFIER]
    if not found:
        raise CompressedBertError(f"'{model}' holds no trained intent classifier of rasa_compressed_bert.")
    manifest = found[-1].manifest
    if "encoder" not in manifest:
        raise CompressedBertError(
            f"The intent classifier in '{model}' is a student that is no BERT: it has no layers to compress. Give the "
            "model of a PrunedBertIntentClassifier."
        )
    methods = {"pruning": manifest.get("config", {}).get("pruning", {}), "quantization": manifest["quantization"]}
    used = {name: options.get("method", "none") for name, options in methods.items()}
    if set(used.values()) != {"none"}:
        methods_used = ", ".join(f"{name}: {method}" for name, method in used.items())
        logger.warning(
            f"This model is compressed already ({methods_used}): what is measured comes on top of that. "
            "`pruning: {method: none}` and `quantization: {method: none}` train one that shows more."
        )
    return found[-1]


def measure_sensitivity(
    artifact: Artifact,
    messages: Sequence[LabelledMessage],
    sweep: Sweep,
    *,
    path: Path,
    header: Mapping[str, Any],
    fresh: bool = False,
) -> Dict[str, Any]:
    """Scores the model with each part compressed in each way, and goes on where an earlier call stopped.

    Args:
        artifact: of an intent classifier.
        messages: what it is scored on.
        sweep: the ways.
        path: the JSON file of the results.
        header: what else is to be known of them.
        fresh: whether results that are there are thrown away.

    Returns:
        The file's content: the header, `made_from` (digests of model and messages, the settings), `messages` and
        `unknown_messages` (counts), `targets` (name, group, weights), the scores `uncompressed`, and `cells` (target,
        kind, value, accuracy, macro_f1).

    Raises:
        CompressedBertError: see `Results`.
        KeyboardInterrupt: with the number of scores that are there.
    """
    model = (artifact.files[WEIGHTS], artifact.files[TOKENIZER], _json(artifact.manifest["labels"]))
    identity = {"model": _digest(*model), "test messages": _digest(_json(messages)), "settings": asdict(sweep)}
    results = Results(path, header, identity=identity, fresh=fresh)
    probe = Probe(artifact, messages)
    _score_uncompressed(probe, results)
    total = len(targets(probe.shape)) * len(sweep.settings())
    try:
        with progress("sensitivity", total, unit="scores", done=len(results)) as work:
            for target, setting, score in _missing_cells(probe, sweep, results):
                results.add({"target": target.name, **setting._asdict(), **score})
                work.note(f"{target.name}, {setting.kind} {setting.value}")
                work.advance()
    except KeyboardInterrupt:
        done = f"{len(results)} of {total} scores are in '{path}'"
        raise KeyboardInterrupt(f"{done}; the same command goes on from there.") from None
    return results.content


def _score_uncompressed(probe: Probe, results: Results) -> None:
    """What every cell is compared with."""
    unknown = probe.unknown()
    if unknown:
        names = ", ".join(sorted(set(unknown)))
        messages = counted(len(unknown), "message", "messages")
        logger.warning(f"{messages} cannot be right, with intents that the model does not know ({names}).")
    if "uncompressed" not in results.content:
        parts = targets(probe.shape)
        results.update(
            messages=len(probe.expected),
            unknown_messages=len(unknown),
            targets=[{"name": part.name, "group": part.group, "weights": probe.size(part)} for part in parts],
            uncompressed=probe.score({}),
        )


def _missing_cells(probe: Probe, sweep: Sweep, results: Results) -> Iterator[Tuple[Target, Setting, Dict[str, float]]]:
    """Setting by setting, since parts share matrices: each is compressed once."""
    for setting in sweep.settings():
        changed: Dict[str, np.ndarray] = {}
        for target in targets(probe.shape):
            if {"target": target.name, **setting._asdict()} in results:
                continue
            for name in target.matrices:
                if name not in changed:
                    changed[name] = probe.compressed(name, sweep, setting)
            yield target, setting, probe.score({name: changed[name] for name in target.matrices})


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _json(values: Any) -> bytes:
    return json.dumps(values).encode("ascii")
