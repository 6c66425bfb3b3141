"""Sensitivity of each part of a model to quantization and pruning: one part is compressed at a time.

The model is not trained afterwards: the scores show the loss that training would have to recover.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Sequence, Tuple, Union, cast

import numpy as np

from rasa_compressed_bert.artifact.archives import artifacts_of, last_with
from rasa_compressed_bert.artifact.artifact import INTENT_CLASSIFIER, TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.inspection.parts import Setting, Sweep, Target, targets
from rasa_compressed_bert.inspection.probes import AnswerProbe, IntentProbe, Probe
from rasa_compressed_bert.reporting.progress import progress
from rasa_compressed_bert.reporting.resumable import Results
from rasa_compressed_bert.runtime.decoders import ANSWERS
from rasa_compressed_bert.runtime.opening import as_artifact_error

logger = logging.getLogger(__name__)


@as_artifact_error()
def intent_artifact(model: Path) -> Artifact:
    """The intent classifier in an archive, a folder of archives or an artifact folder; the last one of the pipeline.

    Raises:
        CompressedBertError: if there is none, if it is a student that is not a BERT, or if its manifest is incomplete.
    """
    found = [artifact for artifact in artifacts_of(model).values() if artifact.manifest["kind"] == INTENT_CLASSIFIER]
    if not found:
        raise CompressedBertError(
            f"'{model}' holds no trained PrunedBertIntentClassifier, which is what this command measures."
        )
    if "encoder" not in found[-1].manifest:
        raise CompressedBertError(
            f"The intent classifier in '{model}' is a student, not a BERT, and has no layers to compress. Give "
            "the model of a PrunedBertIntentClassifier."
        )
    return _not_compressed(found[-1])


@as_artifact_error()
def answer_artifact(model: Path) -> Artifact:
    """The answer extractor in an archive, a folder of archives or an artifact folder; the last one of the pipeline.

    Raises:
        CompressedBertError: if there is none, or if its manifest is incomplete.
    """
    return _not_compressed(last_with(model, ANSWERS, component="BertAnswerExtractor"))


def _not_compressed(artifact: Artifact) -> Artifact:
    """The artifact; warns if it is already compressed."""
    manifest = artifact.manifest
    methods = {"pruning": manifest.get("config", {}).get("pruning", {}), "quantization": manifest["quantization"]}
    used = {name: options.get("method", "none") for name, options in methods.items()}
    if set(used.values()) != {"none"}:
        methods_used = ", ".join(f"{name}: {method}" for name, method in used.items())
        logger.warning(
            f"This model is already compressed ({methods_used}), and changes are measured on top of that. Models "
            "trained with `pruning: {method: none}` and `quantization: {method: none}` show more."
        )
    return artifact


def measure_sensitivity(
    artifact: Artifact,
    asked: Union[Sequence[LabelledMessage], Sequence[Question]],
    sweep: Sweep,
    *,
    path: Path,
    header: Mapping[str, Any],
    fresh: bool = False,
) -> Dict[str, Any]:
    """Scores the model with each part compressed by each setting, and resumes an interrupted measurement.

    Args:
        artifact: artifact of an intent classifier or of an answer extractor.
        asked: the messages or questions that it is scored on.
        sweep: the settings.
        path: the JSON file of the results.
        header: further values that are stored with the results.
        fresh: whether existing results are discarded.

    Returns:
        The file's content: the header, `made_from` (digests of model and messages, the settings), `messages` and
        `unknown_messages` (counts; `messages` are questions where these are asked), `targets` (name, group, weights),
        `main_score` (`macro_f1` or `f1`), the scores `uncompressed`, and `cells` (target, kind, value, and scores).

    Raises:
        CompressedBertError: see `Results`.
        KeyboardInterrupt: if interrupted; its message has the number of scores that are stored.
    """
    probe: Probe
    if ANSWERS in artifact.manifest:
        questions = cast(Sequence[Question], asked)
        probe, known = AnswerProbe(artifact, questions), artifact.manifest[ANSWERS]
        shown: Any = [[question.text, question.passage, question.answers] for question in questions]
    else:
        probe, known = IntentProbe(artifact, cast(Sequence[LabelledMessage], asked)), artifact.manifest["labels"]
        shown = asked
    model = (artifact.files[WEIGHTS], artifact.files[TOKENIZER], _json(known))
    identity = {"model": _digest(*model), "test messages": _digest(_json(shown)), "settings": asdict(sweep)}
    results = Results(path, header, identity=identity, fresh=fresh)
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
        raise KeyboardInterrupt(f"{done}; the same command continues from there.") from None
    return results.content


def _score_uncompressed(probe: Probe, results: Results) -> None:
    """Stores the scores of the uncompressed model, with which every cell is compared."""
    unknown = probe.unknown()
    if unknown:
        names = ", ".join(sorted(set(unknown)))
        messages = counted(len(unknown), "message has an intent", "messages have intents")
        logger.warning(f"{messages} that the model does not know ({names}): these are scored as wrong.")
    if "main_score" not in results.content:
        parts = targets(probe.shape)
        results.update(
            messages=probe.count,
            unknown_messages=len(unknown),
            targets=[{"name": part.name, "group": part.group, "weights": probe.size(part)} for part in parts],
            main_score=probe.main_score,
            uncompressed=probe.score({}),
        )


def _missing_cells(probe: Probe, sweep: Sweep, results: Results) -> Iterator[Tuple[Target, Setting, Dict[str, float]]]:
    """Missing scores, setting by setting, so that matrices which parts share are compressed once."""
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
