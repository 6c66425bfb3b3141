"""Fixtures of the components' tests: one trained tiny model of each component."""

import fcntl
import os
from typing import Any, Dict, NamedTuple

import pytest
from answer_harness import write_documents, write_questions
from component_harness import (
    ANSWERERS,
    CASES,
    RUNTIMES,
    component_of,
    create,
    load,
    make_storage,
    needs_words,
    training_data,
    with_weights,
)
from rasa.engine.storage.local_model_storage import LocalModelStorage

QUICK = {"epochs": 1, "batch_size": 32, "pruning": {"method": "none"}, "validation_split": 0.0}


class Case(NamedTuple):
    """A component class, and options with which it trains within seconds."""

    name: str
    component: Any
    config: Dict[str, Any]


class Trained(NamedTuple):
    """A trained and loaded component; its storage is shared by all tests and must not be changed."""

    case: Case
    component: Any
    storage: LocalModelStorage
    folder: Any


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def no_cache_of_the_checkout(cache_folder, monkeypatch):
    """Training uses a cache folder of the tests, not that of the checkout."""
    monkeypatch.setenv("RASA_CACHE_DIRECTORY", str(cache_folder))


@pytest.fixture(scope="session")
def answer_files(tmp_path_factory):
    """Options that name files of training questions and of documents."""
    folder = tmp_path_factory.mktemp("answers")
    questions, documents = write_questions(folder / "questions.json"), write_documents(folder / "documents")
    return {"training_data": questions, "documents": documents}


@pytest.fixture(scope="session")
def case_of(tiny_weights, answer_files):
    """Makes the `Case` of a name."""

    def case_of(name):
        config = with_weights({**CASES, **RUNTIMES}[name], tiny_weights)
        return Case(name, component_of(name), {**config, **(answer_files if name in ANSWERERS else {})})

    return case_of


@pytest.fixture(scope="session", params=CASES)
def case(request, case_of):
    """Every component; for some of them only, write `parametrize("case", CLASSIFIERS, indirect=True)`."""
    return case_of(request.param)


@pytest.fixture(scope="session")
def trained_of(cache_folder, tmp_path_factory):
    """Trains the component of a case once; pytest itself tears a fixture down when its parameter changes."""
    trainings = {}

    def trained_of(case):
        if case.name not in trainings:
            folder = trained_once(case, shared_folder(tmp_path_factory) / case.name.replace(" ", "_"), cache_folder)
            storage = make_storage(folder)
            trainings[case.name] = Trained(case, load(case.component, case.config, storage), storage, folder)
        return trainings[case.name]

    return trained_of


@pytest.fixture(scope="session")
def trained(case, trained_of):
    return trained_of(case)


def shared_folder(tmp_path_factory):
    """One folder for all processes of a run; pytest-xdist gives each process a folder inside it."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "trained"
    folder.mkdir(exist_ok=True)
    return folder


def trained_once(case, folder, cache_folder):
    """The storage of a component that one process trains, while the others wait for it."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(f".{os.getpid()}")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("RASA_CACHE_DIRECTORY", str(cache_folder))
                data = training_data(words=needs_words(case.component))
                create(case.component, case.config, make_storage(unfinished)).train(data)
            unfinished.rename(folder)
    return folder


@pytest.fixture
def data(case):
    """Training data of four intents, tokenized if the component needs it."""
    return training_data(words=needs_words(case.component))


@pytest.fixture
def storage(tmp_path):
    return make_storage(tmp_path / "storage")


@pytest.fixture
def quick(case, without_graphs):
    """The case with a training of two steps."""
    options = case.component.get_default_config()
    quick = {name: QUICK[name] for name in QUICK if name in options}
    if "teacher" in case.config:
        quick["teacher"] = {**case.config["teacher"], "epochs": 1}
    return case._replace(config={**case.config, **quick})
