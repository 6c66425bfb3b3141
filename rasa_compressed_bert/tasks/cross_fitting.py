"""Held-out answers for every message, by models that are trained without them: nothing is left out of the final model.

The dense stage alone is trained again, which costs a third to half of a whole training: twice, each time on half of a
small training set, so that every message is held out once; or once, on most of a large one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.example import NO_CLASS
from rasa_compressed_bert.heads import EntityHead, Head, IntentHead, ResponseHead, heads_of
from rasa_compressed_bert.tasks.bert_task import BertTask
from rasa_compressed_bert.tasks.dense_stage import fine_tune
from rasa_compressed_bert.training.head import Fold
from rasa_compressed_bert.training.loop import predict
from rasa_compressed_bert.training.scores import Score
from rasa_compressed_bert.training.view_fitting import stratified_folds
from rasa_compressed_bert.training.voting import Voting

PLAIN_SPLIT_FROM = 3000
"""Messages from which one part is held out instead of two halves: 300 messages or more. A choice, not measured."""
_FEWEST = 8
_WITHOUT_ENTRY = (IntentHead.name, EntityHead.name)


@dataclass(frozen=True)
class CrossFitted:
    """What was measured on held-out messages.

    Attributes:
        messages: that were held out.
        folds: models that were trained.
        score: of the dense model on them, as `Score.to_dict` gives it.
        heads: what each head measured, by its name, see `Head.measure`; heads that measured nothing are left out.
    """

    messages: int
    folds: int
    score: Mapping[str, float] = field(default_factory=dict)
    heads: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> Dict[str, Any]:
        """As JSON values; other heads than those of intents and entities have an entry of their own."""
        values: Dict[str, Any] = {"messages": self.messages, "folds": self.folds, "score": dict(self.score)}
        for head, measured in self.heads.items():
            own = {one.name: getattr(measured, one.name) for one in fields(measured) if one.name != "score"}
            values.update(own if head in _WITHOUT_ENTRY else {head: own})
        return values


def cross_fit(task: BertTask) -> Optional[CrossFitted]:
    """Trains the dense model on parts of the messages and asks it for the others; None where too few can be held out.

    Args:
        task: all training messages; `validation_split: 0` switches this off.
    """
    share, count = task.config.validation_split, len(task.training)
    if not share or count < _FEWEST:
        return None
    few = count < PLAIN_SPLIT_FROM
    folds = 2 if few else round(1.0 / share)
    used = folds if few else 1
    assigned = _folds(task, folds)
    observed: Dict[str, List[Any]] = {head.name: [] for head in task.heads}
    held_out = 0
    for number in range(used):
        inside, outside = np.flatnonzero(assigned == number), np.flatnonzero(assigned != number)
        if not len(inside):
            continue
        held_out += len(inside)
        blind = task.without_annotations(inside)
        part = replace(blind, training=blind.training[outside], examples=[task.examples[place] for place in outside])
        model = fine_tune(part, f"cross-fit ({number + 1} of {used})", halved=True)
        predictions = predict(model, blind.training[inside].input_ids)
        fold = Fold(model, task.examples, blind.pieces, blind.training, inside, outside, predictions, task.config)
        for head in blind.heads:
            observed[head.name].append(head.observe(fold))
    if not held_out:
        return None
    known: Dict[str, Any] = {}
    for head in task.heads:
        folds_of_head = [one for one in observed[head.name] if one is not None]
        measured = head.measure(folds_of_head) if folds_of_head else None
        if measured is not None:
            known[head.name] = measured
    score = sum((found.score for found in known.values()), Score())
    return CrossFitted(held_out, used, score.to_dict(), known)


def _folds(task: BertTask, count: int) -> np.ndarray:
    """The fold of each message; -1 of what is always trained on: names, and the only message of an intent.

    A response of a retrieval intent counts as an intent of its own.  # (n,)
    """
    classes = _classes(task)
    folds = stratified_folds(classes, count, seed=task.config.random_seed)
    known, counts = np.unique(classes[classes != NO_CLASS], return_counts=True)
    folds[np.isin(classes, known[counts == 1])] = -1
    folds[len(folds) - task.num_names :] = -1  # names are no messages of users
    return folds


def _classes(task: BertTask) -> np.ndarray:
    """The intent of each message, or its response, such that both are spread over the folds.  # (n,)"""
    labels = task.training.labels
    intents = np.asarray(labels.get(IntentHead.name, np.full(len(task.training), NO_CLASS)))
    responses = labels.get(ResponseHead.name)
    if responses is None:
        return intents
    return np.where(responses != NO_CLASS, intents.max() + 1 + responses, intents)


def measured_of(cross_fitted: Optional[CrossFitted], head: Head) -> Any:
    """What a head measured on held-out messages; None where that is nothing."""
    return cross_fitted.heads.get(head.name) if cross_fitted else None


def cross_fitted_of(artifact: Artifact) -> Optional[CrossFitted]:
    """What was measured when an artifact was trained first; None where nothing was."""
    stored = artifact.manifest.get("cross_fitted")
    if not stored:
        return None
    known: Dict[str, Any] = {}
    for head in heads_of(artifact.manifest):
        values = stored if head.name in _WITHOUT_ENTRY else stored.get(head.name)
        measured = None if values is None else head.measured_from(values)
        if measured is not None:
            known[head.name] = measured
    return CrossFitted(stored["messages"], stored["folds"], stored["score"], known)


def voting_of(cross_fitted: Optional[CrossFitted]) -> Voting:
    """How the views of a message are weighed."""
    measured = cross_fitted.heads.get(IntentHead.name) if cross_fitted else None
    return measured.voting if measured else Voting()
