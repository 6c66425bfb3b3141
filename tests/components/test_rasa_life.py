"""Operating a bot: several workers, models replaced under load, killed processes, a full disk."""

import asyncio
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from component_harness import EXAMPLES, ROOT
from odd_texts import NOTHING_TO_READ, SOMETHING_TO_READ
from rasa.core.agent import Agent
from rasa_project import COMPONENT, ended, make_project

from rasa_compressed_bert.benchmark.server import serve, throughput
from rasa_compressed_bert.errors import CompressedBertError

pytestmark = pytest.mark.slow
TEXTS = ["oh it is hot", "hello", "the curry is spicy", "zzz qqq", "😀", "שלום", "?", "play the song"]
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1  # from Linux's prctl.h and capability.h
OTHERS = [  # further components of ours in the same pipeline
    {"name": "rasa_compressed_bert.BertEntityExtractor"},
    {"name": "rasa_compressed_bert.QuantizedBertFeaturizer"},
]


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_weights):
    project = make_project(tmp_path_factory.mktemp("life"), tiny_weights)
    path = project.folder / "data" / "nlu.yml"
    path.write_text(path.read_text().replace("pizza", "[pizza](dish)"))
    config = yaml.safe_load((project.folder / "config.yml").read_text())
    options = {**project.options, "validation_split": 0.0}  # test_rasa_commands.py trains with a split
    extractor, featurizer = OTHERS
    words, _, classifier = config["pipeline"]
    config["pipeline"] = [
        words,
        {**featurizer, "model_weights": options["model_weights"], "max_length": 32},
        {**extractor, **options, "epochs": 4},
        {**classifier, "validation_split": 0.0},
    ]
    (project.folder / "several.yml").write_text(yaml.safe_dump(config))
    for name, more in {
        "single": {},
        "quick": {"epochs": 1, "batch_size": 16},
        "other": {"epochs": 3, "random_seed": 1},
    }.items():
        config["pipeline"] = [{"name": COMPONENT, **options, **more}]
        (project.folder / f"{name}.yml").write_text(yaml.safe_dump(config))
    return project


@pytest.fixture(scope="module")
def one(project):
    project.rasa("train", "--fixed-model-name", "one", "--config", "several.yml")
    return project.model("one")


@pytest.fixture(scope="module")
def other(project, one):
    project.train("other", "--config", "other.yml")
    return project.model("other")


def intents_of(archive):
    """The intent and the confidence that an agent in this process predicts for each text."""
    agent = Agent.load(str(archive))
    parsed = [asyncio.run(agent.parse_message(text)) for text in TEXTS]
    return {text: (said["intent"]["name"], said["intent"]["confidence"]) for text, said in zip(TEXTS, parsed)}


def agrees_with(*models, seen=None):
    """A check that a prediction is that of one of the models; it adds the index of that model to `seen`."""
    expected = [intents_of(model) for model in models]

    def right(answer):
        name, confidence = answer["intent"]["name"], answer["intent"]["confidence"]
        for number, intents in enumerate(expected):
            known, sure = intents[answer["text"]]
            if name == known and confidence == pytest.approx(sure, abs=1e-5):
                if seen is not None:
                    seen.add(number)
                return True
        return False

    return right


def test_four_workers_give_one_answer(one):
    right = agrees_with(one)
    with serve(one, workers=4) as server:
        seen = server.load(TEXTS, seconds=4, connections=8, right=right)
        assert len(server.memory_mb()) == 4
    assert seen.errors == [] and len(seen.milliseconds) > 50


@pytest.fixture(scope="module")
def server(one):
    """One server for all tests that leave it as it was."""
    with serve(one) as server:
        yield server


def test_throughput_of_a_model_by_its_relative_path(one, monkeypatch):
    monkeypatch.chdir(one.parent)
    seen = throughput(Path(one.name), TEXTS, seconds=1)
    assert seen["answers_per_second_1"] > 5 and seen["answers_per_second_2"] > 5
    for workers in (1, 2):
        assert seen["http"][workers]["errors"] == 0 and seen["http"][workers]["worker_memory_mb"] > 50


def test_no_model_is_no_server(tmp_path):
    (tmp_path / "model.tar.gz").write_bytes(b"nothing")
    with pytest.raises(CompressedBertError, match="started without the model"), serve(tmp_path / "model.tar.gz"):
        pass


