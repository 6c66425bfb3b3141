"""Packages install, load and predict as the model does; errors are raised before anything is written."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import spacy
from packaging.requirements import Requirement
from spacy_harness import LABELS, random_artifact

from rasa_compressed_bert import __version__
from rasa_compressed_bert.__main__ import main
from rasa_compressed_bert.artifact.artifact import Artifact, write_artifact
from rasa_compressed_bert.benchmark.workers import worker_environment
from rasa_compressed_bert.errors import ConfigError, RuntimeMissingError
from rasa_compressed_bert.runtime.spacy_predictor import SpacyPredictor, textcat_pipeline
from rasa_compressed_bert.spacy_pipeline.package import (
    PIPELINE,
    Package,
    _add_other,
    bert_pipeline,
    check,
    textcat_pipeline_of,
    write_package,
)

TEXT = "An apple from Bonn"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An artifact folder."""
    folder = tmp_path_factory.mktemp("artifact") / "joint"
    write_artifact(random_artifact(), folder)
    return folder


@pytest.fixture
def student():
    """A `spacy_textcat` student with small random weights."""
    nlp = textcat_pipeline("en", LABELS)
    nlp.initialize()
    last = nlp.get_pipe("textcat").model.layers[-1]
    last.set_param("W", np.random.default_rng(0).normal(0, 0.3, last.get_param("W").shape).astype("f"))
    manifest = {"kind": "intent_classifier", "runtime": "spacy", "labels": LABELS, "max_length": 40}
    manifest.update(temperature=2.5, student={"architecture": "spacy_textcat", "language": "en"})
    return Artifact(manifest, {"spacy.msgpack": nlp.to_bytes()})


def package(source, out, *options):
    return main(["package-spacy", str(source), "--name", "de_fruit", "--language", "de", "--out", str(out), *options])


@pytest.mark.slow
def test_a_package_installs_and_loads_in_another_process(folder, tmp_path, capsys):
    out = tmp_path / "my bot"
    assert package(folder, out, "--version", "1.2.3") == 0
    output = capsys.readouterr().out
    (wheel,) = out.glob("*.whl")
    assert wheel.name == "de_fruit-1.2.3-py3-none-any.whl"
    assert f"`pip install '{wheel}'`" in output and 'spacy.load("de_fruit")' in output
    assert {path.name for path in out.iterdir()} == {wheel.name, PIPELINE}

    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(wheel)], check=True)
    code = f"import sys, json; sys.path.insert(0, {str(tmp_path / 'site')!r}); import spacy; "
    code += "nlp = spacy.load('de_fruit'); "
    code += f"doc = nlp({TEXT!r}); meta = nlp.meta; "
    code += "print(json.dumps([doc.cats, doc.vector.tolist(), meta['lang'], meta['name'], meta['requirements'], "
    code += "[name for name in ('rasa', 'transformers') if name in sys.modules]]))"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=worker_environment(1), capture_output=True, text=True, check=True
    )
    cats, vector, *rest = json.loads(ran.stdout)
    expected = bert_pipeline(random_artifact(), "de")(TEXT)
    assert cats == pytest.approx(expected.cats, abs=1e-6) and np.allclose(vector, expected.vector, atol=1e-5)
    assert rest == ["de", "fruit", [f"rasa_compressed_bert>={__version__}"], []]
    assert spacy.load(out / PIPELINE)(TEXT).cats == pytest.approx(cats, abs=1e-6)


def test_a_second_pipeline_in_a_folder_is_found_from_any_other(tmp_path, monkeypatch):
    spacy.blank("en").to_disk(tmp_path / "other")
    monkeypatch.chdir(tmp_path)
    nlp = spacy.blank("en")
    _add_other(nlp, "other")
    nlp.to_disk(tmp_path / "both")
    (tmp_path / "bot").mkdir()
    monkeypatch.chdir(tmp_path / "bot")
    assert len(spacy.load(tmp_path / "both")(TEXT)) == 4


