"""Latency of engines, measured in turns in this process."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.benchmark.random_models import random_artifact
from rasa_compressed_bert.data.entities import TagScheme
from rasa_compressed_bert.models.shape import shapes_of
from rasa_compressed_bert.runtime.engines import open_engine
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.runtime.word_featurizer import WordFeaturizer
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

SHORT_MESSAGE = "oh it is hot today, could we go somewhere cool?"


def before_and_after(artifact: Artifact, *, text: str = SHORT_MESSAGE) -> Dict[str, Any]:
    """p50 latency of one message on one thread, of the model in `artifact` and of its dense shape before compression.

    The dense models have random weights, which do not affect latency, and no wordpieces that were trimmed: the unused
    ones of a multilingual vocabulary would take more than a gigabyte.
    """
    dense, now = shapes_of(artifact.manifest)
    dense = replace(dense, vocab_size=now.vocab_size)
    tokenizer = WordpieceTokenizer(artifact.files[TOKENIZER].decode("utf-8"), artifact.max_length)
    input_ids = tokenizer.encode(text)[np.newaxis]  # (1, T)
    classes, entities = len(artifact.manifest.get("labels", ())), artifact.manifest.get("entities")
    tags = TagScheme.from_dict(entities).num_tags if entities else 0
    calls: Dict[str, Callable[[], Any]] = {
        name: call_of(model, input_ids)
        for name, model in (
            ("dense_fp32", random_artifact(dense, int8=False, classes=classes, tags=tags)),
            ("dense_int8", random_artifact(dense, int8=True, classes=classes, tags=tags)),
            ("now", artifact),
        )
    }
    if tags or classes:
        calls["now_with_tokenizer"] = functools.partial(MessagePredictor(artifact).predict, text)
    else:
        featurizer = WordFeaturizer(artifact)
        calls["now_with_tokenizer"] = lambda: featurizer.features(*featurizer.encode_words([text.split()]))
    return {"text": text, "wordpieces": int(input_ids.shape[1]), "threads": 1, "p50_ms": in_turns(calls)}


def call_of(artifact: Artifact, input_ids: np.ndarray, *, num_threads: int = 1) -> Callable[[], Any]:
    """A function that runs one message through the engine of an artifact."""
    engine, mask = open_engine(artifact, num_threads=num_threads), np.ones_like(input_ids)
    return lambda: engine.run(input_ids, mask)


def in_turns(calls: Mapping[str, Callable[[], Any]], *, rounds: int = 10, repeats: int = 20) -> Dict[str, float]:
    """Median milliseconds of each call; every round runs each of them, so that a busy moment affects all."""
    seconds: Dict[str, List[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            for repeat in range(repeats + 3):
                start = time.perf_counter()
                call()
                if repeat >= 3:  # during the first ones, caches still hold another model
                    seconds[name].append(time.perf_counter() - start)
    return {name: 1000.0 * float(np.median(values)) for name, values in seconds.items()}
