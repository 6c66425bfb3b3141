"""Scripts reuse a model only if it would be trained the same way again."""

import json
import sys

import pytest
from small_archives import small_artifact

from benchmarks import answers, run_distillation, run_spacy
from benchmarks.common import training
from benchmarks.common.datasets import write_nlu
from rasa_compressed_bert.data.example import LabelledMessage


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    messages = [LabelledMessage(f"message {number}", f"intent{number % 2}") for number in range(20)]
    for name in ("train", "test"):
        write_nlu(messages, folder / f"{name}.yml")
    return folder


def test_a_model_for_other_questions_options_or_code_is_trained_anew(tmp_path, monkeypatch):
    trainings = []

    def train(config, artifact):
        trainings.append(config)
        return small_artifact()

    monkeypatch.setattr(answers, "train_or_finetune", train)
    questions = tmp_path / "questions.json"
    questions.write_text("[1]")

    def trained(**options):
        return answers.trained(tmp_path / "work", {"training_data": [str(questions)], **options})

    first = trained()
    assert trained()["training_s"] == first["training_s"] > 0 and len(trainings) == 1
    trained(epochs=1)
    assert len(trainings) == 2 and trainings[1].epochs == 1
    questions.write_text("[1, 2]")
    trained()
    assert len(trainings) == 3
    monkeypatch.setattr(answers, "model_code", lambda: "other code")
    trained()
    assert len(trainings) == 4


def test_a_kept_model_is_measured_again_if_other_code_serves_it(monkeypatch):
    rooms = ("benchmark", "metrics", "runtime", "views", "search", "commands")
    monkeypatch.setattr(training, "_code_digest", lambda is_wanted: [room for room in rooms if is_wanted(room)])
    assert training.measuring_code() == ["benchmark", "metrics", "runtime", "views"]
    assert training.model_code() == ["metrics", "runtime", "views"]


def test_a_teacher_for_another_sample_or_code_is_trained_anew(data, tmp_path, monkeypatch, capsys):
    folders = []

    def teacher(work, name, examples, quantization):
        folders.append((work, len(examples)))

    def run(*options):
        words = ["--data", f"tiny={data}", "--students", "", "--seeds", "0", "--work", str(tmp_path / "work")]
        monkeypatch.setattr(sys, "argv", ["run_distillation", *words, "--results", str(tmp_path), *options])
        return run_distillation.main()

    monkeypatch.setattr(run_distillation, "_teacher", teacher)
    monkeypatch.setattr(run_distillation, "_measured", lambda artifact, messages: {})
    monkeypatch.setattr(run_distillation, "_latencies", lambda work, cells: {})
    monkeypatch.setattr(run_distillation, "publish", lambda *arguments, **options: None)
    monkeypatch.setattr(run_distillation, "plot", lambda *arguments, **options: None)
    assert run() == 0 and run("--sample", "8", "--fresh") == 0 and run("--sample", "8") == 0
    assert [size for _, size in folders] == [20, 20, 8, 8, 8, 8] and len({folder for folder, _ in folders}) == 2
    monkeypatch.setattr(run_distillation, "model_code", lambda: "other code")
    assert run("--sample", "8") == 2 and "differs in code" in capsys.readouterr().err
    assert run("--sample", "8", "--fresh") == 0 and len({folder for folder, _ in folders}) == 3


def test_classifiers_on_a_package_are_trained_anew_with_the_package(data, tmp_path, monkeypatch):
    trained, contents, weights = [], [], ["some weights"]

    def train_row(folder, config, nlu):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.tar.gz").write_text(weights[0] if folder.name == run_spacy.OURS else "rasa's")
        if folder.name == "package_logistic":
            trained.append(config["pipeline"][0]["model"])
        return {"training_s": 1.0, "config": config}

    def package(model, folder):
        folder.mkdir(exist_ok=True)
        (folder / "package.whl").write_text(model.read_text())
        return folder / "package.whl"

    monkeypatch.setattr(run_spacy, "train_row", train_row)
    monkeypatch.setattr(run_spacy, "_package", package)
    monkeypatch.setattr(run_spacy, "_blank_pipeline", lambda training, folder: None)
    monkeypatch.setattr(run_spacy, "compare_models", lambda models, *others, **options: [{"model": m} for m in models])
    monkeypatch.setattr(run_spacy, "write_results", lambda title, content, folder: contents.append(content))
    words = ["--data", f"tiny={data}", "--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["run_spacy", *words])
    assert run_spacy.main() == 0 and run_spacy.main() == 0
    weights[0] = "other weights"
    assert run_spacy.main() == 0
    assert trained[0] == trained[1] != trained[2]
    assert str(tmp_path) not in json.dumps(contents) and '"model": "package"' in json.dumps(contents)
