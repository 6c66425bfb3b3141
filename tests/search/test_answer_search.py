"""`rasa-compressed-bert search --questions` on tiny weights: exact match against size, and refused options."""

import csv
import itertools
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from answer_harness import entries, write_questions
from search_harness import goal, measure
from test_pipelines import NLU

from rasa_compressed_bert.__main__ import main
from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.squad import read_questions
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.search.answer_task import AnswerTask
from rasa_compressed_bert.search.evaluation import Evaluator
from rasa_compressed_bert.search.goals import scores_of
from rasa_compressed_bert.search.space import default_space, require_possible
from rasa_compressed_bert.search.storage import open_storage
from rasa_compressed_bert.search.study import baseline_of, open_study
from rasa_compressed_bert.tasks import answer_training

DOCS = Path(__file__).parents[2] / "docs"
EXTRACTOR = BertAnswerExtractorConfig
SCORES = scores_of(EXTRACTOR)
QUICK = {"epochs": 1, "batch_size": 16, "max_length": 64, "learning_rate": 1e-3}


def ended():
    raise DataError("This is as far as it goes.")


@pytest.fixture
def questions(tmp_path):
    return write_questions(tmp_path / "questions.json", 60)


@pytest.fixture
def project(tmp_path, tiny_weights, questions):
    """Writes a config.yml with a classifier and an extractor, and a search space; returns the command's arguments."""

    def write(space=None, *, pipeline=None, **options):
        own = {"name": "rasa_compressed_bert.BertAnswerExtractor", "model_weights": str(tiny_weights), **QUICK}
        classifier = {"name": "rasa_compressed_bert.PrunedBertIntentClassifier"}
        config = {"recipe": "default.v1", "assistant_id": "test", "language": "en"}
        pipeline = pipeline or [classifier, {**own, **options}]
        (tmp_path / "config.yml").write_text(yaml.safe_dump({**config, "pipeline": pipeline}))
        (tmp_path / "space.yml").write_text(yaml.safe_dump({"search": space or {"distillation.alpha": [0.3, 0.9]}}))
        files = {"--config": "config.yml", "--space": "space.yml", "--out": "study", "--questions": "questions.json"}
        return ["search", *(part for name, file in files.items() for part in (name, str(tmp_path / file)))]

    return write


def test_messages_for_the_other_components_are_read_before_the_search(project, tmp_path, capsys):
    assert main([*project(), "--nlu", str(tmp_path / "nowhere.yml")]) == 2
    assert "There is no file or folder" in capsys.readouterr().err


def test_held_out_passages_are_not_learnt(questions):
    task = AnswerTask(read_questions([questions], option="test"))
    splits = [[{question.passage for question in part} for part in task.split(split)] for split in range(6)]
    for learnt, held_out in splits:
        assert held_out and not learnt & held_out and 0.15 < len(held_out) / len(learnt | held_out) < 0.25
    for (_, one), (_, other) in itertools.combinations(splits[:5], 2):
        assert not one & other
    assert not any(splits[0][1] & held_out for _, held_out in splits[1:])


def test_a_document_gives_each_split_its_share(tmp_path):
    sizes = {"a": 40, "b": 10, "c": 2, "d": 3}
    data = [{"title": name, "paragraphs": entries(size, seed=seed)} for seed, (name, size) in enumerate(sizes.items())]
    (tmp_path / "documents.json").write_text(json.dumps({"data": data}))
    task = AnswerTask(read_questions([str(tmp_path / "documents.json")], option="test"))
    for split in range(5):
        _, held_out = task.split(split)
        titles = [question.document for question in held_out]
        assert titles.count("a") == 8 and titles.count("b") == 2 and titles.count("c") + titles.count("d") == 1


def test_questions_that_nothing_can_be_learnt_from(tmp_path):
    questions = read_questions([write_questions(tmp_path / "few.json", 60)], option="test")
    answerable = [question for question in questions if question.answers]
    with pytest.raises(DataError, match="--questions: there is no question with an answer to learn."):
        AnswerTask([question for question in questions if not question.answers])
    with pytest.raises(DataError, match="--questions: there are too few passages to hold some out; .* at least five."):
        AnswerTask(answerable[:1])


