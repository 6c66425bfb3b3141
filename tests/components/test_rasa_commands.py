"""Our components in Rasa's real command line: train, finetune, test, shell, server."""

import json
import os
import pty
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any, Dict, List

import pytest
from component_harness import EXAMPLES, ROOT, assert_well_formed, load, predict
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa_project import COMPONENT, FAQ, ended, make_project, parse_over_http, wait_for

import rasa_compressed_bert
from rasa_compressed_bert.benchmark.server import serve

pytestmark = pytest.mark.slow

SELECTOR = {"name": "ResponseSelector", "epochs": 1, "retrieval_intent": "faq"}
MESSAGES = ["oh it is hot", "hello", "the curry is spicy", "what is your name", "zzz qqq", "😀", "שלום", "?"]
TRAINED = f"Finished training component '{COMPONENT.rsplit('.', 1)[1]}'"
RESTORED = f"Restored component '{COMPONENT.rsplit('.', 1)[1]}' from cache"


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_weights):
    return make_project(tmp_path_factory.mktemp("project"), tiny_weights)


@pytest.fixture(scope="module")
def first(project):
    """The output of the first training; its model is `models/first.tar.gz`."""
    return project.train("first")


@pytest.fixture(scope="module")
def expected(project, first, tmp_path_factory):
    """Predictions of the component alone for each message, loaded from the archive of the first training."""
    component = component_of(project.model("first"), tmp_path_factory.mktemp("unpacked"))
    return dict(zip(MESSAGES, predict(component, MESSAGES)))


def component_of(archive, folder):
    storage, metadata = LocalModelStorage.from_model_archive(folder, archive)
    (node,) = [node for node in metadata.predict_schema.nodes.values() if COMPONENT.endswith(node.uses.__name__)]
    return load(node.uses, node.config, storage, resource=Resource(node.resource.name))


def manifest_of(archive, folder) -> Dict[str, Any]:
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    (path,) = folder.rglob("manifest.json")
    return json.loads(path.read_text())


def assert_same_answers(answers: List[Dict[str, Any]], expected: Dict[str, Any]) -> None:
    for text, answer in zip(MESSAGES, answers):
        assert answer["text"] == text
        intent = {key: value for key, value in answer["intent"].items() if key in ("name", "confidence")}
        assert intent == pytest.approx(expected[text]["intent"], abs=1e-6)
        for entry, other in zip(answer["intent_ranking"], expected[text]["intent_ranking"]):
            assert entry == pytest.approx(other, abs=1e-6)
        assert len(answer["intent_ranking"]) == len(expected[text]["intent_ranking"])
        assert_well_formed({"intent": intent, "intent_ranking": answer["intent_ranking"]}, labels=[*EXAMPLES, "faq"])


def test_training(project, first, expected):
    assert TRAINED in first
    assert project.model("first").exists()
    assert expected["hello"]["intent"]["name"] == "greet"


def test_progress_is_shown(first):
    for stage in (r"2 of 5, cross-fit \(2 of 2\)", "3 of 5, fine-tune", r"4 of 5, prune \(neuron\)"):
        assert re.search(rf"Stage {stage}: \d+ s\.", first), first


def test_second_training_takes_the_model_from_the_cache(project, first):
    said = project.train("second")
    assert RESTORED in said
    assert TRAINED not in said


def test_finetuning_twice(project, first, tmp_path):
    epochs = manifest_of(project.model("first"), tmp_path / "first")["config"]["epochs"]
    for index, (model, fraction) in enumerate([("first", 0.5), ("finetuned0", 0.5)]):
        said = project.train(
            f"finetuned{index}", "--finetune", str(project.model(model)), "--epoch-fraction", str(fraction)
        )
        assert TRAINED in said, "the second time, nothing but the model that is trained further is new"
        manifest = manifest_of(project.model(f"finetuned{index}"), tmp_path / str(index))
        assert manifest["config"]["epochs"] == fraction * epochs
        assert list(manifest["training_scores"]) == ["dense", "pruned", "finetuned", "final"]
        assert manifest["labels"] == sorted([*EXAMPLES, "faq"])


