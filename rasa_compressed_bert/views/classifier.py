"""The view of the classifier: the softmax of the fine-tuned model's logits."""

from __future__ import annotations

from typing import Dict, Mapping

import numpy as np

from rasa_compressed_bert.views.view import Evidence, Reading, require_tensors, softmax


class ClassifierView:
    """`softmax(z / T)` of the logits `z`.

    Args:
        temperature: `T`.
    """

    def __init__(self, temperature: float):
        self._temperature = float(temperature)

    def evidence(self, reading: Reading) -> Evidence:
        """Probabilities of the intents; the familiarity is 0, as a classifier does not measure it."""
        probabilities = softmax(reading.logits / self._temperature)
        return Evidence(probabilities, np.zeros(len(probabilities)))

    def tensors(self) -> Dict[str, np.ndarray]:
        """The temperature."""
        return {"temperature": np.array([self._temperature], np.float32)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], num_classes: int) -> ClassifierView:
        """The inverse of `tensors`.

        Raises:
            KeyError: if the temperature is missing.
            ValueError: if it is not positive.
        """
        require_tensors(tensors, {"temperature": (1,)})
        if not tensors["temperature"][0] > 0.0:
            raise ValueError(f"{tensors['temperature'][0]} is not a valid temperature")
        return cls(float(tensors["temperature"][0]))
