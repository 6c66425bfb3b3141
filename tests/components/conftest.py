"""What the tests of components share: one trained tiny model of each component."""

from typing import Any, Dict, NamedTuple

import pytest
from component_harness import make_storage, train, training_data
from rasa.engine.storage.local_model_storage import LocalModelStorage

import rasa_compressed_bert

TINY = {"epochs": 8, "batch_size": 4, "learning_rate": 2e-3, "max_length": 32, "pruning": {"frequency": 4}}
CASES = {  # a new component is one more line
    "PrunedBertIntentClassifier": TINY,
}


class Case(NamedTuple):
    """A component and options with which it trains within seconds."""

    component: Any
    config: Dict[str, Any]


class Trained(NamedTuple):
    """A component that was trained and loaded; its storage is shared by all tests and must not be changed."""

    case: Case
    component: Any
    storage: LocalModelStorage
    folder: Any


@pytest.fixture(scope="session", params=CASES)
def case(request, tiny_weights):
    return Case(
        getattr(rasa_compressed_bert, request.param), {"model_weights": str(tiny_weights), **CASES[request.param]}
    )


@pytest.fixture(scope="session")
def trained(case, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    storage = make_storage(folder)
    return Trained(case, train(case.component, case.config, training_data(), storage), storage, folder)


@pytest.fixture
def storage(tmp_path):
    return make_storage(tmp_path / "storage")


@pytest.fixture
def quick(case):
    """The case with the shortest training that there is."""
    return Case(case.component, {**case.config, "epochs": 1, "pruning": {"method": "none"}, "validation_split": 0.0})
