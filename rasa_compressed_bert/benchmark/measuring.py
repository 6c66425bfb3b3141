"""The worker that measures one trained model in a fresh process.

    python -m rasa_compressed_bert.benchmark.measuring ARCHIVE THREADS

It loads the model as `rasa shell nlu` does and writes one JSON line; then, for every line on its standard input (a JSON
object with `texts` and the `pause` before each of them in seconds), it parses the texts one by one and writes one JSON
line with intents, entities and seconds. Whatever Rasa itself writes to standard output goes to standard error.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
import traceback
import warnings
from typing import Any, Dict, List, TextIO, Tuple

import psutil

from rasa_compressed_bert.units import MB

_WARM_UP = 5  # messages that are parsed first and not timed: of the previous batch, or of the first batch itself
_SPAN = ("start", "end", "entity", "role", "group")  # the fields of comparison.EntitySpan


class Worker:
    """One loaded model.

    Args:
        archive: a trained Rasa model.
        threads: number of threads of TensorFlow in this process.
    """

    def __init__(self, archive: str, threads: int):
        start = time.perf_counter()
        _import_rasa(threads)
        imported = time.perf_counter()
        memory_before = resident_mb()
        from rasa.core.agent import Agent

        load_start = time.perf_counter()
        self._components = time_components()
        self._agent = Agent.load(archive)
        loaded = time.perf_counter()
        self._memory_before = memory_before
        self._parsed_before: List[str] = []
        self.report = {
            "import_s": imported - start,
            "load_s": loaded - load_start,
            "memory_rasa_mb": memory_before,
            "memory_loaded_mb": resident_mb() - memory_before,
            "extracts_entities": self._components.extract_entities,
        }

    async def parse(self, texts: List[str], pause: float = 0.0) -> Dict[str, Any]:
        """Predictions (intent, confidence, entities, responses) and seconds of each message, and memory at the end.

        The responses of a message are the selected ones, by retrieval intent. The confidence of an entity is None if
        its extractor has none.

        Args:
            texts: texts of the messages.
            pause: seconds before each message, which are not timed: caches become cold, and the processor may sleep.
        """
        for text in self._parsed_before or texts[:_WARM_UP]:
            await self._agent.parse_message(text)
        self._parsed_before = texts[-_WARM_UP:]
        intents, confidences, responses, seconds, inside = [], [], [], [], []
        entities, entity_confidences = [], []
        cpu, start = time.process_time(), time.perf_counter()
        for text in texts:
            if pause:
                time.sleep(pause)
            self._components.seconds = 0.0
            before = time.perf_counter()
            parsed = await self._agent.parse_message(text)
            seconds.append(time.perf_counter() - before)
            inside.append(self._components.seconds)
            intent, confidence = _intent(parsed)
            intents.append(intent)
            confidences.append(confidence)
            found = parsed.get("entities", [])
            entities.append([[entity.get(key) for key in _SPAN] for entity in found])
            entity_confidences.append([entity.get("confidence_entity") for entity in found])
            responses.append(_responses(parsed))
        return {
            "intents": intents,
            "confidences": confidences,
            "entities": entities,
            "entity_confidences": entity_confidences,
            "responses": responses,
            "seconds": seconds,
            "component_seconds": inside,
            "cpu_s": time.process_time() - cpu,
            "wall_s": time.perf_counter() - start,
            "memory_mb": resident_mb() - self._memory_before,
        }


def main() -> int:
    """Answers requests on standard input until it ends."""
    warnings.showwarning = lambda *_, **__: None  # Rasa's dependencies log warnings, and reset the filters
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # Rasa and its libraries print to standard output
    try:
        worker = Worker(sys.argv[1], int(sys.argv[2]))
    except Exception as error:  # any error of a component is shown by the parent process
        traceback.print_exc()
        _answer(answers, {"error": f"{type(error).__name__}: {error}"})
        return 1
    _answer(answers, worker.report)
    return asyncio.run(_serve(worker, answers))


async def _serve(worker: Worker, answers: TextIO) -> int:
    for line in sys.stdin:
        try:
            result = await worker.parse(**json.loads(line))
        except Exception as error:  # as above
            traceback.print_exc()
            _answer(answers, {"error": f"{type(error).__name__}: {error}"})
            return 1
        _answer(answers, result)
    return 0


def resident_mb() -> float:
    """Resident memory of this process, in MB (10^6 bytes)."""
    gc.collect()
    return psutil.Process().memory_info().rss / MB


def _import_rasa(threads: int) -> None:
    """Imports all parts of Rasa that a worker may use; the memory of a model is measured from here on."""
    import rasa.core.agent  # noqa: F401
    import rasa.engine.recipes.default_components  # noqa: F401
    import rasa.engine.recipes.default_recipe  # noqa: F401
    import tensorflow as tf
    from rasa.utils.common import configure_logging_and_warnings
    from rasa.utils.log_utils import configure_structlog

    configure_logging_and_warnings()  # as Rasa's command line does; without it every message is logged in full
    configure_structlog()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


class Components:
    """Components of the loaded models: their seconds since this was last set to 0, and what they predict."""

    seconds = 0.0
    extract_entities = False


def time_components() -> Components:
    """Times every component of the models that are loaded from here on, without Rasa's own work around them."""
    from rasa.engine.graph import GraphNode
    from rasa.graph_components.converters.nlu_message_converter import NLUMessageConverter
    from rasa.nlu.classifiers.regex_message_handler import RegexMessageHandler
    from rasa.nlu.extractors.extractor import EntityExtractorMixin

    initialize, components = GraphNode.__init__, Components()

    def with_clock(node: GraphNode, *arguments: Any, **options: Any) -> None:
        initialize(node, *arguments, **options)
        function = node._fn
        if node._component_class is NLUMessageConverter:  # part of Rasa's graph, not of the pipeline
            return
        own = node._component_class is not RegexMessageHandler  # handles `/intent{...}` in every model
        components.extract_entities |= own and issubclass(node._component_class, EntityExtractorMixin)

        def timed(*inputs: Any, **named: Any) -> Any:
            start = time.perf_counter()
            output = function(*inputs, **named)
            components.seconds += time.perf_counter() - start
            return output

        node._fn = timed

    GraphNode.__init__ = with_clock
    return components


def _intent(parsed: Dict[str, Any]) -> Tuple[Any, float]:
    """The predicted intent and its confidence; a fallback is undone, as `rasa test nlu` does."""
    from rasa.nlu.classifiers.fallback_classifier import is_fallback_classifier_prediction, undo_fallback_prediction

    if is_fallback_classifier_prediction(parsed):
        parsed = undo_fallback_prediction(parsed)
    intent = parsed.get("intent") or {}
    return intent.get("name"), float(intent.get("confidence") or 0.0)


def _responses(parsed: Dict[str, Any]) -> Dict[str, Any]:
    """The selected response of each retrieval intent, and of `default`, such as `faq/ask_name`."""
    entries = {name: entry for name, entry in parsed.get("response_selector", {}).items() if isinstance(entry, dict)}
    return {name: entry["response"]["intent_response_key"] for name, entry in entries.items()}


def _answer(answers: TextIO, value: Dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
