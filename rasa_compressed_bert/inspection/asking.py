"""Predictions of the components of a trained model."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Sequence

from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.reporting.progress import progress
from rasa_compressed_bert.runtime.decoders import RESPONSES
from rasa_compressed_bert.runtime.message_predictor import NOTHING, Prediction
from rasa_compressed_bert.runtime.predictors import Predictor, open_predictor
from rasa_compressed_bert.runtime.ranking import Ranking

_WARM_UP = 5  # messages that are predicted once before and not timed


@dataclass(frozen=True)
class Answers:
    """Predictions for a list of messages; every attribute has one item per message.

    Attributes:
        intents: the most probable intent; None if no component predicts intents.
        confidences: of these intents; 0 for None.
        entities: the entities of the message.
        responses: for each retrieval intent, its most probable response.
        milliseconds: of the components that are asked together, without Rasa.
    """

    intents: List[Optional[str]] = field(default_factory=list)
    confidences: List[float] = field(default_factory=list)
    entities: List[List[EntitySpan]] = field(default_factory=list)
    responses: List[Mapping[str, str]] = field(default_factory=list)
    milliseconds: List[float] = field(default_factory=list)


class AskedModel:
    """The components of this package in one model that find intents, entities or responses, run on one thread.

    Args:
        artifacts: artifact of each component, by the component's name in the archive, in the order of the pipeline.

    Attributes:
        classifier: the name of the component that decides the intent, the last classifier of the pipeline, or None.
        extractors: the names of the components that extract entities.
        selector: the name of the component that selects responses, or None. It is the first one that can, as later ones
            keep its selection, see `ResponseWriter`.
        asked: the names of all of these.
        intents: that the classifier can predict.
        responses: that the selector can select.

    Raises:
        CompressedBertError: if one of them cannot be opened.
    """

    def __init__(self, artifacts: Mapping[str, Artifact]):
        trained = {name: artifact.manifest for name, artifact in artifacts.items() if artifact.files}
        classifiers = [name for name, manifest in trained.items() if manifest.get("labels")]
        self.classifier = classifiers[-1] if classifiers else None
        self.extractors = [name for name, manifest in trained.items() if "entities" in manifest]
        self.selector = next((name for name in classifiers if RESPONSES in trained[name]), None)
        used = {self.classifier, self.selector, *self.extractors}
        self.asked = [name for name in trained if name in used]
        self._predictors: Dict[str, Predictor] = {name: open_predictor(artifacts[name]) for name in self.asked}
        self.intents: List[str] = list(trained[self.classifier]["labels"]) if self.classifier else []
        self.responses: List[str] = list(trained[self.selector][RESPONSES]["labels"]) if self.selector else []

    def ask(self, texts: Sequence[str], *, name: str) -> Answers:
        """Predictions for messages.

        Args:
            texts: texts of the messages.
            name: the label of the progress bar.
        """
        answers = Answers()
        for text in texts[:_WARM_UP]:
            self._found(text)
        with progress(name, len(texts), unit="messages") as work:
            for text in texts:
                start = time.perf_counter()
                found = self._found(text)
                answers.milliseconds.append(1000.0 * (time.perf_counter() - start))
                decided = found[self.classifier] if self.classifier else NOTHING
                intent, confidence = decided.ranking[0] if decided.ranking else (None, 0.0)
                answers.intents.append(intent)
                answers.confidences.append(confidence)
                selected: Mapping[str, Ranking] = found[self.selector].found.get(RESPONSES, {}) if self.selector else {}
                answers.responses.append({name: best for name, ((best, _), *_) in selected.items()})
                entities = [one for extractor in self.extractors for one in found[extractor].entities]
                answers.entities.append([EntitySpan(one.start, one.end, *one.label) for one in entities])
                work.advance(1)
        return answers

    def _found(self, text: str) -> Dict[str, Prediction]:
        return {name: predictor.predict(text) for name, predictor in self._predictors.items()}