@pytest.mark.slow
def test_a_textcat_student_needs_nothing_of_ours(student, tmp_path):
    wheel = write_package(student, Package("news", "en"), tmp_path / "out")
    assert wheel.name == "en_news-1.0.0-py3-none-any.whl"
    nlp = spacy.load(tmp_path / "out" / PIPELINE)
    assert nlp.pipe_names == ["textcat"] and not nlp.meta.get("requirements")
    assert nlp(TEXT).cats == pytest.approx(dict(SpacyPredictor(student).predict(TEXT).ranking), abs=1e-5)


@pytest.mark.slow
def test_a_textcat_student_with_a_second_pipeline_needs_this_version_or_a_newer_one(student, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "other")
    wheel = write_package(student, Package("news", "en"), tmp_path / "out", other=str(tmp_path / "other"))
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        lines = archive.read(name).decode("utf-8").splitlines()
    required = [Requirement(line.split(": ")[1]) for line in lines if line.startswith("Requires-Dist: ")]
    (ours,) = [one for one in required if one.name.replace("-", "_") == "rasa_compressed_bert"]
    assert str(ours.specifier) == f">={__version__}"


def test_the_confidences_of_a_textcat_student_are_calibrated(student):
    cats = textcat_pipeline_of(student, "en")(TEXT).cats
    assert cats == pytest.approx(dict(SpacyPredictor(student).predict(TEXT).ranking), abs=1e-5)
    raw = textcat_pipeline("en", LABELS).from_bytes(student.files["spacy.msgpack"])(TEXT).cats
    assert raw != pytest.approx(cats, abs=1e-3)
    student.manifest["student"]["language"] = "en-US"
    assert textcat_pipeline_of(student, "en").lang == "en"
    with pytest.raises(ConfigError, match="--language: the student was trained with the tokenizer of 'en-US'"):
        textcat_pipeline_of(student, "de")


@pytest.mark.parametrize(("language", "code"), [("no", "nb"), ("pt-BR", "pt"), ("EN", "en")])
def test_a_package_has_the_code_of_the_language_that_spacy_has(folder, tmp_path, monkeypatch, language, code):
    written = []
    work = "rasa_compressed_bert.spacy_pipeline.package.write_package"
    monkeypatch.setattr(
        work, lambda artifact, package, out, **given: written.append(package) or folder / "manifest.json"
    )
    options = ["--name", f"{code}_fruit", "--language", language, "--out", str(tmp_path / "out")]
    assert main(["package-spacy", str(folder), *options]) == 0
    assert [package.full_name for package in written] == [f"{code}_fruit"]


def test_names():
    assert Package("de_bert", "de").full_name == Package("bert", "de").full_name == "de_bert"
    assert Package("de_bert", "de").short_name == "bert" and Package("dental", "de").full_name == "de_dental"


