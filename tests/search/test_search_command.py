"""`rasa-compressed-bert search` on tiny weights: it runs trials, picks and trains; and refused options."""

import csv
import json
import shutil
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import yaml
from rasa.shared.utils.io import write_yaml
from test_pipelines import NLU

from rasa_compressed_bert.__main__ import main
from rasa_compressed_bert.artifact.archives import artifacts_of
from rasa_compressed_bert.commands import search, search_results
from rasa_compressed_bert.commands.project import read_project
from rasa_compressed_bert.data.known_values import KnownValues
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.search import storage
from rasa_compressed_bert.tasks import teacher as teacher_of_students
from rasa_compressed_bert.tasks.bert_training import train_bert

JOINT, STUDENT = "rasa_compressed_bert.JointBertClassifier", "rasa_compressed_bert.DistilledIntentClassifier"


@pytest.fixture
def project(tmp_path):
    """Writes a config.yml with a component, a search space and data; returns the command's arguments."""
    (tmp_path / "nlu.yml").write_text(NLU, encoding="utf-8")

    def write(component, space, *, nlu="nlu.yml"):
        config = {"recipe": "default.v1", "assistant_id": "test", "language": "en"}
        pipeline = [{"name": "WhitespaceTokenizer"}, component]
        (tmp_path / "config.yml").write_text(yaml.safe_dump({**config, "pipeline": pipeline}), encoding="utf-8")
        (tmp_path / "space.yml").write_text(yaml.safe_dump({"search": space}), encoding="utf-8")
        files = {"--nlu": nlu, "--config": "config.yml", "--space": "space.yml", "--out": "study"}
        return ["search", *(part for name, file in files.items() for part in (name, str(tmp_path / file)))]

    return write


def tiny(tiny_weights, **options):
    quick = {"epochs": 4, "learning_rate": 0.003, "validation_split": 0.0}  # the search makes its own splits
    return {"name": JOINT, "model_weights": str(tiny_weights), **quick, **options}


