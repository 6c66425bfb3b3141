"""What models showed about messages that they had not been trained on, in memory and in a manifest."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Dict, Mapping

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.heads import EntityHead, Head, IntentHead, heads_of
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.training.voting import UNMEASURED, Voting

Scores = Mapping[str, Mapping[str, float]]
"""Of the training messages, by stage and measure."""

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

    def of(self, head: Head) -> Any:
        """What a head measured; None where that is nothing."""
        return self.heads.get(head.name)

    @property
    def voting(self) -> Voting:
        """How the views of a message are weighed."""
        measured = self.heads.get(IntentHead.name)
        return measured.voting if measured else UNMEASURED

    def to_dict(self) -> Dict[str, Any]:
        """As JSON values; other heads than those of intents and entities have an entry of their own."""
        values: Dict[str, Any] = {"messages": self.messages, "folds": self.folds, "score": dict(self.score)}
        for head, measured in self.heads.items():
            own = {one.name: getattr(measured, one.name) for one in fields(measured) if one.name != "score"}
            values.update(own if head in _WITHOUT_ENTRY else {head: own})
        return values


NOTHING_HELD_OUT = CrossFitted(0, 0)


@as_artifact_error()
def cross_fitted_of(artifact: Artifact) -> CrossFitted:
    """What was measured when an artifact was trained first.

    Raises:
        ArtifactError: if that is not what its heads measure.
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