@pytest.mark.parametrize(
    "name", ["my-bert", "1bert", "", "_bert", "bert_", "Bert", "bärt", "a b", "../x", "de_", "a__b"]
)
def test_invalid_names_are_refused(folder, tmp_path, name, capsys):
    arguments = ["--name", name, "--language", "de", "--out", str(tmp_path / "out")]
    assert main(["package-spacy", str(folder), *arguments]) == 2
    assert f"--name: '{name}' is not a valid package name" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_alone(folder, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    assert package(folder, tmp_path / "out") == 2
    assert "exists; name a new folder, or remove it" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "options, message",
    [
        (["--language", "en.examples"], "--language: spaCy does not support 'en.examples'"),
        (["--language", "qqq"], "--language: spaCy does not support 'qqq'"),
        (["--version", "one"], "--version: 'one' is not a valid version; write it as in 1.0.0."),
        (["--beside", "en_missing"], "--beside: spaCy cannot load 'en_missing'"),
        (["--weights", "all-MiniLM-L6-v2"], "Give either a trained MODEL, or --weights and --nlu"),
    ],
)
def test_other_bad_input(folder, tmp_path, options, message, capsys):
    assert package(folder, tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("meta", ["{", "{}", '{"lang": "qqq"}'])
def test_an_invalid_second_pipeline_is_refused(folder, tmp_path, meta, capsys):
    """Whatever spaCy raises when it loads it."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "meta.json").write_text(meta)
    (other / "config.cfg").write_text("[nlp]")
    assert package(folder, tmp_path / "out", "--beside", str(other)) == 2
    assert f"--beside: spaCy cannot load '{other}'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(folder, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    work = "rasa_compressed_bert.spacy_pipeline.package.write_package"
    monkeypatch.setattr(work, lambda *_, **__: pytest.fail("It works first."))
    assert package(folder, tmp_path / "file" / "out") == 2
    assert f"--out: the folder '{tmp_path / 'file'}' cannot be created: File exists." in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--beside", "en_missing"], "--beside: spaCy cannot load 'en_missing'"),
        (["--component", "train_a"], "--component is only for a trained MODEL: leave it out with --weights."),
        ([], "`wheel` is not installed: pip install wheel"),
    ],
)
def test_nothing_is_trained_for_a_package_that_cannot_be_made(tmp_path, options, message, capsys, monkeypatch):
    work = "rasa_compressed_bert.commands.package_spacy._trained"
    monkeypatch.setattr(work, lambda *_: pytest.fail("It trains first."))
    if not options:
        monkeypatch.setitem(sys.modules, "wheel", None)
    given = ["--weights", "any", "--nlu", "nlu.yml", "--name", "fruit", "--language", "en", "--out"]
    assert main(["package-spacy", *given, str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_invalid_annotations_are_warned_of(tmp_path, caplog):
    (tmp_path / "nlu.yml").write_text('version: "3.1"\nnlu:\n- intent: buy\n  examples: |\n    - buy [ ](fruit) now\n')
    options = ["--weights", "any", "--nlu", str(tmp_path / "nlu.yml"), "--name", "fruit", "--language", "en"]
    assert main(["package-spacy", *options, "--out", str(tmp_path / "out")]) == 2
    assert "1 annotation that cannot be learnt: 'buy   now': the entity from 4 to 5 is empty" in caplog.text


def test_without_a_language(folder, tmp_path, capsys):
    assert main(["package-spacy", str(folder), "--name", "fruit", "--out", str(tmp_path / "out")]) == 2
    assert "--language is missing: name the language of the training data, as in" in capsys.readouterr().err


def test_an_artifact_of_another_kind(tmp_path, capsys):
    plain = random_artifact()
    write_artifact(Artifact({**plain.manifest, "kind": "featurizer"}, plain.files), tmp_path / "featurizer")
    assert package(tmp_path / "featurizer", tmp_path / "out") == 2
    assert "has no classifier and no entity extractor of rasa_compressed_bert" in capsys.readouterr().err


def test_an_artifact_that_learnt_nothing(tmp_path, capsys):
    write_artifact(Artifact(random_artifact().manifest, {}), tmp_path / "empty")
    assert package(tmp_path / "empty", tmp_path / "out") == 2
    assert "was trained without data for this component" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["kind", "labels", "max_length", "encoder", "temperature"])
def test_an_artifact_that_does_not_say_what_it_is(tmp_path, capsys, key):
    plain = random_artifact()
    manifest = {name: value for name, value in plain.manifest.items() if name != key}
    write_artifact(Artifact(manifest, plain.files), tmp_path / "damaged")
    assert package(tmp_path / "damaged", tmp_path / "out") == 2
    assert "The parts of the model do not fit each other (KeyError" in capsys.readouterr().err


def test_another_version_of_spacy(tmp_path, monkeypatch):
    monkeypatch.setattr(spacy, "__version__", "3.7.2")
    with pytest.raises(RuntimeMissingError, match=r"spaCy 3.7.2 is installed, and packages are for spaCy 3.4"):
        check(Package("fruit", "en"), tmp_path / "out")


@pytest.mark.slow
def test_what_fails_leaves_nothing_half_written(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert package(folder, tmp_path / "out") == 2
    assert "spaCy cannot build the package" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
