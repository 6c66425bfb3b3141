"""A model behind Rasa's HTTP API on this machine, and concurrent clients."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Awaitable, Callable, Dict, Iterator, List, Sequence

import aiohttp
import numpy as np
import psutil
from rasa.core.channels.channel import InputChannel, UserMessage
from rasa.core.lock_store import InMemoryLockStore
from sanic import Blueprint, Sanic

from rasa_compressed_bert.benchmark.workers import worker_environment
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.units import MB

_START_S = 300.0
_READY = "This worker answers"
_REQUEST_S = 60.0
_WARM_UP_S, _PAUSE_S = 2.0, 0.1
_SHOWN_LINES = 8


def as_received(text: str) -> str:
    """A text as a server receives it: JSON joins surrogate pairs, and Rasa strips white space."""
    return json.loads(json.dumps(text)).strip()


class NoConversations(InMemoryLockStore):
    """A lock store with which Rasa starts several workers without Redis: `/model/parse` uses no conversations.

    Args:
        endpoint_config: from `endpoints.yml`; ignored.
    """

    def __init__(self, endpoint_config: Any = None):
        super().__init__()


class SaysReady(InputChannel):
    """A channel that makes every worker log that its model is loaded; some components suppress Rasa's own message."""

    @classmethod
    def name(cls) -> str:
        """The name of the channel in Rasa."""
        return "says_ready"

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """A blueprint without routes, as this channel receives no messages."""
        blueprint = Blueprint(self.name())

        @blueprint.listener("after_server_start")
        async def log_ready(_app: Sanic, _loop: asyncio.AbstractEventLoop) -> None:
            sys.stdout.write(f"{_READY}\n")
            sys.stdout.flush()

        return blueprint


@dataclass
class Load:
    """Results of clients."""

    seconds: float
    milliseconds: List[float] = field(default_factory=list)  # of each answer
    errors: List[str] = field(default_factory=list)

    def summary(self) -> Dict[str, Any]:
        """Answers per second, percentiles of milliseconds, and the number of requests without a right answer."""
        values = self.milliseconds or [0.0]
        p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
        return {
            "answers": len(self.milliseconds),
            "errors": len(self.errors),
            "answers_per_second": len(self.milliseconds) / self.seconds,
            "p50_ms": p50,
            "p95_ms": p95,
            "p99_ms": p99,
        }


