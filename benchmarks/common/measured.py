"""Measurements that an interrupted run does not repeat."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Callable, Sequence

from rasa_compressed_bert.reporting.resumable import Results


class Measured:
    """What was measured of the same models and messages already: a run that was stopped loses nothing.

    Args:
        folder: of a JSON file for whatever `made_from` says.
        made_from: models, messages, machine and code, JSON values.
    """

    def __init__(self, folder: Path, made_from: Sequence[Any]):
        digest = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
        self._results = Results(folder / f"measured_{digest[:16]}.json", {}, identity={"all": digest})

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """What `measure` gave under this name, now or before."""
        for cell in self._results.content["cells"]:
            if cell["name"] == name:
                return cell["value"]
        value = measure()
        self._results.add({"name": name, "value": value})
        return value
