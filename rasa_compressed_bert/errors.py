"""The exceptions that this package raises for errors of the user or of the environment."""

from __future__ import annotations

from typing import Optional, Tuple

INSTALL_SPACY = "pip install 'spacy>=3.4,<3.5'"
"""Without the bounds, pip installs a version that needs other libraries than Rasa 3.6."""


class CompressedBertError(Exception):
    """Base of all errors of this package, raised itself when no more specific one fits."""


class ConfigError(CompressedBertError):
    """Raised when options of a component are unknown, of a wrong type, out of range or contradictory.

    Takes all problems that were found, one line each, and the component, if the options belong to one:
    ``ConfigError("epochs: ...", "batch_size: ...", component="PrunedBertIntentClassifier")``.
    """

    def __init__(self, *problems: str, component: Optional[str] = None) -> None:
        super().__init__(*problems)
        self.problems: Tuple[str, ...] = problems
        self.component = component

    def __str__(self) -> str:
        of = f" of {self.component}" if self.component else ""
        return "\n  - ".join((f"Invalid configuration{of}:", *self.problems))


class DataError(CompressedBertError):
    """Raised when training data cannot be learned from, such as data without a single intent."""


class WeightsError(CompressedBertError):
    """Raised when pretrained weights are missing or cannot be read."""


class ArtifactError(CompressedBertError):
    """Raised when an artifact is damaged or was not written by this package."""


class ExportError(CompressedBertError):
    """Raised when an exported model fails the parity check with the model that it was made from."""


class RuntimeMissingError(CompressedBertError):
    """Raised when the inference library that a model needs is not installed."""
