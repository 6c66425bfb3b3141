"""The parent's side of `measuring`: one process per model."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from rasa_compressed_bert.errors import CompressedBertError

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_INTRA_OP_PARALLELISM_THREADS",  # Rasa's own names
    "TF_INTER_OP_PARALLELISM_THREADS",
)
_QUIET = {
    "RASA_TELEMETRY_ENABLED": "false",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TOKENIZERS_PARALLELISM": "false",
    "LOG_LEVEL": "ERROR",
    "CUDA_VISIBLE_DEVICES": "-1",
}
_SHOWN_LINES = 5


class WorkerProcess:
    """A context manager that runs a model in its own process.

    Args:
        archive: a trained Rasa model.
        threads: number of threads of each library in the process.

    Raises:
        CompressedBertError: if the model cannot be loaded.
    """

    def __init__(self, archive: Path, threads: int):
        self._archive = archive
        self._errors = tempfile.TemporaryFile()
        command = [sys.executable, "-m", "rasa_compressed_bert.benchmark.measuring", str(archive), str(threads)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=worker_environment(threads),
            encoding="utf-8",
        )
        try:
            self.report = self._answer()
        except BaseException:
            self.close()
            raise

    def parse(self, texts: List[str], *, pause: float = 0.0) -> Dict[str, Any]:
        """Calls `measuring.Worker.parse` in the process.

        Raises:
            CompressedBertError: if a component failed, or if the process has ended.
        """
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # the process has ended: there is no answer
                self._process.stdin.write(json.dumps({"texts": texts, "pause": pause}) + "\n")
                self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # buffered input that was not written
                    stream.close()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _answer(self) -> Dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        whole = line.endswith("\n")  # unless the process was killed while it wrote
        answer: Optional[Dict[str, Any]] = json.loads(line) if whole else None
        if answer is None:
            code = self._process.wait()
            raise CompressedBertError(
                f"The worker of '{self._archive}' ended (exit status {code}):\n{self._last_words()}"
            )
        if "error" in answer:
            raise CompressedBertError(f"'{self._archive}' cannot be measured: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_SHOWN_LINES:])


def worker_environment(threads: int) -> Dict[str, str]:
    """This process's environment, with less log output, the number of threads set, and this package importable."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, **_QUIET, **{name: str(threads) for name in _THREAD_VARIABLES}, "PYTHONPATH": path}
