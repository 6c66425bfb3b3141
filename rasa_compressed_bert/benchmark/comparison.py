"""Models side by side: the same messages, one at a time, in turns."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
import psutil
from tqdm import tqdm

from rasa_compressed_bert.benchmark.workers import WorkerProcess
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.metrics.entities import entity_f1
from rasa_compressed_bert.metrics.intents import intent_scores

logger = logging.getLogger(__name__)
_MEMORY_PER_WORKER = 1.5e9  # bytes, TensorFlow and a large model
MB = 1e6


class LabelledMessage(NamedTuple):
    """A text, and the intent and the entities that it should get."""

    text: str
    intent: str
    entities: Tuple[EntitySpan, ...] = ()


def compare_models(
    models: Mapping[str, Path], messages: Sequence[LabelledMessage], *, threads: int = 1, rounds: int = 50
) -> List[Dict[str, Any]]:
    """Scores, latency, size, memory and load time of each model.

    Every model runs in a process of its own. In each round every model parses the same part of the messages while the
    others wait, so that a busy moment of the machine hits all of them. Where memory does not suffice for all processes
    at once, they are measured in groups (`group` in the result), one after the other.

    Args:
        models: label to archive.
        messages: what to parse; each is parsed once by each model, after a short warm-up.
        threads: of the libraries.
        rounds: number of parts.

    Raises:
        CompressedBertError: if a model cannot be loaded or fails.
    """
    labels, results = list(models), []
    size = max(1, min(len(labels), int(psutil.virtual_memory().available / _MEMORY_PER_WORKER)))
    parts = [list(messages[start::rounds]) for start in range(min(rounds, len(messages)))]
    with tqdm(total=len(labels) * len(messages), unit=" messages", desc="benchmark") as bar:
        for group, start in enumerate(range(0, len(labels), size)):
            members = {label: models[label] for label in labels[start : start + size]}
            for result in _compare_group(members, parts, threads=threads, bar=bar):
                results.append({**result, "group": group})
    return results


def _compare_group(
    models: Mapping[str, Path], parts: Sequence[List[LabelledMessage]], *, threads: int, bar: tqdm
) -> List[Dict[str, Any]]:
    answers: Dict[str, List[Dict[str, Any]]] = {label: [] for label in models}
    with contextlib.ExitStack() as stack:
        workers = {}
        for label, archive in models.items():
            bar.set_postfix_str(f"loading {label}")
            workers[label] = stack.enter_context(WorkerProcess(archive, threads))
        for part in parts:
            for label, worker in workers.items():
                bar.set_postfix_str(label)
                answers[label].append(worker.parse([message.text for message in part]))
                bar.update(len(part))
    expected = [message for part in parts for message in part]
    return [
        {"model": label, **_summary(answers[label], expected, archive=archive, report=workers[label].report)}
        for label, archive in models.items()
    ]


def _summary(
    answers: Sequence[Mapping[str, Any]],
    expected: Sequence[LabelledMessage],
    *,
    archive: Path,
    report: Mapping[str, float],
) -> Dict[str, Any]:
    milliseconds = 1000.0 * np.array([value for answer in answers for value in answer["seconds"]])
    predicted = [intent for answer in answers for intent in answer["intents"]]
    summary: Dict[str, Any] = intent_scores([message.intent for message in expected], predicted)
    if any(message.entities for message in expected):
        found = [entities for answer in answers for entities in answer["entities"]]
        summary["entity_f1"] = entity_f1([message.entities for message in expected], found)
    return {
        **summary,
        "messages": len(expected),
        "latency_p50_ms": float(np.percentile(milliseconds, 50)),
        "latency_p95_ms": float(np.percentile(milliseconds, 95)),
        "latency_mean_ms": float(milliseconds.mean()),
        "messages_per_second": float(1000.0 / milliseconds.mean()),
        "archive_mb": archive.stat().st_size / MB,
        "memory_mb": answers[-1]["memory_mb"],
        "cores_used": sum(answer["cpu_s"] for answer in answers) / sum(answer["wall_s"] for answer in answers),
        **report,
    }
