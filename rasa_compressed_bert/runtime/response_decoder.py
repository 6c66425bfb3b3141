"""Decodes the logits of responses to a ranking of the responses of each retrieval intent."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Dict, List, Mapping

import numpy as np

from rasa_compressed_bert.data.example import retrieval_intent
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.ranking import Ranking, positive, softmax

_BY_CONFIDENCE = itemgetter(1)


class ResponseDecoder:
    """Ranks the responses of a model.

    Args:
        responses: the manifest entry of the head: `labels` and `temperature`.
    """

    def __init__(self, responses: Mapping[str, Any]):
        self.labels: List[str] = responses["labels"]
        self._temperature = positive(responses["temperature"])
        places: Dict[str, List[int]] = {}
        for place, label in enumerate(self.labels):
            places.setdefault(retrieval_intent(label), []).append(place)
        self._members = [
            (intent, np.array(own), [self.labels[place] for place in own]) for intent, own in places.items()
        ]

    def decode(self, logits: np.ndarray) -> Dict[str, Ranking]:
        """The responses of each retrieval intent, best first, with their confidences given the intent.

        Args:
            logits: `(C,)`.

        Raises:
            ArtifactError: if there are more or fewer logits than responses, or if they are not numbers.
        """
        if logits.shape != (len(self.labels),):
            raise ArtifactError("The model's outputs are not logits of its responses: it is damaged. Train it again.")
        found = {}
        for intent, places, names in self._members:
            confidences = softmax(logits[places], self._temperature).tolist()
            found[intent] = sorted(zip(names, confidences), key=_BY_CONFIDENCE, reverse=True)
        return found
