"""Where each microsecond of a message goes, from `parse_message` to the answer.

python -m benchmarks.message_profile MODEL --nlu TEST.yml
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np
from rasa.utils.common import configure_logging_and_warnings
from rasa.utils.log_utils import configure_structlog

from benchmarks.commands import command_line, publish
from rasa_compressed_bert.artifact.archives import artifacts_of
from rasa_compressed_bert.benchmark import tables
from rasa_compressed_bert.benchmark.environment import environment, in_words
from rasa_compressed_bert.benchmark.messages import load_messages
from rasa_compressed_bert.runtime.intent_predictor import IntentPredictor
from rasa_compressed_bert.runtime.predictors import open_predictor

HERE = Path(__file__).parent
FEWEST_WORDPIECES, MOST_WORDPIECES = 8, 16
WHOLE = "whole message"
PART = 100  # messages


def main() -> int:
    """Measures, and writes `results/message_profile.json` and `.md`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODEL", help="a trained model with one intent classifier of ours")
    parser.add_argument("--nlu", type=Path, required=True, metavar="TEST.yml", help="messages")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    os.environ["LOG_LEVEL"] = "ERROR"
    configure_logging_and_warnings()  # as Rasa's command line does; without it every message is logged in full
    configure_structlog()
    (artifact,) = artifacts_of(arguments.model).values()
    predictor = open_predictor(artifact)
    texts = [message.text for message in load_messages(arguments.nlu)]
    if not isinstance(predictor, IntentPredictor) or artifact.manifest.get("runtime", "onnxruntime") != "onnxruntime":
        parser.error("MODEL: a BERT that says intents alone, on ONNX Runtime, is what can be taken apart")
    texts = [text for text in texts if FEWEST_WORDPIECES <= len(predictor.encode(text)) <= MOST_WORDPIECES]
    if not texts:
        parser.error(f"--nlu: no message has {FEWEST_WORDPIECES} to {MOST_WORDPIECES} wordpieces")
    content = {
        "command": command_line("benchmarks.message_profile"),
        "messages": len(texts),
        "p50_us": profile(arguments.model, texts),
        "environment": environment(),
    }
    publish("message_profile", content, to_markdown(content), folder=arguments.results)
    return 0


def steps() -> Dict[str, Tuple[Any, str]]:
    """What is timed, from the outside to the inside: a class or a module, and a function of it."""
    from rasa.engine.graph import GraphNode

    from rasa_compressed_bert.components import message_io
    from rasa_compressed_bert.components.artifact_component import ArtifactComponent
    from rasa_compressed_bert.runtime import intent_predictor
    from rasa_compressed_bert.runtime.onnxruntime_engine import OnnxRuntimeEngine
    from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

    return {
        "nodes of Rasa's graph": (GraphNode, "__call__"),
        "the component": (ArtifactComponent, "process"),
        "text to ranking": (intent_predictor.IntentPredictor, "predict"),
        "tokenizer": (WordpieceTokenizer, "encode"),
        "engine": (OnnxRuntimeEngine, "run"),
        "softmax and sorting": (intent_predictor, "ranked"),
        "intent and ranking as Rasa's": (message_io, "set_intent"),
    }


def profile(model: Path, texts: Sequence[str]) -> Dict[str, float]:
    """Median microseconds of a message, and of each step: the steps inside of it included.

    One step is timed at a time, so that none pays for the clock of another; steps take turns on parts of the messages.
    """
    seconds: Dict[str, List[float]] = {WHOLE: []}
    for start in range(0, len(texts), PART):
        part = texts[start : start + PART]
        seconds[WHOLE] += asyncio.run(_parse(model, part, []))
        for name, (owner, attribute) in steps().items():
            with timed(owner, attribute) as inside:
                asyncio.run(_parse(model, part, inside))
                seconds.setdefault(name, []).extend(sum(calls) for calls in inside)
    return {name: 1e6 * float(np.median(values)) for name, values in seconds.items()}


@contextlib.contextmanager
def timed(owner: Any, attribute: str) -> Iterator[List[List[float]]]:
    """Times every call of a function, into the last of the lists."""
    function, lists = getattr(owner, attribute), []

    def clocked(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments, **options)
        if lists:
            lists[-1].append(time.perf_counter() - start)
        return result

    setattr(owner, attribute, clocked)
    try:
        yield lists
    finally:
        setattr(owner, attribute, function)


async def _parse(model: Path, texts: Sequence[str], lists: List[List[float]]) -> List[float]:
    """Seconds of each message, after a warm-up; a list is added for each, for what is timed inside."""
    from rasa.core.agent import Agent

    agent = Agent.load(str(model))  # takes the functions as they are now
    for text in texts[:20]:
        await agent.parse_message(text)
    seconds = []
    for text in texts:
        lists.append([])
        start = time.perf_counter()
        await agent.parse_message(text)
        seconds.append(time.perf_counter() - start)
    return seconds


def to_markdown(content: Dict[str, Any]) -> str:
    """The steps, and the differences between them, which are what each does itself."""
    p50 = content["p50_us"]
    names = list(steps())
    graph, component, predictor, *parts, written = names
    own = {
        "Rasa around its graph": p50[WHOLE] - p50[graph],
        "Rasa's graph around the component": p50[graph] - p50[component],
        "the component around its predictor": p50[component] - p50[predictor] - p50[written],
        written: p50[written],
        "the predictor around its parts": p50[predictor] - sum(p50[name] for name in parts),
        **{name: p50[name] for name in parts},
    }
    inside = [["step, with all inside of it", "microseconds"], *([name, f"{value:.0f}"] for name, value in p50.items())]
    alone = [["what takes it", "microseconds"], *([name, f"{value:.0f}"] for name, value in own.items())]
    added = p50[component] - p50["engine"]
    return f"""# Where a message's time goes

{content["messages"]} messages of {FEWEST_WORDPIECES} to {MOST_WORDPIECES} wordpieces, one at a time, one thread, p50.

{tables.markdown_table(inside)}

{tables.markdown_table(alone)}

Beyond the engine the component adds {added:.0f} microseconds.

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


if __name__ == "__main__":
    sys.exit(main())
