"""The recipes of CONTRIBUTING.md, followed from outside the package: registered, trained, exported and served."""

import os
import pty
import re
from pathlib import Path

import pytest
import yaml
from component_harness import EXAMPLES, assert_well_formed, load, make_storage, predict, train, training_data
from rasa_project import ended, make_project, wait_for

import rasa_compressed_bert
from rasa_compressed_bert import heads
from rasa_compressed_bert.artifact.artifact import read_artifact
from rasa_compressed_bert.config import DistilledIntentClassifierConfig
from rasa_compressed_bert.config import pruning as pruning_options
from rasa_compressed_bert.config import student as students
from rasa_compressed_bert.export.standalone import onnx_files
from rasa_compressed_bert.models import families, head_layer
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.runtime import decoders
from rasa_compressed_bert.search.space import default_space
from rasa_compressed_bert.training import criteria

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
RECIPES = dict(re.findall(r"```python\n# recipe: (\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL))
QUICK = {"epochs": 1, "batch_size": 8, "max_length": 32, "validation_split": 0.0}
BERT = {**QUICK, "distillation": {"enabled": False}, "quantization": {"method": "none"}}


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    """Restores all registries after each test."""
    registered = ((students, "_STUDENTS"), (families, "_FAMILIES"), (criteria, "_CRITERIA"), (decoders, "_DECODERS"))
    for module, name in registered:
        monkeypatch.setattr(module, name, {**getattr(module, name)})
    # choices of options, and heads with their layers
    lists = (students.ARCHITECTURES, pruning_options.IMPORTANCE, heads._HEADS, head_layer.LAYERS)
    before = [list(names) for names in lists]
    yield
    for names, kept in zip(lists, before):
        names[:] = kept


def follow(recipe):
    names = {"__name__": recipe}
    exec(compile(RECIPES[recipe], f"recipe of a {recipe}", "exec"), names)
    return names


def trained(component, config, folder):
    """The artifact of a component that was trained, loaded and run through Rasa's interfaces."""
    loaded = train(getattr(rasa_compressed_bert, component), config, training_data(), make_storage(folder))
    for prediction in predict(loaded, ["hello you", "is it hot today"]):
        assert_well_formed(prediction, labels=EXAMPLES)
    (manifest,) = folder.rglob("manifest.json")
    artifact = read_artifact(manifest.parent)
    assert onnx_files(artifact)["model.onnx"]
    return artifact


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "tensorflow"])
def test_a_head(tiny_weights, tmp_path, runtime):
    follow("head")
    options = {**BERT, "model_weights": str(tiny_weights), "epochs": 6, "learning_rate": 5e-3, "runtime": runtime}
    artifact = trained("JointBertClassifier", {**options, "pruning": {"final_sparsity": 0.2}}, tmp_path)
    assert artifact.manifest["tones"] == ["question", "statement"]
    assert artifact.manifest["training_scores"]["final"]["tones_accuracy"] > 0.9
    assert artifact.manifest["parity"]["tones"]["decisively_changed"] == 0
    loaded = load(rasa_compressed_bert.JointBertClassifier, options, make_storage(tmp_path))
    answers = [prediction["tones"] for prediction in predict(loaded, ["is it hot today", "play music"])]
    assert answers == ["question", "statement"]


@pytest.mark.slow
def test_rasa_imports_the_module_of_a_component(tiny_weights, tmp_path):
    project = make_project(tmp_path, tiny_weights)
    (tmp_path / "tone.py").write_text(RECIPES["head"] + RECIPES["component"])
    options = {**BERT, "model_weights": str(tiny_weights), "epochs": 6, "learning_rate": 5e-3}
    config = {"recipe": "default.v1", "language": "en", "assistant_id": "tiny", "policies": [{"name": "RulePolicy"}]}
    (tmp_path / "config.yml").write_text(
        yaml.safe_dump({**config, "pipeline": [{"name": "tone.ToneClassifier", **options}]})
    )
    project.train("tones")
    master, slave = pty.openpty()
    process = project.start("shell", "nlu", "-m", str(project.model("tones")), stdin=slave, stdout=slave, stderr=slave)
    with ended(process):
        os.close(slave)
        wait_for(master, "Next message", seconds=120)
        os.write(master, b"is it hot today\n")
        wait_for(master, r'"tones": "question"', seconds=60)
    os.close(master)


@pytest.mark.slow
def test_a_student(tiny_weights, tmp_path):
    follow("student")
    student = {"architecture": "sum", "units": 8, "embedding_size": 8}
    teacher = {"model_weights": str(tiny_weights), "epochs": 1}
    config = {**QUICK, "teacher": teacher, "student": student, "augmentation": {"n_iter": 0}}
    artifact = trained("DistilledIntentClassifier", config, tmp_path)
    assert artifact.manifest["student"] == {**student, "vocabulary_size": 32_000}
    assert artifact.manifest["parity"]["changed"] == 0
    space = default_space(DistilledIntentClassifierConfig, {"student": {"architecture": "sum"}})
    assert space["student.units"].choices == (16, 32, 64)


@pytest.mark.slow
def test_a_family(tiny_rembert_weights, tmp_path):
    follow("family")
    assert follow("comparison")["largest_difference"](str(tiny_rembert_weights)) < 1e-5
    options = {**BERT, "model_weights": str(tiny_rembert_weights), "pruning": {"method": "none"}}
    artifact = trained("PrunedBertIntentClassifier", options, tmp_path)
    shape = EncoderShape.from_dict(artifact.manifest["encoder"])
    assert (len(shape.layers), shape.embedding_size, shape.hidden_size) == (1, 24, 32)


@pytest.mark.slow
def test_random_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    follow("weights")
    assert follow("comparison")["largest_difference"]("tiny_weights") < 1e-5
    trained("PrunedBertIntentClassifier", {**BERT, "model_weights": "tiny_weights"}, tmp_path / "storage")


@pytest.mark.slow
def test_a_criterion_of_pruning(tiny_weights, tmp_path):
    follow("criterion")
    pruning = {"importance": "gradient", "final_sparsity": 0.5, "frequency": 1}
    artifact = trained(
        "PrunedBertIntentClassifier", {**BERT, "model_weights": str(tiny_weights), "pruning": pruning}, tmp_path
    )
    sizes = [EncoderShape.from_dict(artifact.manifest[key]).encoder_size() for key in ("encoder", "dense_encoder")]
    assert sizes[0] < sizes[1]
