"""A small Rasa project in a folder, on which Rasa's own command line is run."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Dict, NamedTuple, Tuple

import yaml
from component_harness import EXAMPLES, ROOT
from forked_rasa import run_rasa

COMPONENT = "rasa_compressed_bert.PrunedBertIntentClassifier"
FAQ = {
    "faq/ask_name": ["what is your name", "your name please", "tell me your name"],
    "faq/ask_age": ["what is your age", "your age please", "how old is the bot"],
}


class Project(NamedTuple):
    """A small Rasa project in a folder of its own."""

    folder: Path
    options: Dict[str, Any]

    def write_config(self, name: str, *more: Dict[str, Any], **options: Any) -> None:
        """Writes a configuration: a trainable component, to see what is trained again, then ours and `more`."""
        pipeline = [
            {"name": "WhitespaceTokenizer"},
            {"name": "CountVectorsFeaturizer"},
            {"name": COMPONENT, **self.options, **options},
            *more,
        ]
        config = {"recipe": "default.v1", "language": "en", "assistant_id": "tiny", "pipeline": pipeline}
        (self.folder / name).write_text(yaml.safe_dump({**config, "policies": [{"name": "RulePolicy"}]}))

    def start(self, *arguments: str, **streams: Any) -> "subprocess.Popen[str]":
        """Starts a command in a process group of its own."""
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            [sys.executable, "-m", "rasa", *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                **{"RASA_CACHE_DIRECTORY": self.cache, "PYTHONPATH": os.pathsep.join(paths)},
                **{"COLUMNS": "200", "NO_COLOR": "1"},
            },
            start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **streams},
        )

    def run(self, *arguments: str, seconds: float = 300, first: str = "") -> Tuple[int, str]:
        """Runs a command, and the code `first` before it in its process; returns its exit status and its output."""
        environment = {"RASA_CACHE_DIRECTORY": self.cache, "COLUMNS": "200", "NO_COLOR": "1"}
        return run_rasa(arguments, self.folder, environment=environment, seconds=seconds, first=first)

    def rasa(self, *arguments: str, fails: bool = False, seconds: float = 300) -> str:
        """Runs a command that must succeed, or fail if `fails`; returns its output."""
        status, said = self.run(*arguments, seconds=seconds)
        assert (status != 0) == fails, said
        return said

    @property
    def cache(self) -> str:
        """Rasa's cache folder."""
        return str(self.folder / ".rasa" / "cache")

    def train(self, name: str, *arguments: str, fails: bool = False) -> str:
        return self.rasa("train", "nlu", "--fixed-model-name", name, *arguments, fails=fails)

    def model(self, name: str) -> Path:
        return self.folder / "models" / f"{name}.tar.gz"


@contextlib.contextmanager
def ended(process):
    """Kills the process and its children, by their process group, at the end of the block."""
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        if process.stdout:
            process.stdout.close()


def wait_for(descriptor: int, pattern: str, *, seconds: float) -> str:
    """Reads until the output has `pattern`; fails after `seconds`, or at the end of the output."""
    said, deadline = "", time.monotonic() + seconds
    while not re.search(pattern, said):
        assert time.monotonic() < deadline, f"waited for {pattern!r}: {said}"
        if not select.select([descriptor], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # raised by a pseudo-terminal after its program has ended
            piece = b""
        assert piece, f"ended before {pattern!r}: {said}"
        said += piece.decode("utf-8", "replace")
    return said


def parse_over_http(url: str, text: str) -> Dict[str, Any]:
    """A server's parse of a message."""
    request = urllib.request.Request(
        f"{url}/model/parse",
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return json.load(response)


def make_project(folder: Path, weights: Path) -> Project:
    """Writes a project with intents, retrieval intents, rules and responses."""
    options = {"model_weights": str(weights), "epochs": 8, "batch_size": 4, "learning_rate": 2e-3, "max_length": 32}
    project = Project(folder, options)
    project.write_config("config.yml")
    intents = {**EXAMPLES, **FAQ}
    nlu = [{"intent": name, "examples": "".join(f"- {text}\n" for text in texts)} for name, texts in intents.items()]
    rules = [{"rule": name, "steps": [{"intent": name}, {"action": f"utter_{name}"}]} for name in [*EXAMPLES, "faq"]]
    responses = {f"utter_{name}": [{"text": name}] for name in intents}
    domain = {"intents": [*EXAMPLES, "faq"], "responses": responses, "actions": ["utter_faq"]}
    (folder / "data").mkdir()
    for path, content in {
        "data/nlu.yml": {"nlu": nlu},
        "data/rules.yml": {"rules": rules},
        "domain.yml": domain,
    }.items():
        (folder / path).write_text(yaml.safe_dump({"version": "3.1", **content}, allow_unicode=True))
    return project
