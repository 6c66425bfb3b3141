"""Intent rankings of a trained model, served by Rasa in its own process on one thread.

    python -m benchmarks.common.served ARCHIVE TEXTS.json RESULT.json

`rasa_compressed_bert.benchmark.measuring` returns only the best intent; this also returns the ranking, which Rasa's
FallbackClassifier needs. If the pipeline has a FallbackClassifier, its decision is undone, as `rasa test nlu` does.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

from benchmarks.common.commands import quiet_rasa
from benchmarks.common.featurizers import use_one_thread
from rasa_compressed_bert.benchmark.workers import worker_environment
from rasa_compressed_bert.errors import CompressedBertError

WARM_UP = 5  # messages that are parsed before those that are timed


def served(archive: Path, texts: Sequence[str]) -> Dict[str, List[Any]]:
    """Parses messages one at a time.

    Args:
        archive: a trained Rasa model.
        texts: the messages.

    Returns:
        `answers`, with `intent` (None for no intent), `confidence` and `ranking` (pairs of intent and confidence, best
        first) of each message; and `seconds` of each message.

    Raises:
        CompressedBertError: if the model cannot be loaded or fails; the reason is on standard error.
    """
    with tempfile.TemporaryDirectory() as folder:
        messages, result = Path(folder) / "texts.json", Path(folder) / "result.json"
        messages.write_text(json.dumps(list(texts)), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.common.served", *map(str, (archive, messages, result))]
        code = subprocess.run(command, env=worker_environment(1), stdout=subprocess.DEVNULL, check=False).returncode
        if code:
            raise CompressedBertError(f"'{archive}' cannot be measured (exit status {code}).")
        return json.loads(result.read_text(encoding="utf-8"))


def main() -> int:
    """Parses in this process, and writes the result."""
    archive, messages, result = sys.argv[1:]
    quiet_rasa()
    use_one_thread()
    answers = asyncio.run(_parse(archive, json.loads(Path(messages).read_text(encoding="utf-8"))))
    Path(result).write_text(json.dumps(answers), encoding="utf-8")
    return 0


async def _parse(archive: str, texts: List[str]) -> Dict[str, List[Any]]:
    from rasa.core.agent import Agent

    agent = Agent.load(archive)
    for text in texts[:WARM_UP]:
        await agent.parse_message(text)
    answers, seconds = [], []
    for text in texts:
        start = time.perf_counter()
        parsed = await agent.parse_message(text)
        seconds.append(time.perf_counter() - start)
        answers.append(answer_of(parsed))
    return {"answers": answers, "seconds": seconds}


def answer_of(parsed: Dict[str, Any]) -> Dict[str, Any]:
    """The classifier's intent, confidence and ranking from a parsed message.

    `undo_fallback_prediction` leaves a fallback unchanged if the classifier ranked no intent; that counts as no intent.
    """
    from rasa.nlu.classifiers.fallback_classifier import is_fallback_classifier_prediction, undo_fallback_prediction

    parsed = {"intent": parsed.get("intent") or {}, "intent_ranking": parsed.get("intent_ranking") or []}
    if is_fallback_classifier_prediction(parsed):
        parsed = undo_fallback_prediction(parsed)
    if is_fallback_classifier_prediction(parsed):
        parsed = {"intent": {}, "intent_ranking": []}
    ranking = [[entry["name"], float(entry["confidence"])] for entry in parsed["intent_ranking"]]
    intent = parsed["intent"]
    return {"intent": intent.get("name"), "confidence": float(intent.get("confidence") or 0.0), "ranking": ranking}


if __name__ == "__main__":
    sys.exit(main())
