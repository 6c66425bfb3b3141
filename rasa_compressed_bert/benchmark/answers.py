"""Comparison of answer extractors on the same questions, each on its own passage, one at a time, in turns."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.metrics.answers import NO_ANSWER, answer_scores
from rasa_compressed_bert.reporting.progress import progress
from rasa_compressed_bert.runtime.answer_predictor import AnswerPredictor
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.units import MB

_WARM_UP = 5  # questions that are answered first and not timed


def compare_answers(
    models: Mapping[str, Artifact], questions: Sequence[Question], *, threads: int = 1
) -> List[Dict[str, Any]]:
    """Exact match and F1, latency and size of each answer extractor.

    Args:
        models: artifacts by label.
        questions: answered once by each model, on their own passages: nothing is retrieved.
        threads: number of threads of the engines.

    Returns:
        For each model `model`, the scores of `answer_scores`, `questions`, `threshold`, `latency_p50_ms`,
        `latency_p95_ms`, and `extractor_mb` (its files, as the archive compresses them).

    Raises:
        CompressedBertError: if a model cannot be opened, or if its parts do not fit each other.
    """
    predictors = {}
    for label, artifact in models.items():
        with as_artifact_error():
            predictors[label] = AnswerPredictor(artifact, num_threads=threads)
            for question in questions[:_WARM_UP]:
                predictors[label].read(question.text, question.passage)
    texts: Dict[str, List[str]] = {label: [] for label in models}
    seconds: Dict[str, List[float]] = {label: [] for label in models}
    with progress("benchmark", len(models) * len(questions), unit="questions") as work:
        for question in questions:
            for label, predictor in predictors.items():
                start = time.perf_counter()
                span = predictor.read(question.text, question.passage)
                seconds[label].append(time.perf_counter() - start)
                is_given = span is not None and predictor.decoder.is_certain(span.margin)
                texts[label].append(question.passage[span.start : span.end] if span and is_given else NO_ANSWER)
                work.advance()
    expected = [question.answer_texts for question in questions]
    return [
        {
            "model": label,
            **answer_scores(expected, texts[label]),
            "questions": len(questions),
            "threshold": predictors[label].decoder.threshold,
            "latency_p50_ms": 1000.0 * float(np.percentile(seconds[label], 50)),
            "latency_p95_ms": 1000.0 * float(np.percentile(seconds[label], 95)),
            "extractor_mb": artifact.archived_size / MB,
        }
        for label, artifact in models.items()
    ]
