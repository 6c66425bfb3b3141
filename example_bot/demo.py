"""Parses the sample messages with a trained model, one at a time, as `rasa run` does.

python example_bot/demo.py example_bot/models/demo.tar.gz
"""

import argparse
import asyncio
import logging
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("RASA_TELEMETRY_ENABLED", "false")
os.environ.setdefault("SQLALCHEMY_SILENCE_UBER_WARNING", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SAMPLES = Path(__file__).with_name("sample_messages.txt")


async def parse_all(agent, messages):
    """Yields each message, its parse by Rasa and the milliseconds that it took."""
    await agent.parse_message(messages[0])  # the first message includes one-time setup
    for message in messages:
        start = time.perf_counter()
        parsed = await agent.parse_message(message)
        yield message, parsed, 1000 * (time.perf_counter() - start)


def in_words(entity):
    """The value of an entity with its type and role."""
    return f"{entity['value']} ({' '.join(filter(None, [entity['entity'], entity.get('role')]))})"


async def show(agent, messages):
    """Prints a table of the parsed messages and their median time."""
    width = max(map(len, messages))
    print(f"\n{'message':{width}}  {'intent':24} {'confidence':>10} {'ms':>6}  entities")
    print(f"{'-' * width}  {'-' * 24} {'-' * 10} {'-' * 6}  {'-' * 8}")
    times = []
    async for message, parsed, milliseconds in parse_all(agent, messages):
        times.append(milliseconds)
        intent, entities = parsed["intent"], ", ".join(map(in_words, parsed["entities"]))
        name = intent.get("full_retrieval_intent_name") or intent["name"] or "-"
        row = f"{message:{width}}  {name:24} {intent['confidence']:10.2f} {milliseconds:6.2f}"
        print(f"{row}  {entities}".rstrip())
    print(f"\nmedian: {sorted(times)[len(times) // 2]:.2f} ms for a whole message in Rasa")


def main():
    """Loads the model and prints its parses of the messages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a trained Rasa model")
    parser.add_argument("messages", nargs="?", type=Path, default=SAMPLES, help="a text file, one message a line")
    arguments = parser.parse_args()
    if not Path(arguments.model).exists():
        sys.exit(f"There is no model '{arguments.model}'. `make demo` trains one.")
    messages = [line.strip() for line in arguments.messages.read_text(encoding="utf-8").splitlines() if line.strip()]

    warnings.showwarning = lambda *_, **__: None  # Rasa's dependencies warn, and reset the filters
    from rasa.core.agent import Agent  # takes seconds: after the checks above
    from rasa.utils.common import configure_logging_and_warnings
    from rasa.utils.log_utils import configure_structlog

    configure_logging_and_warnings(logging.ERROR)  # as Rasa's own command line does before it parses anything
    configure_structlog(logging.ERROR)
    asyncio.run(show(Agent.load(arguments.model), messages))


if __name__ == "__main__":
    main()