@pytest.mark.usefixtures("without_graphs")
def test_what_is_served_is_measured(questions, tiny_weights, monkeypatch):
    dense = []
    fine_tune = answer_training.fine_tune
    monkeypatch.setattr(answer_training, "fine_tune", lambda run: dense.append(run) or fine_tune(run))
    task = AnswerTask(read_questions([questions], option="test"))
    evaluator = Evaluator(task, EXTRACTOR, {"model_weights": str(tiny_weights), **QUICK}, maximize="f1")
    strong, weak = (evaluator.measure({"pruning.final_sparsity": sparsity}) for sparsity in (0.9, 0.1))
    assert len(dense) == 1, "the dense extractor teaches every trial"
    figures = strong.to_dict()
    assert figures["score"] == figures["f1"] and {"exact", "answerable_f1", "unanswerable_exact"} <= set(figures)
    assert set(strong.scores) <= set(SCORES) and strong.latency_ms > 0
    assert strong.parameters < weak.parameters and strong.size_mb < weak.size_mb
    assert evaluator.measure({}, quick=True) is None
    evaluator.measure({"pruning.method": "none"})
    evaluator.measure({}, split=1)
    assert len(dense) == 3


def test_a_trimmed_vocabulary_keeps_what_documents_need(questions, tiny_weights, monkeypatch):
    monkeypatch.setattr(answer_training, "fine_tune", lambda run: run)
    sizes = {"vocabulary": "trim", "vocabulary_size": 118}
    config = EXTRACTOR.from_dict({"model_weights": str(tiny_weights), **QUICK, **sizes})
    for texts, is_kept in (["goodbye"], True), ([], False):
        task = AnswerTask(read_questions([questions], option="test"), texts=texts)
        tokenizer = task.fine_tune(config, *task.split(0)).run.start.tokenizer
        assert ('"goodbye"' in tokenizer) == is_kept


def test_a_default_space(caplog):
    for base in ({}, {"pruning": {"method": "none"}}, {"quantization": {"method": "kmeans"}}):
        space = default_space(EXTRACTOR, base)
        require_possible(space, EXTRACTOR, base)
        assert (space["epochs"].low, space["epochs"].high) == (2, 6) and "distillation.temperature" in space
    assert not caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_a_study_of_answers(project, tmp_path, capsys):
    """A trial that cannot train is marked as failed, a study resumes where it stopped, and picks have a config.yml."""
    space = {"pruning.final_sparsity": [0.2, 0.8], "max_length": [64, 256]}  # the weights have 160 positions
    arguments = [*project(space, pruning={"final_sparsity": 0.2, "frequency": 1}), "--minimize", "parameters"]
    limits = ["--splits", "1", "--within", "1.0"]
    assert main([*arguments, *limits, "--trials", "2"]) == 0
    capsys.readouterr()
    assert main([*arguments, *limits, "--trials", "3", "--resume"]) == 0
    output, study = capsys.readouterr(), tmp_path / "study"
    rows = list(csv.DictReader((study / "trials.csv").read_text().splitlines()))
    assert len(rows) == 4 and [row["state"] for row in rows][0] == "BASELINE"
    states = {(row["pruning.final_sparsity"], row["max_length"]): row for row in rows[1:]}
    assert states["0.2", "256"]["state"] == "FAILED" and "160 positions" in states["0.2", "256"]["reason"]
    assert states["0.8", "64"]["state"] == "COMPLETE" and 0.0 <= float(states["0.8", "64"]["unanswerable_exact"]) <= 1
    content = json.loads((study / "pareto.json").read_text())
    reported = content["reported"]["baseline"]
    assert reported["score"] == reported["exact"] and set(reported) >= {*SCORES, "latency_ms", "parameters"}
    assert "unanswerable" in output.out and "exact, answerable, %" in (study / "picked.md").read_text()
    fastest = study / "picked" / "fastest"
    chosen = yaml.safe_load((fastest / "config.yml").read_text())["pipeline"]
    assert chosen[0] == {"name": "rasa_compressed_bert.PrunedBertIntentClassifier"}
    assert chosen[1]["training_data"] == [str(tmp_path / "questions.json")] and chosen[1]["epochs"] == 1
    assert not (fastest / "model.tar.gz").exists() and "add --nlu to train a model, too" in output.out


