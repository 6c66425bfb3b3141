"""Comparison of models on the same messages, one at a time, in turns."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np
import psutil

from rasa_compressed_bert.benchmark.workers import WorkerProcess
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.metrics.confidences import (
    FALLBACK_THRESHOLD,
    best_fallback,
    expected_calibration_error,
    fallback_f1,
    in_scope_confidences,
    out_of_scope_auroc,
)
from rasa_compressed_bert.metrics.entities import are_right, entity_f1
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.reporting.progress import Work, progress
from rasa_compressed_bert.units import MB

logger = logging.getLogger(__name__)
_MEMORY_PER_WORKER = 1.5e9  # bytes, for TensorFlow and a large model
_APART = 50  # messages that are timed with a pause before each


def compare_models(
    models: Mapping[str, Path],
    messages: Sequence[LabelledMessage],
    *,
    out_of_scope: Sequence[str] = (),
    threads: int = 1,
    rounds: int = 50,
    pause: float = 0.0,
) -> List[Dict[str, Any]]:
    """Measures scores, latency, size, memory and load time of each model.

    Every model runs in its own process. In each round every model parses the same part of the messages while the
    others wait, so that a busy moment of the machine affects all of them. If memory does not suffice for all processes
    at once, they are measured in groups (`group` in the result), one after the other.

    Args:
        models: archives by label.
        messages: test messages; each is timed once by each model, after a short warm-up.
        out_of_scope: messages that fit no intent; if there are any, their detection by confidence is also scored.
        threads: number of threads of each library.
        rounds: number of parts into which the messages are split.
        pause: seconds before each of 50 messages whose latency is measured again, as in a real conversation; 0 switches
            this off.

    Raises:
        CompressedBertError: if a model cannot be loaded or fails.
    """
    labels, results = list(models), []
    size = max(1, min(len(labels), int(psutil.virtual_memory().available / _MEMORY_PER_WORKER)))
    parts = [list(messages[start::rounds]) for start in range(min(rounds, len(messages)))]
    expected = [message for part in parts for message in part]
    texts = [[message.text for message in part] for part in parts]
    total = len(labels) * (len(messages) + len(out_of_scope))
    with progress("benchmark", total, unit="messages") as work:
        for group, start in enumerate(range(0, len(labels), size)):
            with contextlib.ExitStack() as stack:
                workers = {}
                for label in labels[start : start + size]:
                    work.note(f"loading {label}")
                    workers[label] = stack.enter_context(WorkerProcess(models[label], threads))
                answers = _answers(workers, texts, work)
                outside = _answers(workers, [list(out_of_scope)] if out_of_scope else [], work)
                alone = _apart(workers, [message.text for message in expected[:_APART]], pause) if pause else {}
            for label, worker in workers.items():
                extracts = worker.report["extracts_entities"]
                summary = {**_summary(answers[label], expected, extracts=extracts), **alone.get(label, {})}
                result = {"model": label, **summary, **worker.report}
                if out_of_scope and _has_intents(answers[label]):
                    result.update(_out_of_scope(answers[label], expected, outside[label]))
                results.append({**result, "archive_mb": models[label].stat().st_size / MB, "group": group})
    return results


def _answers(
    workers: Mapping[str, WorkerProcess], parts: Sequence[List[str]], work: Work
) -> Dict[str, List[Dict[str, Any]]]:
    """The predictions of each worker for each part of the texts, computed in turns."""
    answers: Dict[str, List[Dict[str, Any]]] = {label: [] for label in workers}
    for part in parts:
        for label, worker in workers.items():
            work.note(label)
            answers[label].append(worker.parse(part))
            work.advance(len(part))
    return answers


def _apart(workers: Mapping[str, WorkerProcess], texts: List[str], pause: float) -> Dict[str, Dict[str, float]]:
    """The median milliseconds of each worker for messages with a pause before each, one worker after the other."""
    found = {}
    for label, worker in workers.items():
        seconds = worker.parse(texts, pause=pause)["seconds"]
        found[label] = {"pause_s": pause, "apart_p50_ms": 1000.0 * float(np.median(seconds))}
    return found


def _summary(
    answers: Sequence[Mapping[str, Any]], expected: Sequence[LabelledMessage], *, extracts: bool
) -> Dict[str, Any]:
    milliseconds = 1000.0 * np.array(_joined(answers, "seconds"))
    components = 1000.0 * np.array(_joined(answers, "component_seconds"))
    summary: Dict[str, Any] = {
        **_of_intents([message.intent for message in expected], answers),
        "messages": len(expected),
        **_percentiles("latency", milliseconds),
        "latency_mean_ms": float(milliseconds.mean()),
        **_percentiles("components", components),
        "memory_mb": answers[-1]["memory_mb"],
        "cores_used": sum(answer["cpu_s"] for answer in answers) / sum(answer["wall_s"] for answer in answers),
    }
    if any(message.entities for message in expected):
        summary.update(_of_entities([message.entities for message in expected], answers, extracts=extracts))
    return summary


def _of_entities(
    expected: Sequence[Sequence[EntitySpan]], answers: Sequence[Mapping[str, Any]], *, extracts: bool
) -> Dict[str, Optional[float]]:
    """F1 of entities, and the calibration of those that have a confidence; None for a model without entities."""
    found = _joined(answers, "entities")
    confidences = [confidence for own in _joined(answers, "entity_confidences") for confidence in own]
    rated = [pair for pair in zip(confidences, are_right(expected, found)) if pair[0] is not None]
    return {
        "entity_f1": entity_f1(expected, found) if extracts else None,
        "entity_calibration_error": expected_calibration_error(*zip(*rated)) if rated else None,
    }


def _of_intents(expected: Sequence[str], answers: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """Scores of intents and confidences; None for a model that predicts no intents, such as an entity extractor."""
    predicted, confidences = _joined(answers, "intents"), _joined(answers, "confidences")
    if not _has_intents(answers):
        return dict.fromkeys(("accuracy", "macro_f1", "calibration_error", "below_threshold"))
    return {
        **intent_scores(expected, predicted),
        "calibration_error": expected_calibration_error(confidences, [a == b for a, b in zip(expected, predicted)]),
        "below_threshold": float((np.array(confidences) < FALLBACK_THRESHOLD).mean()),
    }


def _has_intents(answers: Sequence[Mapping[str, Any]]) -> bool:
    return any(intent is not None for intent in _joined(answers, "intents"))


def _out_of_scope(
    answers: Sequence[Mapping[str, Any]], expected: Sequence[LabelledMessage], outside: Sequence[Mapping[str, Any]]
) -> Dict[str, Any]:
    intents = [message.intent for message in expected]
    inside = in_scope_confidences(_joined(answers, "intents"), _joined(answers, "confidences"), intents)
    without = in_scope_confidences(_joined(outside, "intents"), _joined(outside, "confidences"))
    threshold, best = best_fallback(inside, without)
    return {
        "out_of_scope_messages": len(without),
        "out_of_scope_auroc": out_of_scope_auroc(inside, without),
        "fallback_f1": fallback_f1(inside, without, FALLBACK_THRESHOLD),
        "best_fallback_f1": best,
        "best_fallback_threshold": threshold,
    }


def _joined(answers: Sequence[Mapping[str, Any]], key: str) -> List[Any]:
    return [value for answer in answers for value in answer[key]]


def _percentiles(name: str, milliseconds: np.ndarray) -> Dict[str, float]:
    return {f"{name}_p{share}_ms": float(np.percentile(milliseconds, share)) for share in (50, 95, 99)}