def test_rasa_test_nlu(project, first, tmp_path):
    project.rasa("test", "nlu", "-m", str(project.model("first")), "-u", "data", "--no-plot", "--out", str(tmp_path))
    report = json.loads((tmp_path / "intent_report.json").read_text())
    assert set(report) >= {*EXAMPLES, "faq"}
    assert report["macro avg"]["f1-score"] > 0.6


def test_shell_gives_the_answers_of_the_component(project, first, expected):
    master, slave = pty.openpty()
    process = project.start("shell", "nlu", "-m", str(project.model("first")), stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    answers = []
    try:
        with ended(process):
            wait_for(master, "Next message:", seconds=120)
            for text in MESSAGES:
                os.write(master, f"{text}\n".encode())
                said = wait_for(master, "(?s){.*Next message:", seconds=30)
                answers.append(json.JSONDecoder().raw_decode(said[said.index("{") :])[0])
            os.write(master, b"\n")
            said = wait_for(master, "(?s){.*Next message:", seconds=30)
            nothing = json.JSONDecoder().raw_decode(said[said.index("{") :])[0]
            os.write(master, b"\x04")
            wait_for(master, "Wrapping up", seconds=30)
            assert process.wait(timeout=30) == 0
    finally:
        os.close(master)
    assert_same_answers(answers, expected)
    assert nothing["intent"] == {"name": None, "confidence": 0.0}


def test_server_gives_the_answers_of_the_component_and_of_those_behind_it(project, first, expected):
    """The pipeline also has ResponseSelector; our component comes from the cache."""
    project.write_config("selector.yml", SELECTOR)
    said = project.train("selector", "--config", "selector.yml")
    assert RESTORED in said and "Finished training component 'ResponseSelector'" in said
    with serve(project.model("selector")) as server:
        answers = [parse_over_http(server.url, text) for text in MESSAGES]
        nothing = parse_over_http(server.url, " ")
        long = parse_over_http(server.url, "oh it is hot " * 7_700)
    assert_same_answers(answers, expected)
    assert answers[3]["response_selector"]["faq"]["response"]["intent_response_key"] in FAQ
    assert nothing["intent"] == {"name": None, "confidence": 0.0}
    assert long["intent"]["name"] in [*EXAMPLES, "faq"]


def test_all_mistakes_of_a_config_are_shown_before_anything_trains(project):
    project.write_config("mistakes.yml", epochs=0, batch_sice=3, pruning={"final_sparsity": 2}, model_weights="/none")
    said = project.train("mistakes", "--config", "mistakes.yml", fails=True)
    for words in ("epochs: 0 is not", "did you mean 'batch_size'", "pruning.final_sparsity: 2 is not"):
        assert words in said
    assert "Traceback" not in said
    assert "Starting to train" not in said
    assert not project.model("mistakes").exists()


def test_damaged_weights_are_one_clear_sentence(project, tiny_weights, tmp_path):
    shutil.copytree(tiny_weights, tmp_path / "weights")
    weights = tmp_path / "weights" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    project.write_config("damaged.yml", model_weights=str(tmp_path / "weights"))
    said = project.train("damaged", "--config", "damaged.yml", fails=True)
    assert f"Cannot read the weights in the folder '{tmp_path / 'weights'}'" in said
    assert "Traceback" not in said
    assert not project.model("damaged").exists()


def test_damaged_model_names_its_file(project, first, tmp_path):
    """Rasa's server then starts without a model, and logs why."""
    with tarfile.open(project.model("first")) as tar:
        tar.extractall(tmp_path / "unpacked")
    (damaged,) = (tmp_path / "unpacked").rglob("weights.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with tarfile.open(tmp_path / "damaged.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "unpacked", arcname="")
    said = project.rasa("shell", "nlu", "-m", str(tmp_path / "damaged.tar.gz"), fails=True)
    assert "'weights.safetensors'" in said and "bytes instead of" in said
    assert "Traceback" not in said


def test_package_is_the_one_under_test():
    """The commands above import the checkout, as this process does."""
    assert Path(rasa_compressed_bert.__file__).is_relative_to(ROOT)