@pytest.mark.usefixtures("without_graphs")
def test_a_trial_that_misses_the_threshold_is_complete(project, tmp_path, capsys):
    assert main([*project(), "--trials", "1", "--splits", "1", "--threshold", "exact >= 1"]) == 2
    assert "search: no model meets exact >= 1. The closest ones:\n" in capsys.readouterr().err
    (row,) = list(csv.DictReader((tmp_path / "study" / "trials.csv").read_text().splitlines()))[1:]
    assert (row["state"], row["reason"]) == ("COMPLETE", "misses exact >= 1")
    assert main([*project(), "--maximize", "f1", "--resume", "--trials", "1"]) == 2
    assert "--maximize: the study 'search' maximises the score of the component" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_choices_are_trained_with_the_rest_of_the_bot(project, tmp_path, tiny_weights, capsys, monkeypatch):
    from rasa_compressed_bert.artifact.archives import artifacts_of

    monkeypatch.setenv("RASA_MAX_CACHE_SIZE", "0")
    (tmp_path / "nlu.yml").write_text(NLU, encoding="utf-8")
    pipeline = yaml.safe_load((project() and tmp_path / "config.yml").read_text())["pipeline"]
    pipeline[0].update(model_weights=str(tiny_weights), epochs=1)
    arguments = [*project(pipeline=pipeline), "--nlu", str(tmp_path / "nlu.yml"), "--trials", "1", "--splits", "1"]
    assert main([*arguments, "--within", "1.0"]) == 0
    assert "config.yml and model.tar.gz" in capsys.readouterr().out
    kinds = {
        artifact.manifest["kind"]
        for artifact in artifacts_of(tmp_path / "study" / "picked" / "fastest" / "model.tar.gz").values()
    }
    assert "answer_extractor" in kinds and len(kinds) == 2


def test_bad_input_is_one_sentence_before_anything_trains(project, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(answer_training, "fine_tune", lambda run: pytest.fail("It trains first."))

    def said(*more, content=None, **given):
        arguments = project(**given)
        if content is not None:
            (tmp_path / "questions.json").write_text(json.dumps(content))
        assert main([*arguments, *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()[-1:]
        return line

    assert "'macro_f1 >= 0.9': BertAnswerExtractor has no macro_f1; it has exact, f1" in said(
        "--threshold", "macro_f1 >= 0.9"
    )
    assert "--maximize: BertAnswerExtractor has no accuracy; it has exact, f1" in said("--maximize", "accuracy")
    assert "max_length: 8 is not an integer" in said(max_length=8)
    assert "documents: there is no file or folder 'nowhere'" in said(documents="nowhere")
    classifier = [{"name": "rasa_compressed_bert.PrunedBertIntentClassifier"}]
    assert "has 0 components of rasa_compressed_bert that learn answers; search needs exactly one" in said(
        pipeline=classifier
    )
    assert main([*project()[:3], "--nlu", str(tmp_path / "nlu.yml")]) == 2
    assert "with NLU data" in capsys.readouterr().err
    assert main(project()[:3]) == 2
    assert capsys.readouterr().err == "search: give --nlu, or --questions for BertAnswerExtractor.\n"
    entry = {"id": "1", "question": "how ?", "answers": [{"text": "hot", "answer_start": 0}]}
    empty = {"data": [{"title": "a", "paragraphs": []}]}
    assert "--questions: " in said(content=empty) and "has no question that can be used" in said(content=empty)
    without_passage = {"data": [{"title": "a", "paragraphs": [{"qas": [entry]}]}]}
    assert "has no question that can be used" in said(content=without_passage)
    one = {"data": [{"title": "a", "paragraphs": [{"context": "hot", "qas": [entry]}]}]}
    assert "too few passages to hold some out" in said(content=one)


def test_an_extractor_alone_needs_questions(project, tmp_path, capsys):
    pipeline = [{"name": "rasa_compressed_bert.BertAnswerExtractor"}]
    (tmp_path / "nlu.yml").write_text("version: '3.1'\n")
    assert main([*project(pipeline=pipeline)[:3], "--nlu", str(tmp_path / "nlu.yml")]) == 2
    assert "search needs exactly one, or --questions for BertAnswerExtractor." in capsys.readouterr().err


@pytest.mark.parametrize("page", ["search.md", "answers.md"])
def test_the_commands_of_the_pages(page, project, tmp_path, monkeypatch):
    """They run until the first training."""
    text = (DOCS / page).read_text(encoding="utf-8").replace("\\\n", "")
    (command,) = re.findall(r"^rasa-compressed-bert (search .*--questions.*)$", text, flags=re.MULTILINE)
    project()
    for folder in ("squad", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "questions.json").rename(tmp_path / "squad" / "train.json")
    (tmp_path / "data" / "nlu.yml").write_text(NLU, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(Evaluator, "measure", lambda self, options: seen.append(options) or ended())
    assert main(shlex.split(command)) == 2 and seen == [{}]


def test_a_study_of_other_questions(project, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(answer_training, "fine_tune", lambda run: pytest.fail("It trains."))
    started = open_study(open_storage(str(tmp_path / "study" / "journal.log")), goal(), name="search")
    baseline_of(started, measure)
    assert main([*project(), "--resume"]) == 2
    assert "the study 'search' was made with other data" in capsys.readouterr().err
