"""What the tests of components share: one trained tiny model of each component."""

from typing import Any, Dict, NamedTuple

import pytest
from component_harness import (
    CASES,
    RUNTIMES,
    component_of,
    make_storage,
    needs_words,
    train,
    training_data,
    with_weights,
)
from rasa.engine.storage.local_model_storage import LocalModelStorage

QUICK = {"epochs": 1, "pruning": {"method": "none"}, "validation_split": 0.0}


class Case(NamedTuple):
    """A component and options with which it trains within seconds."""

    name: str
    component: Any
    config: Dict[str, Any]


class Trained(NamedTuple):
    """A component that was trained and loaded; its storage is shared by all tests and must not be changed."""

    case: Case
    component: Any
    storage: LocalModelStorage
    folder: Any


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def no_cache_of_the_checkout(cache_folder, monkeypatch):
    """What training keeps for the next one is kept for the tests alone."""
    monkeypatch.setenv("RASA_CACHE_DIRECTORY", str(cache_folder))


@pytest.fixture(scope="session", params=CASES)
def case(request, tiny_weights):
    """Every component; a test of some of them says so by `parametrize("case", CLASSIFIERS, indirect=True)`."""
    return Case(
        request.param, component_of(request.param), with_weights({**CASES, **RUNTIMES}[request.param], tiny_weights)
    )


@pytest.fixture(scope="session")
def trainings():
    """What was trained already, by component: pytest forgets a fixture when it comes to another parameter."""
    return {}


@pytest.fixture(scope="session")
def trained(case, trainings, cache_folder, tmp_path_factory):
    if case.name not in trainings:
        folder = tmp_path_factory.mktemp("trained")
        storage, data = make_storage(folder), training_data(words=needs_words(case.component))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RASA_CACHE_DIRECTORY", str(cache_folder))
            component = train(case.component, case.config, data, storage)
        trainings[case.name] = Trained(case, component, storage, folder)
    return trainings[case.name]


@pytest.fixture
def data(case):
    """Messages of four intents, with words where the component needs them."""
    return training_data(words=needs_words(case.component))


@pytest.fixture
def storage(tmp_path):
    return make_storage(tmp_path / "storage")


@pytest.fixture
def quick(case):
    """The case with the shortest training that there is."""
    options = case.component.get_default_config()
    quick = {name: QUICK[name] for name in QUICK if name in options}
    if "teacher" in case.config:
        quick["teacher"] = {**case.config["teacher"], "epochs": 1}
    return case._replace(config={**case.config, **quick})
