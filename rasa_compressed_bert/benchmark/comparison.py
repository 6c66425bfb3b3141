"""Models side by side: the same messages, one at a time, in turns."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence

import numpy as np
import psutil
from sklearn.metrics import accuracy_score, f1_score
from tqdm import tqdm

from rasa_compressed_bert.benchmark.workers import WorkerProcess

logger = logging.getLogger(__name__)
_MEMORY_PER_WORKER = 1.5e9  # bytes, TensorFlow and a large model
_NO_INTENT = ""
MB = 1e6


class LabelledMessage(NamedTuple):
    """A text and the intent that it should get."""

    text: str
    intent: str


def compare_models(
    models: Mapping[str, Path], messages: Sequence[LabelledMessage], *, threads: int = 1, rounds: int = 5
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


def scores(expected: Sequence[str], predicted: Sequence[Any]) -> Dict[str, float]:
    """Accuracy, and macro F1 over the intents of the test data, as shares."""
    names = [_NO_INTENT if name is None else name for name in predicted]
    macro_f1 = f1_score(expected, names, labels=sorted(set(expected)), average="macro", zero_division=0)
    return {"accuracy": float(accuracy_score(expected, names)), "macro_f1": float(macro_f1)}


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
    expected = [message.intent for part in parts for message in part]
    return [
        {"model": label, **_summary(answers[label], expected, archive=archive, report=workers[label].report)}
        for label, archive in models.items()
    ]


def _summary(
    answers: Sequence[Mapping[str, Any]], expected: Sequence[str], *, archive: Path, report: Mapping[str, float]
) -> Dict[str, Any]:
    milliseconds = 1000.0 * np.array([value for answer in answers for value in answer["seconds"]])
    predicted = [intent for answer in answers for intent in answer["intents"]]
    return {
        **scores(expected, predicted),
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