def test_wrong_answers_are_seen(server):
    seen = server.load(TEXTS[:1], seconds=1, connections=2, right=lambda answer: False)
    assert seen.errors and seen.summary()["errors"] == len(seen.errors)


def test_models_are_swapped_under_load(server, one, other):
    answered, right_after = set(), agrees_with(one)
    asking = {"seconds": 12, "connections": 4, "right": agrees_with(one, other, seen=answered)}
    loads = []
    clients = threading.Thread(target=lambda: loads.append(server.load(TEXTS, **asking)))
    clients.start()
    try:
        for model in (other, one, other, one):
            time.sleep(1)
            request(f"{server.url}/model", {"model_file": str(model)}, method="PUT")
    finally:
        clients.join()
    after = server.load(TEXTS, seconds=1, connections=2, right=right_after)
    assert loads[0].errors == [] and len(loads[0].milliseconds) > 50
    assert answered == {0, 1}, "both models answered"
    assert after.errors == [] and after.milliseconds


def test_odd_texts_through_the_server(server):
    texts = [*NOTHING_TO_READ.values(), *SOMETHING_TO_READ.values(), "\x00\ud800", "word " * 2_000]
    seen = server.load([text for text in texts if text.strip()], seconds=3, connections=2)
    assert seen.errors == [] and seen.milliseconds


def request(url, content, *, method="POST"):
    asked = urllib.request.Request(
        url, data=json.dumps(content).encode(), headers={"Content-Type": "application/json"}, method=method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=60) as response:
        said = response.read()
    return json.loads(said) if said else None


def test_a_conversation_is_led_step_by_step_through_the_api(server):
    """As `rasa interactive` does: send a message, predict the next action, execute it."""
    conversation = f"{server.url}/conversations/someone"
    tracker = request(f"{conversation}/messages", {"text": "hello you", "sender": "user"})
    assert tracker["latest_message"]["intent"]["name"] == "greet"
    scores = request(f"{conversation}/predict", {})["scores"]
    best = max(scores, key=lambda score: score["score"])
    assert best["action"] == "utter_greet"
    done = request(f"{conversation}/execute", {"name": "utter_greet"})
    assert done["messages"] == [{"recipient_id": "someone", "text": "greet"}]


def without_privileges():
    """Run before a program starts: makes file permissions hold for it even if it runs as root."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.fixture
def read_only(tmp_path):
    """A folder without write permission."""
    folder = tmp_path / "read_only"
    folder.mkdir()
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)


def test_forked_and_spawned_processes_give_the_answers_of_a_model_that_is_read_only(one, read_only, tmp_path):
    """Run in a new process, as a fork would inherit what this one has loaded."""
    read_only.chmod(0o700)
    model = Path(shutil.copy(one, read_only / "model.tar.gz"))
    model.chmod(0o400)
    read_only.chmod(0o500)
    script = tmp_path / "processes.py"
    script.write_text(PROCESSES)
    process = subprocess.Popen(
        [sys.executable, str(script), str(model), json.dumps(TEXTS)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=without_privileges,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with ended(process):
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    own, forked, spawned = (json.loads(line) for line in said.splitlines() if line.startswith("[["))
    expected = intents_of(one)
    assert own == forked == spawned == [[expected[text][0], round(expected[text][1], 5)] for text in TEXTS]


PROCESSES = """
import asyncio, json, multiprocessing, sys
from rasa.core.agent import Agent

def answers(agent, texts):
    said = [asyncio.run(agent.parse_message(text)) for text in texts]
    return [[answer["intent"]["name"], round(answer["intent"]["confidence"], 5)] for answer in said]

def forked(queue, texts):
    queue.put(answers(AGENT, texts))

def spawned(queue, archive, texts):
    queue.put(answers(Agent.load(archive), texts))

def of_process(method, target, *arguments):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=target, args=(queue, *arguments), daemon=True)
    process.start()
    found = queue.get(timeout=120)
    process.join()
    return found

if __name__ == "__main__":
    archive, texts = sys.argv[1], json.loads(sys.argv[2])
    AGENT = Agent.load(archive)
    own = answers(AGENT, texts)
    print(json.dumps(own))
    print(json.dumps(of_process("fork", forked, texts)))
    print(json.dumps(of_process("spawn", spawned, archive, texts)))