def test_a_missing_choice_names_the_splits_that_decided(tmp_path, capsys):
    """On the splits to report on, which the table shows, a model may be smaller and better nevertheless."""
    arguments = Namespace(out=tmp_path, pick="smaller_and_better", nlu=None)
    search_results._train_picked({"smaller_and_better": None}, None, arguments)
    expected = "none, no model is both smaller and better than the baseline on the splits to choose on."
    assert expected in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_a_study_of_a_bert(project, tiny_weights, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RASA_MAX_CACHE_SIZE", "0")
    space = {"pruning.final_sparsity": {"low": 0.2, "high": 0.8}, "quantization.method": ["none", "dynamic_int8"]}
    arguments = project(tiny(tiny_weights, pruning={"frequency": 1}), space)
    limits = ["--trials", "2", "--within", "1.0", "--splits", "1"]
    for option in (["--pick", "fastest"], ["--resume"]):
        assert main([*arguments, *limits, *option]) == 2
        assert f"{option[0]}: there is no study 'search' in" in capsys.readouterr().err
    assert main([*arguments, *limits, "--minimize", "size_mb"]) == 0
    output, study = capsys.readouterr(), tmp_path / "study"
    assert "baseline" in output.out and "search: 2 of 2 trials" in output.err
    with (study / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows][0] == "BASELINE" and len(rows) == 3
    assert {row["state"] for row in rows[1:]} <= {"COMPLETE", "PRUNED"} and float(rows[1]["score"]) <= 1
    content = json.loads((study / "pareto.json").read_text())
    assert content["pareto"] and set(content["picked"]) == {"best", "smaller_and_better", "smallest", "fastest"}
    assert (study / "frontier.png").stat().st_size > 1000 and "Plotly.newPlot" in (study / "frontier.html").read_text()
    chosen = yaml.safe_load((study / "picked" / "fastest" / "config.yml").read_text())["pipeline"][1]
    (artifact,) = artifacts_of(study / "picked" / "fastest" / "model.tar.gz").values()
    assert all(model["score_deviation"] is None for model in content["pareto"]), "there is one split"
    assert "measuring again to choose: " in output.err and "measuring again to report: " in output.err
    assert set(content["reported"]) == {"baseline", *content["picked"]} and "±" not in output.out
    assert (study / "picked.md").read_text().startswith("| model | trial | score, % |")
    number = content["picked"]["fastest"]
    tried = {row["number"]: row["pruning.final_sparsity"] for row in rows}
    assert str(chosen["pruning"].get("final_sparsity")) == tried.get(str(number), "None")
    assert artifact.manifest["config"]["epochs"] == chosen["epochs"] == 4
    before = (study / "trials.csv").read_text()
    assert main([*arguments, *limits, "--minimize", "size_mb", "--pick", "best"]) == 0
    assert (study / "trials.csv").read_text() == before and "measuring again to report: " in capsys.readouterr().err
    assert main([*arguments, *limits, "--resume"]) == 2
    assert "--minimize: the study 'search' minimises size_mb" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_a_study_of_a_student_trains_its_teacher_once(project, tiny_weights, tmp_path, capsys, monkeypatch):
    taught = []
    monkeypatch.setattr(teacher_of_students, "train_bert", lambda *given: taught.append(given) or train_bert(*given))
    teacher = {"model_weights": str(tiny_weights), "epochs": 2, "learning_rate": 0.003}
    student = {"embedding_size": 16}
    component = {"name": STUDENT, "teacher": teacher, "student": student, "augmentation": {"n_iter": 2}, "epochs": 2}
    arguments = project(component, {"student.architecture": ["bilstm", "ngrams"], "epochs": {"low": 2, "high": 3}})
    assert main([*arguments, "--trials", "2", "--threshold", "size_mb <= 1e-6", "--splits", "1"]) == 2
    said = capsys.readouterr().err
    assert len(taught) == 1
    assert "search: no model meets size_mb <= 1e-06. The closest ones:" in said
    assert len((tmp_path / "study" / "trials.csv").read_text().splitlines()) == 4  # with the header and the baseline


def test_a_figure_that_the_component_does_not_have(project, tiny_weights, capsys):
    component = {**tiny(tiny_weights), "name": "rasa_compressed_bert.BertEntityExtractor", "epochs": 1}
    assert main([*project(component, {"epochs": [1, 2]}), "--threshold", "macro_f1 >= 0.9"]) == 2
    assert "'macro_f1 >= 0.9': BertEntityExtractor has no macro_f1; it has entity_f1" in capsys.readouterr().err


def test_bad_input_is_one_message_before_anything_trains(project, tiny_weights, tmp_path, capsys):
    def said(*more, component=None, space=None, nlu="nlu.yml"):
        arguments = project(component or tiny(tiny_weights), space or {"epochs": [2, 3]}, nlu=nlu)
        assert main([*arguments, *more]) == 2
        return capsys.readouterr().err

    assert "did you mean 'epochs'" in said(space={"epoch": [2, 3]})
    (tmp_path / "empty.yml").write_text("search:")
    assert "search: write options with their values" in said("--space", str(tmp_path / "empty.yml"))
    assert "--minimize: 'size': name one or two of" in said("--minimize", "size")
    assert "--threshold: 'f1 > 2' cannot be read; write a metric" in said("--threshold", "f1 > 2")
    assert "contradict each other" in said("--threshold", "score >= 0.9", "--threshold", "score <= 0.8")
    assert "'macro_f1 >= 90': scores are from 0 to 1" in said("--threshold", "macro_f1 >= 90")
    contradictory = {"quantization.method": ["none", "dynamic_int8"], "quantization.encoder_bits": [2, 4]}
    assert "search: no trial can be valid: quantization" in said(space=contradictory)
    assert "there is no component 'rasa_compressed_bert.Jont'" in said(component={"name": "rasa_compressed_bert.Jont"})
    assert "missing.yml' with NLU data" in said(nlu="missing.yml")
    assert "has 0 components of rasa_compressed_bert that learn intents or entities" in said(
        component={"name": "DIETClassifier"}
    )
    featurizer = {"name": "rasa_compressed_bert.QuantizedBertFeaturizer"}
    assert "has 0 components of rasa_compressed_bert that learn intents or entities" in said(component=featurizer)
    assert "epochs: 0 is not an integer" in said(component=tiny(tiny_weights, epochs=0))
    assert "cannot be reached" in said("--storage", "postgresql://nobody@127.0.0.1:1/none")
    (tmp_path / "config.yml").write_text("pipeline: 3")
    assert main(["search", "--nlu", str(tmp_path / "nlu.yml"), "--config", str(tmp_path / "config.yml")]) == 2
    assert "has no pipeline" in capsys.readouterr().err


def test_a_pipeline_that_rasa_cannot_train_is_refused_before_the_search(project, tiny_weights, tmp_path, capsys):
    """`rasa train nlu` runs in the end, after hours."""

    def said(*others, **changed):
        arguments = project(tiny(tiny_weights), {"epochs": [2, 3]})
        config = yaml.safe_load((tmp_path / "config.yml").read_text())
        config = {**config, "pipeline": [*config["pipeline"], *others], **changed}
        (tmp_path / "config.yml").write_text(yaml.safe_dump(config))
        assert main(arguments) == 2
        return capsys.readouterr().err

    assert "cannot train the pipeline in" in said({"name": "SparseFeaturizer"})
    assert "cannot train the pipeline in" in said({"name": "module_that_is_missing.Component"})
    assert "RegexFeaturizer" in said(pipeline=[tiny(tiny_weights), {"name": "RegexFeaturizer"}])
    assert "has no language, so `rasa train nlu` refuses it" in said(language=None)
    featurizer = {"name": "rasa_compressed_bert.QuantizedBertFeaturizer", "model_weights": str(tmp_path / "nowhere")}
    assert "nowhere' does not exist" in said(featurizer)
    assert "did you mean 'max_length'" in said({**featurizer, "max_lenght": 12})


@pytest.mark.parametrize("option", ["--timeout", "--trial-timeout"])
def test_a_time_that_no_clock_knows_is_refused(project, tiny_weights, option, capsys):
    """It was an error of Python, after the training of the baseline."""
    with pytest.raises(SystemExit):
        main([*project(tiny(tiny_weights), {"epochs": [2, 3]}), option, str(10**12)])
    assert f"argument {option}: invalid seconds value" in capsys.readouterr().err


def test_an_empty_storage_is_not_the_default_one(project, tiny_weights, capsys):
    with pytest.raises(SystemExit):
        main([*project(tiny(tiny_weights), {"epochs": [2, 3]}), "--storage", ""])
    assert "argument --storage: it is empty: name a file or an address" in capsys.readouterr().err


def test_components_in_the_folder_of_the_bot_are_found(project, tiny_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search, "_task", lambda project, out: sys.exit(3))
    (tmp_path / "own_component.py").write_text(
        "from rasa.engine.recipes.default_recipe import DefaultV1Recipe as Recipe\n"
        "from rasa.nlu.classifiers.fallback_classifier import FallbackClassifier\n"
        "@Recipe.register(Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=False)\n"
        "class Own(FallbackClassifier): pass\n"
    )
    arguments = project(tiny(tiny_weights), {"epochs": [2, 3]})
    config = yaml.safe_load((tmp_path / "config.yml").read_text())
    config["pipeline"].append({"name": "own_component.Own"})
    (tmp_path / "config.yml").write_text(yaml.safe_dump(config))
    before = list(sys.path)
    with pytest.raises(SystemExit):
        main(arguments)
    assert sys.path == before


def test_values_of_lookup_tables_are_read_if_trials_may_learn_them(project, tiny_weights, monkeypatch):
    read = []
    monkeypatch.setattr(search, "_task", lambda project, out: read.append(project.known) or sys.exit(3))
    for space in ({"epochs": [2, 3]}, {"lookups": [True, False]}):
        with pytest.raises(SystemExit):
            main(project(tiny(tiny_weights, lookups=False), space))
    assert read == [None, KnownValues()]


def test_a_config_is_read_as_rasa_reads_it(project, tiny_weights, tmp_path):
    project(tiny(tiny_weights), {"epochs": [2, 3]})
    config = tmp_path / "config.yml"
    config.write_text(config.read_text().replace("language: en", "language: no\nrate: 1e-3"))
    read = read_project(config, tmp_path / "nlu.yml")
    assert (read.config["language"], read.config["rate"]) == ("no", 0.001)
    write_yaml(read.with_options({"epochs": 3}), tmp_path / "other.yml")
    again = read_project(tmp_path / "other.yml", tmp_path / "nlu.yml")
    assert again.config == read.with_options({"epochs": 3})


def test_other_weights_in_the_same_folder_are_another_study(project, tiny_weights, tmp_path):
    weights = Path(shutil.copytree(str(tiny_weights), str(tmp_path / "weights")))
    project(tiny(weights), {"epochs": [2, 3]})
    before, after = [], []
    for seen in (before, after):
        read = read_project(tmp_path / "config.yml", tmp_path / "nlu.yml")
        seen += [read.data, read.environment_digest]
        with (weights / "config.json").open("a") as file:
            file.write("\n")
    assert before[0] != after[0] and before[1] != after[1]


def test_a_choice_takes_the_place_of_an_earlier_one(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.tar.gz").write_text(name)
        search_results._move(tmp_path / name, tmp_path / "picked" / "best")
    assert (tmp_path / "picked" / "best" / "model.tar.gz").read_text() == "second"
    with pytest.raises(OSError):
        search_results._move(tmp_path / "missing", tmp_path / "picked" / "best")


def test_names_in_a_config_may_be_numbers_and_dates(project, tiny_weights, tmp_path, monkeypatch, capsys):
    def fail(place):
        raise CompressedBertError("The storage is reached.")

    monkeypatch.setattr(storage, "open_storage", fail)
    arguments = project(tiny(tiny_weights), {"epochs": [1, 2]})
    with (tmp_path / "config.yml").open("a", encoding="utf-8") as file:
        file.write("weights: {0: 1.0, greet: 2.0, 2024-01-01: 3.0}\n")
    assert main(arguments) == 2
    assert "The storage is reached." in capsys.readouterr().err


def test_a_study_that_was_made_with_other_data(project, tiny_weights, tmp_path, capsys):
    from search_harness import goal, measure

    from rasa_compressed_bert.search.storage import open_storage
    from rasa_compressed_bert.search.study import baseline_of, open_study

    arguments = project(tiny(tiny_weights), {"epochs": [2, 3]})
    started = open_study(open_storage(str(tmp_path / "study" / "journal.log")), goal(), name="search")
    baseline_of(started, measure)
    assert main(arguments) == 2
    assert "has a study already; continue it with --resume" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 2
    assert "the study 'search' was made with other data" in capsys.readouterr().err
    assert main([*arguments, "--resume", "--name", "another"]) == 2
    assert "--resume: there is no study 'another'" in capsys.readouterr().err


def test_a_study_does_not_replace_the_results_of_another(project, tiny_weights, tmp_path, monkeypatch, capsys):
    """Neither is lost if the folder is the default and both are in one storage, or in two under the same name."""
    monkeypatch.setattr("rasa_compressed_bert.search.study.baseline_of", lambda *_: pytest.fail("It works first."))
    arguments = [*project(tiny(tiny_weights), {"epochs": [2, 3]}), "--name", "second"]
    path = tmp_path / "study" / "pareto.json"
    path.parent.mkdir(exist_ok=True)
    for content, name in (('{"study": "first"}', "first"), ('{"study": "second", "made_from": "other"}', "second")):
        path.write_text(content)
        assert main(arguments) == 2
        assert f"has the results of another study, '{name}', which would be lost" in capsys.readouterr().err
    for content in ('{"study": "second"}', "{}", "[]", "{"):
        path.write_text(content)
        with pytest.raises(pytest.fail.Exception, match="It works first"):
            main(arguments)
