"""Measurements on messages that a model was not trained on, in memory and in a manifest."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Dict, Mapping

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.heads import EntityHead, Head, IntentHead, heads_of
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.training.voting import UNMEASURED, Voting

Scores = Mapping[str, Mapping[str, float]]
"""Scores on the training messages, by stage and by measure."""

_WITHOUT_ENTRY = (IntentHead.name, EntityHead.name)


@dataclass(frozen=True)
class CrossFitted:
    """Measurements on held-out messages.

    Attributes:
        messages: the number of messages that were held out.
        folds: the number of models that were trained.
        score: the score of these dense models on them, as returned by `Score.to_dict`.
        heads: the measurements of each head, by its name, see `Head.measure`; heads without any are left out.
    """

    messages: int
    folds: int
    score: Mapping[str, float] = field(default_factory=dict)
    heads: Mapping[str, Any] = field(default_factory=dict)

    def of(self, head: Head) -> Any:
        """The measurements of a head, or None."""
        return self.heads.get(head.name)

    @property
    def voting(self) -> Voting:
        """The weights of the views of a message."""
        measured = self.heads.get(IntentHead.name)
        return measured.voting if measured else UNMEASURED

    def to_dict(self) -> Dict[str, Any]:
        """As JSON values; heads other than those of intents and entities have an entry of their own."""
        values: Dict[str, Any] = {"messages": self.messages, "folds": self.folds, "score": dict(self.score)}
        for head, measured in self.heads.items():
            own = {one.name: getattr(measured, one.name) for one in fields(measured) if one.name != "score"}
            values.update(own if head in _WITHOUT_ENTRY else {head: own})
        return values


NOTHING_HELD_OUT = CrossFitted(0, 0)


@as_artifact_error()
def cross_fitted_of(artifact: Artifact) -> CrossFitted:
    """Reads the measurements of the first training from the manifest of an artifact.

    Raises:
        ArtifactError: if they are not measurements of its heads.
    """
    stored = artifact.manifest.get("cross_fitted")
    if not stored:
        return NOTHING_HELD_OUT
    known: Dict[str, Any] = {}
    for head in heads_of(artifact.manifest):
        values = stored if head.name in _WITHOUT_ENTRY else stored.get(head.name)
        measured = None if values is None else head.measured_from(values)
        if measured is not None:
            known[head.name] = measured
    return CrossFitted(stored["messages"], stored["folds"], stored["score"], known)
