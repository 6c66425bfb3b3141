"""A server: what it imports, and its memory when processes have ended."""

import os
import subprocess
import sys
from unittest.mock import Mock

import psutil
import pytest

from rasa_compressed_bert.benchmark import server
from rasa_compressed_bert.benchmark.server import Server
from rasa_compressed_bert.errors import CompressedBertError


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("reaped", [False, True])
def test_a_server_that_has_ended(workers, reaped):
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    with process:
        process.stdout.read()
        if reaped:
            process.wait()
        else:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(CompressedBertError, match="The server of Rasa ended before its memory was measured"):
            Server(process, 0, workers).memory_mb()


def test_a_worker_among_helpers_that_have_ended(monkeypatch):
    class Ended:
        pid = 0

        def memory_info(self):
            raise psutil.NoSuchProcess(self.pid)

    class Running:
        pid = os.getpid()

    worker = psutil.Process()
    monkeypatch.setattr(psutil.Process, "children", lambda parent, recursive: [Ended(), worker, Ended()])
    assert list(Server(Running(), 0, 1).memory_mb()) == [worker.pid]
    assert Server(Running(), 0, 2).memory_mb()[worker.pid] > 0


def test_a_server_finds_the_components_of_the_bot_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started = Mock(side_effect=InterruptedError)
    monkeypatch.setattr(server.subprocess, "Popen", started)
    with pytest.raises(InterruptedError), server.serve(tmp_path / "model.tar.gz"):
        pass
    assert str(tmp_path) in started.call_args.kwargs["env"]["PYTHONPATH"].split(os.pathsep)
