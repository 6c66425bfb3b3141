"""Stored measurements, which a resumed run does not repeat."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Callable, Sequence

from rasa_compressed_bert.reporting.resumable import Results


class Measured:
    """Measurements of the same models and messages, stored so that an interrupted run can be resumed.

    Args:
        folder: the folder of a JSON file for each `made_from`.
        made_from: models, messages, machine and code, as JSON values.
    """

    def __init__(self, folder: Path, made_from: Sequence[Any]):
        digest = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
        self._results = Results(folder / f"measured_{digest[:16]}.json", {}, identity={"all": digest})

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """The stored result of this name; if there is none, the result of `measure`, which is then stored."""
        for cell in self._results.content["cells"]:
            if cell["name"] == name:
                return cell["value"]
        value = measure()
        self._results.add({"name": name, "value": value})
        return value
