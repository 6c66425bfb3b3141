"""Missing or unsuitable pretrained weights: one clear sentence, as early as possible."""

import json
import shutil
import socket
import time

import huggingface_hub
import pytest
from component_harness import create, needs_words, training_data, weights_of, with_weights
from rasa.shared.exceptions import InvalidConfigException, RasaException

from rasa_compressed_bert.errors import WeightsError


@pytest.fixture
def copied(case, tmp_path):
    """A copy of the tiny weights that a test may damage, and a configuration that names it."""
    folder = shutil.copytree(weights_of(case.config), tmp_path / "weights")
    return folder, with_weights(case.config, folder)


def assert_train_fails(case, config, storage, match):
    """Asserts that training raises one of Rasa's exceptions: Rasa shows the messages of these alone."""
    with pytest.raises(RasaException, match=match) as caught:
        create(case.component, config, storage).train(training_data(words=needs_words(case.component)))
    assert isinstance(caught.value.__cause__, WeightsError)
    assert not list(storage._storage_path.rglob("manifest.json"))


@pytest.mark.parametrize("name", ["/no/such/folder", "./weights", "~/no-such-folder"])
def test_missing_folder_is_found_before_anything_trains(case, storage, name):
    config = with_weights(case.config, name)
    with pytest.raises(InvalidConfigException, match=f"'{name}' does not exist"):
        case.component.fingerprint_addon(config)
    assert_train_fails(case, config, storage, "does not exist")


def test_empty_folder_is_found_before_anything_trains(case, storage, tmp_path):
    config = with_weights(case.config, tmp_path)
    with pytest.raises(InvalidConfigException, match="holds none of model.safetensors"):
        case.component.fingerprint_addon(config)
    assert_train_fails(case, config, storage, "holds none of model.safetensors")


def test_file_in_place_of_a_folder_is_found_before_anything_trains(case, copied):
    folder, config = copied
    with pytest.raises(InvalidConfigException, match="is a file; give the folder"):
        case.component.fingerprint_addon(with_weights(config, folder / "model.safetensors"))


def test_other_architecture(case, storage, copied):
    folder, config = copied
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "model_type": "albert"}))
    assert_train_fails(case, config, storage, "of the architecture 'albert'.*'bert'.*'distilbert'")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_truncated_file(case, storage, copied, name):
    folder, config = copied
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    assert_train_fails(case, config, storage, f"Cannot read .* in the folder '{folder}'")


def test_fewer_positions_than_max_length(case, data, storage):
    config = {**case.config, "max_length": 500}
    with pytest.raises(RasaException, match="max_length: 500 is more than the 160 positions"):
        create(case.component, config, storage).train(data)


def test_unreachable_hub_is_told_at_once(case, storage, monkeypatch):
    """transformers would retry six times with growing pauses: 23 seconds until users learn that there is no network."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(
        huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:1/{repo_id}/{revision}/{filename}"
    )
    config = with_weights(case.config, "no-such-organisation/no-such-model")
    start = time.perf_counter()
    assert_train_fails(
        case, config, storage, "no-such-model': it is not a folder.*could not be downloaded.*all-MiniLM-L6-v2"
    )
    assert time.perf_counter() - start < 12


def test_hub_name_needs_no_network_for_its_fingerprint(case, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("It asks for an address."))
    one, other = (case.component.fingerprint_addon(with_weights(case.config, f"name/{n}")) for n in (1, 2))
    assert one != other