"""


def test_cross_validation(project, tmp_path):
    folds = ("--cross-validation", "--folds", "2", "--config", "single.yml")
    project.rasa("test", "nlu", *folds, "-u", "data", "--no-plot", "--out", str(tmp_path))
    report = json.loads((tmp_path / "intent_report.json").read_text())
    assert set(report) >= {*EXAMPLES, "faq"} and report["accuracy"] > 0.4


def test_two_configurations_are_compared(project, tmp_path):
    share = ("--runs", "1", "--percentages", "50")
    project.rasa(
        *("test", "nlu", "--config", "quick.yml", "other.yml", *share),
        *("-u", "data/nlu.yml", "--no-plot", "--out", str(tmp_path)),
    )
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results) == {"quick", "other"}
    assert all(0.0 < scores[0][0] <= 1.0 for scores in results.values())


DEATHS = {  # moment: module or class, function that kills the process instead, code that runs before
    "pruning": ("rasa_compressed_bert.tasks.bert_training", "prune", ""),
    "export": ("rasa_compressed_bert.tasks.bert_training", "export", ""),
    "saving": (
        "rasa_compressed_bert.components.resource_io",
        "write_artifact",
        "arguments[1].mkdir(parents=True, exist_ok=True); (arguments[1] / 'weights.safetensors').write_bytes(b'half')",
    ),
    "packaging": ("rasa.engine.storage.local_model_storage.LocalModelStorage", "create_model_package", ""),
    "archiving": (
        "rasa.engine.storage.local_model_storage.TarSafe",
        "add",
        "tar, path = arguments[0], os.path.join(arguments[1], 'metadata.json'); "
        "tar.addfile(tar.gettarinfo(path, 'metadata.json'), open(path, 'rb')); tar.fileobj.flush()",
    ),
}
DIES = """
import importlib, os, signal

def die(*arguments, **options):
    {half}
    os.kill(os.getpid(), signal.SIGKILL)

name, _, attribute = "{owner}".rpartition(".")
try:
    owner = importlib.import_module("{owner}")
except ModuleNotFoundError:
    owner = getattr(importlib.import_module(name), attribute)
getattr(owner, "{function}")
setattr(owner, "{function}", die)
"""


def test_killed_trainings_leave_nothing_that_loads_and_the_next_one_works(project):
    """The process is killed at each moment, with a shared cache; a later training equals one without a cache."""
    for moment, (owner, function, half) in DEATHS.items():
        dies = DIES.format(owner=owner, function=function, half=half)
        status, said = project.run("train", "nlu", "--fixed-model-name", moment, "--config", "quick.yml", first=dies)
        assert status == -signal.SIGKILL, said
        if moment == "archiving":  # Rasa writes the archive in place
            with pytest.raises((EOFError, tarfile.ReadError)):
                Agent.load(str(project.model(moment)))
        else:
            assert not project.model(moment).exists()
    project.train("after", "--config", "quick.yml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RASA_MAX_CACHE_SIZE", "0")
        project.train("undisturbed", "--config", "quick.yml")
    assert intents_of(project.model("after")) == intents_of(project.model("undisturbed"))


def test_a_full_disk_is_one_clear_sentence(project, monkeypatch):
    """Files are limited to 20 kB, so the model cannot be written. Rasa's cache, a database, is switched off."""
    monkeypatch.setenv("RASA_MAX_CACHE_SIZE", "0")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    status, said = project.run("train", "nlu", "--fixed-model-name", "full", "--config", "quick.yml", first=limit)
    assert status != 0
    assert "The model cannot be written: [Errno 27] File too large" in said, said
    assert "Traceback" not in said
    assert not project.model("full").exists()


def test_training_into_a_folder_that_is_read_only(project, read_only, monkeypatch):
    """Rasa reports it, and leaves no model, not even half of one."""
    monkeypatch.setenv("RASA_MAX_CACHE_SIZE", "0")
    arguments = ("train", "nlu", "--fixed-model-name", "read_only", "--config", "quick.yml", "--out", str(read_only))
    process = project.start(*arguments, stdin=subprocess.DEVNULL, preexec_fn=without_privileges)
    with ended(process):
        said, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert f"Permission denied: '{read_only / 'read_only.tar.gz'}'" in said, said
    assert list(read_only.iterdir()) == []