class Server:
    """A running `rasa run --enable-api` of one model, started by `serve`.

    Args:
        process: the process of Rasa.
        port: port on the loopback interface.
        workers: number of worker processes.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, workers: int):
        self._process, self._workers = process, workers
        self.url = f"http://127.0.0.1:{port}"

    def memory_mb(self) -> Dict[int, float]:
        """Resident memory of each worker in MB, by process id.

        Raises:
            CompressedBertError: if the server has ended.
        """
        try:
            parent = psutil.Process(self._process.pid)
            members = parent.children(recursive=True) if self._workers > 1 else [parent]
        except psutil.NoSuchProcess:
            members = []
        sizes = {member.pid: _resident_mb(member) for member in members}
        if not any(sizes.values()):
            raise CompressedBertError("The server of Rasa ended before its memory was measured.")
        largest = sorted(sizes, key=sizes.__getitem__)[-self._workers :]  # the others are Python's helper processes
        return {pid: sizes[pid] for pid in sorted(largest)}

    def load(
        self,
        texts: Sequence[str],
        *,
        seconds: float,
        connections: int = 8,
        right: Callable[[Dict[str, Any]], bool] = lambda answer: "intent" in answer,
    ) -> Load:
        """Sends requests from concurrent clients without a pause.

        Args:
            texts: texts of the requests, in turns.
            seconds: time after which no more requests are sent.
            connections: number of clients, each of which waits for its answer.
            right: whether an answer is right; a wrong one counts as an error.
        """
        return asyncio.run(self._load(texts, seconds, connections, right))

    async def _load(
        self, texts: Sequence[str], seconds: float, connections: int, right: Callable[[Dict[str, Any]], bool]
    ) -> Load:
        turns = itertools.cycle([(text, as_received(text)) for text in texts])
        seen, start = Load(seconds), time.perf_counter()
        timeout = aiohttp.ClientTimeout(total=_REQUEST_S)
        connector = aiohttp.TCPConnector(limit=connections)

        async def client(session: aiohttp.ClientSession) -> None:
            while time.perf_counter() - start < seconds:
                (text, received), before = next(turns), time.perf_counter()
                try:
                    async with session.post(f"{self.url}/model/parse", json={"text": text}) as response:
                        answer = await response.json()
                        known = response.status == 200 and answer.get("text") == received
                        if not known or not right(answer):
                            raise ValueError(f"{response.status} {answer}")
                except (aiohttp.ClientError, asyncio.TimeoutError, ValueError) as error:
                    seen.errors.append(f"{type(error).__name__} {error}"[:200])
                    await asyncio.sleep(_PAUSE_S)
                else:
                    seen.milliseconds.append(1000.0 * (time.perf_counter() - before))

        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            await asyncio.gather(*(client(session) for _ in range(connections)))
        seen.seconds = time.perf_counter() - start
        return seen


@contextlib.contextmanager
def serve(archive: Path, *, workers: int = 1, threads: int = 1) -> Iterator[Server]:
    """A context manager that runs a server.

    Args:
        archive: a trained model.
        workers: number of worker processes (`SANIC_WORKERS`).
        threads: number of threads of each library in a worker.

    Raises:
        CompressedBertError: if the server does not start with that model.
    """
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        endpoints, credentials, log = (folder / part for part in ("endpoints.yml", "credentials.yml", "log"))
        endpoints.write_text(f"lock_store:\n  type: {__name__}.{NoConversations.__name__}\n")
        credentials.write_text(f"{__name__}.{SaysReady.__name__}:\n")
        command = [sys.executable, "-m", "rasa", "run", "--enable-api", "-i", "127.0.0.1", "-p", str(port)]
        command += ["--endpoints", str(endpoints), "--credentials", str(credentials), "-m", str(archive.resolve())]
        variables = {**worker_environment(threads), "SANIC_WORKERS": str(workers), "LOG_LEVEL": "INFO"}
        variables["PYTHONPATH"] += os.pathsep + os.getcwd()  # of which Rasa imports a bot's own components
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=folder,
                env=variables,
            )
            try:
                server = Server(process, port, workers)
                _wait_until_up(process, server.url, log, workers)
                yield server
            finally:
                _end(process)


def throughput(archive: Path, texts: Sequence[str], *, seconds: float, threads: int = 1) -> Dict[str, Any]:
    """Measures a server with one worker, and one with two, with eight clients on this machine.

    Args:
        archive: a trained model.
        texts: texts of the requests, in turns.
        seconds: duration of each measurement.
        threads: number of threads of each library in a worker.

    Returns:
        `answers_per_second_1` and `answers_per_second_2`; `http` has the details.

    Raises:
        CompressedBertError: if an answer is an error.
    """
    details = {}
    for workers in (1, 2):
        with serve(archive, workers=workers, threads=threads) as server:
            server.load(texts, seconds=_WARM_UP_S)
            seen = server.load(texts, seconds=seconds)
            if seen.errors or not seen.milliseconds:
                raise CompressedBertError(f"'{archive}', served by Rasa: {[*seen.errors, 'no answer'][0]}")
            details[workers] = {**seen.summary(), "worker_memory_mb": max(server.memory_mb().values())}
    return {
        **{f"answers_per_second_{count}": seen["answers_per_second"] for count, seen in details.items()},
        "http": details,
    }


def _resident_mb(process: psutil.Process) -> float:
    """Resident memory of a process in MB; 0 if it has ended."""
    try:
        return process.memory_info().rss / MB
    except psutil.NoSuchProcess:
        return 0.0


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path, workers: int) -> None:
    """Waits until all workers listen: each logs before it does, and `/status` is an error if no model is loaded."""
    deadline = time.monotonic() + _START_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    problem = ""
    while not problem:
        logged = log.read_text(encoding="utf-8", errors="replace")
        if process.poll() is not None or time.monotonic() > deadline:
            problem = f"did not start with {workers} workers"
        elif logged.count(_READY) >= workers:
            try:
                with opener.open(f"{url}/status", timeout=_REQUEST_S):
                    return
            except urllib.error.HTTPError:
                problem = "started without the model"
            except OSError:  # the server does not listen yet
                pass
        time.sleep(0.2)
    last = "\n".join(f"  {line}" for line in logged.splitlines()[-_SHOWN_LINES:])
    raise CompressedBertError(f"`rasa run` {problem}:\n{last}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Terminates the process group of Rasa and its workers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
