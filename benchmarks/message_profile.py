"""Where each microsecond of a message goes, from `parse_message` to the answer.

python -m benchmarks.message_profile MODEL --nlu TEST.yml
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np

from benchmarks.common.commands import command_line, in_one_line, publish, quiet_rasa
from rasa_compressed_bert.artifact.archives import artifacts_of
from rasa_compressed_bert.artifact.artifact import INTENT_CLASSIFIER
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.tasks.served_outputs import encoder_of

HERE = Path(__file__).parent
FEWEST_WORDPIECES, MOST_WORDPIECES = 8, 16
WHOLE = "whole message"
ADDED = "beyond the engine"
ROUNDS = 5


def main() -> int:
    """Measures, and writes `results/message_profile.json` and `.md`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODEL", help="a trained model with one of our intent classifiers")
    parser.add_argument("--nlu", type=Path, required=True, metavar="TEST.yml", help="messages")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    quiet_rasa()
    (artifact,) = artifacts_of(arguments.model).values()
    texts = [message.text for message in load_messages(arguments.nlu)]
    intents_alone = artifact.manifest["kind"] == INTENT_CLASSIFIER and artifact.manifest["runtime"] == "onnxruntime"
    if not intents_alone:
        parser.error("MODEL: a BERT that says intents alone, on ONNX Runtime, is what can be taken apart")
    encode = encoder_of(artifact)
    texts = [text for text in texts if FEWEST_WORDPIECES <= len(encode(text)) <= MOST_WORDPIECES]
    if not texts:
        parser.error(f"--nlu: no message has {FEWEST_WORDPIECES} to {MOST_WORDPIECES} wordpieces")
    spent = profile(arguments.model, texts)
    content = {
        "command": command_line("benchmarks.message_profile"),
        "model": in_one_line(arguments.model),
        "messages": len(texts),
        "p50_us": _medians(spent),
        "alone_p50_us": _medians(alone(spent)),
        "environment": environment(),
    }
    publish("message_profile", content, to_markdown, folder=arguments.results)
    return 0


def steps() -> Dict[str, Tuple[Any, str]]:
    """The timed functions, from the outermost to the innermost: a class or module, and the name of its function."""
    from rasa.engine.graph import GraphNode

    from rasa_compressed_bert.components import message_io
    from rasa_compressed_bert.components.artifact_component import ArtifactComponent
    from rasa_compressed_bert.runtime.onnxruntime_engine import OnnxRuntimeEngine
    from rasa_compressed_bert.runtime.ranking import IntentRanker
    from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

    return {
        "nodes of Rasa's graph": (GraphNode, "__call__"),
        "the component": (ArtifactComponent, "process"),
        "text to ranking": (MessagePredictor, "predict"),
        "tokenizer": (WordpieceTokenizer, "encode"),
        "engine": (OnnxRuntimeEngine, "run"),
        "views, confidences and sorting": (IntentRanker, "rank"),
        "intent and ranking as Rasa's": (message_io, "set_intent"),
    }


def profile(model: Path, texts: Sequence[str]) -> Dict[str, np.ndarray]:
    """Microseconds of each message and of each of its steps, including the steps inside it.

    All steps are timed in the same run, since a clock takes only a fraction of a microsecond.
    """
    with contextlib.ExitStack() as stack:
        clocks = {name: stack.enter_context(timed(*place)) for name, place in steps().items()}
        whole = asyncio.run(_parse(model, texts, list(clocks.values())))
    inside = {name: [sum(calls) for calls in lists] for name, lists in clocks.items()}
    return {name: 1e6 * np.array(values) for name, values in {WHOLE: whole, **inside}.items()}


def alone(spent: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Microseconds of each step without the steps inside it, for each message."""
    graph, component, predictor, *parts, written = steps()
    return {
        "Rasa around its graph": spent[WHOLE] - spent[graph],
        "Rasa's graph around the component": spent[graph] - spent[component],
        "the component around its predictor": spent[component] - spent[predictor] - spent[written],
        written: spent[written],
        "the predictor around its parts": spent[predictor] - sum(spent[name] for name in parts),
        **{name: spent[name] for name in parts},
        ADDED: spent[component] - spent["engine"],
    }


@contextlib.contextmanager
def timed(owner: Any, attribute: str) -> Iterator[List[List[float]]]:
    """A context manager that times every call of a function, and appends the time to the last of the lists."""
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


def _medians(values: Mapping[str, np.ndarray]) -> Dict[str, float]:
    return {name: float(np.median(own)) for name, own in values.items()}


async def _parse(model: Path, texts: Sequence[str], clocks: Sequence[List[List[float]]]) -> List[float]:
    """Seconds of each message, after a warm-up; each clock gets one list per message."""
    from rasa.core.agent import Agent

    agent = Agent.load(str(model))  # binds the functions as they are now
    for text in texts[:20]:
        await agent.parse_message(text)
    seconds = []
    for _ in range(ROUNDS):
        for text in texts:
            for lists in clocks:
                lists.append([])
            start = time.perf_counter()
            await agent.parse_message(text)
            seconds.append(time.perf_counter() - start)
    return seconds


def to_markdown(_: str, content: Dict[str, Any]) -> str:
    """A page with the time of each step, with and without the steps inside it."""
    inside = [["step, with all inside of it", "microseconds"]]
    inside += [[name, f"{value:.0f}"] for name, value in content["p50_us"].items()]
    itself = [["what takes it", "microseconds"]]
    itself += [[name, f"{value:.0f}"] for name, value in content["alone_p50_us"].items() if name != ADDED]
    return f"""# Where a message's time goes

{content["model"]}.

{content["messages"]} messages of {FEWEST_WORDPIECES} to {MOST_WORDPIECES} wordpieces, {ROUNDS} times, one at a time,
one thread; medians over the messages.

{tables.markdown_table(inside)}

{tables.markdown_table(itself)}

Beyond the engine the component adds {content["alone_p50_us"][ADDED]:.0f} microseconds.

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


if __name__ == "__main__":
    sys.exit(main())
