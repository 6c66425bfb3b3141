"""Cross-fitting: held-out predictions from extra models, so that the final model can be trained on all messages.

Only the dense stage is repeated, which costs a third to half of a whole training: for a small training set twice, on
one half each, so that every message is held out once; for a large one once, on most of the messages.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict

import numpy as np

from rasa_compressed_bert.data.example import NO_CLASS, first_of_same
from rasa_compressed_bert.heads import IntentHead, ResponseHead
from rasa_compressed_bert.tasks.cross_fitted import CrossFitted
from rasa_compressed_bert.tasks.dense_stage import fit_dense
from rasa_compressed_bert.tasks.fitting import first_model
from rasa_compressed_bert.tasks.messages import some_of, without_annotations
from rasa_compressed_bert.tasks.preparation import start_without
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.training.head import Fold
from rasa_compressed_bert.training.loop import predict
from rasa_compressed_bert.training.scores import Score
from rasa_compressed_bert.training.view_fitting import message_folds

PLAIN_SPLIT_FROM = 3000
"""Number of messages from which only one part is held out, at least 300 messages, instead of each half in turn.

Both take about as long and, where it was measured, give as good a model (docs/real_bots.md)."""
FEWEST = 8
"""Number of messages from which some can be held out."""


def cross_fit(run: TrainingRun) -> TrainingRun:
    """Trains dense models on parts of the messages and measures them on the others, unless there are too few messages.

    The model of the run is left unchanged; `validation_split: 0` disables this stage.
    """
    share, count = run.config.validation_split, len(run.messages.encoded)
    if not share or count < FEWEST:
        return run
    few = count < PLAIN_SPLIT_FROM
    folds = 2 if few else round(1.0 / share)
    assigned = _folds(run, folds)
    parts = [np.flatnonzero(assigned == number) for number in range(folds if few else 1)]
    parts = [part for part in parts if 0 < len(part) < count]  # all messages may be in one, if they hardly differ
    if not parts:
        return run
    observed = [
        _observed(run, part, name=f"cross-fit ({number} of {len(parts)})") for number, part in enumerate(parts, 1)
    ]
    known: Dict[str, Any] = {}
    for head in run.heads:
        found = [own[head.name] for own in observed if own[head.name] is not None]
        measured = head.measure(found) if found else None
        if measured is not None:
            known[head.name] = measured
    score = sum((measured.score for measured in known.values()), Score())
    return replace(run, cross_fitted=CrossFitted(sum(map(len, parts)), len(parts), score.to_dict(), known))


def _observed(run: TrainingRun, inside: np.ndarray, *, name: str) -> Dict[str, Any]:
    """Trains a model on the messages outside of a part, and returns what each head observes on the part."""
    outside = np.setdiff1d(np.arange(len(run.messages.encoded)), inside)
    blind = without_annotations(run, inside, start=start_without(run, inside))
    learnt = some_of(blind.messages, outside)
    model, rng = first_model(blind.start, learnt, run.config), np.random.default_rng(run.config.random_seed)
    part = replace(blind, messages=learnt, model=model, rng=rng)
    fit_dense(part, name, halved=True)
    encoded = blind.messages.encoded
    predictions = predict(part.model, encoded[inside].input_ids)
    examples, pieces = blind.messages.examples, blind.messages.pieces
    fold = Fold(part.model, examples, pieces, encoded, inside, outside, predictions, run.config)
    return {head.name: head.observe(fold) for head in blind.heads}


def _folds(run: TrainingRun, count: int) -> np.ndarray:
    """The fold of each message; -1 for those that are never held out.

    These are names, and the only message of an intent whose name is not learnt: a model would not know the intent.
    Each response of a retrieval intent counts as an intent of its own, and messages that differ only in case and
    whitespace count as one.  # (n,)
    """
    classes, texts = _classes(run), run.messages.texts
    number = len(texts) - run.messages.num_names  # names, the last ones, are not messages of users, and have no fold
    folds = np.full(len(texts), -1, np.int64)
    folds[:number] = message_folds(texts[:number], classes[:number], count, seed=run.config.random_seed)
    distinct = classes[np.unique(first_of_same(texts))]
    known, counts = np.unique(distinct[distinct != NO_CLASS], return_counts=True)
    folds[np.isin(classes, known[counts == 1])] = -1
    return folds


def _classes(run: TrainingRun) -> np.ndarray:
    """The response of each message or else its intent, as classes, so that folds are stratified by both.  # (n,)"""
    encoded = run.messages.encoded
    intents = np.asarray(encoded.labels.get(IntentHead.name, np.full(len(encoded), NO_CLASS)))
    responses = encoded.labels.get(ResponseHead.name)
    if responses is None:
        return intents
    return np.where(responses != NO_CLASS, intents.max() + 1 + responses, intents)
