"""Rasa's command line in processes forked from one that has imported Rasa and TensorFlow.

Each starts five seconds faster than `python -m rasa`, which `Project.start` of components/rasa_project.py runs.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Mapping, Sequence, Tuple

import pytest

import rasa_compressed_bert

ROOT = Path(rasa_compressed_bert.__file__).resolve().parents[1]
_CONTEXT: Any = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *("rasa.__main__", "rasa.model_training", "rasa.core.agent", "rasa.engine.recipes.default_components"),
        *("rasa_compressed_bert.tasks.bert_training", "rasa_compressed_bert.components"),
    ]
)


def run_rasa(
    arguments: Sequence[str], folder: Path, *, environment: Mapping[str, str], seconds: float, first: str = ""
) -> Tuple[int, str]:
    """Runs a command in a folder; returns its exit status and its standard output and error.

    The code `first` runs before it in the same process.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        forkserver.ensure_running()
    with tempfile.NamedTemporaryFile(mode="r", encoding="utf-8") as said:
        given = (list(arguments), str(folder), {**os.environ, **environment}, said.name, first)
        process = _CONTEXT.Process(target=_command_line, args=given)
        process.start()
        process.join(seconds)
        late = process.is_alive()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the whole process group
        process.join()
        text = said.read()
    assert not late, f"It took longer than {seconds} s: {text}"
    return process.exitcode, text


def _command_line(arguments: Sequence[str], folder: str, environment: Mapping[str, str], said: str, first: str) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for source, flags, targets in ((os.devnull, os.O_RDONLY, (0,)), (said, os.O_WRONLY | os.O_APPEND, (1, 2))):
        descriptor = os.open(source, flags)
        for target in targets:
            os.dup2(descriptor, target)
    sys.argv = ["rasa", *arguments]
    exec(first, {})

    from rasa.__main__ import main

    main()
