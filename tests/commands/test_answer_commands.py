"""`inspect`, `benchmark` and `sensitivity` on answer extractors."""

import json

import pytest
from answer_harness import write_documents, write_questions

from rasa_compressed_bert.__main__ import main
from rasa_compressed_bert.artifact.artifact import read_artifact, write_artifact
from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.squad import read_questions
from rasa_compressed_bert.runtime.answer_predictor import AnswerPredictor
from rasa_compressed_bert.tasks.answer_measuring import ServedAnswers
from rasa_compressed_bert.tasks.answer_training import train_or_finetune


@pytest.fixture(scope="module")
def models(tmp_path_factory, tiny_weights):
    """Two tiny artifacts, in 32-bit floats and in 8 bits, and a file of questions."""
    folder = tmp_path_factory.mktemp("answer_commands")
    files = {"training_data": write_questions(folder / "a.json"), "documents": write_documents(folder / "documents")}
    options = {"model_weights": str(tiny_weights), "epochs": 2, "batch_size": 16, "max_length": 64, **files}
    for name, method in (("floats", "none"), ("int8", "dynamic_int8")):
        own = {"pruning": {"method": "none"}, "quantization": {"method": method}, "learning_rate": 3e-3}
        own["no_answer_threshold"] = 0.2  # a tiny model is seldom certain
        config = BertAnswerExtractorConfig.from_dict({**options, **own})
        write_artifact(train_or_finetune(config, None), folder / name)
    return folder, write_questions(folder / "test.json", 24, seed=1)


def served_scores(folder, name, path):
    artifact = read_artifact(folder / name)
    questions = read_questions([path], option="--questions")
    return ServedAnswers.of(artifact, questions).scores(AnswerPredictor(artifact).decoder)


def test_inspect(models, capsys):
    folder, _ = models
    assert main(["inspect", str(folder / "int8")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    held_out = read_artifact(folder / "int8").manifest["held_out"]
    assert f"exact match {100 * held_out['exact']:.1f} %, F1 {100 * held_out['f1']:.1f} %" in shown
    assert f"exact match of answerable questions {100 * held_out['answerable_exact']:.1f} %" in shown
    threshold = read_artifact(folder / "int8").manifest["answers"]["threshold"]
    assert f"minimum confidence {threshold:.3g} (not calibrated: fewer than 20 questions were held out); 2 doc" in shown
    assert main(["inspect", "--json", str(folder / "int8")]) == 0
    report = json.loads(capsys.readouterr().out)["components"]["int8"]
    assert report["answers"] == {"threshold": threshold, "documents": 2, "passages": 2}


def test_benchmark(models, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    folder, test = models
    names = [str(folder / name) for name in ("floats", "int8")]
    assert main(["benchmark", *names, "--questions", test, "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["questions"] == "test.json" and (tmp_path / "results.png").is_file()
    for result, name in zip(content["results"], ("floats", "int8")):
        scores = served_scores(folder, name, test)
        assert result["model"] == name and {key: result[key] for key in scores} == scores
        assert set(scores) >= {"exact", "answerable_f1", "unanswerable_exact"} and result["questions"] == 24
        assert 0 < result["latency_p50_ms"] <= result["latency_p95_ms"]
    assert content["results"][0]["extractor_mb"] > content["results"][1]["extractor_mb"]
    shown = capsys.readouterr().out
    assert "exact, answerable, %" in shown and f"{100 * content['results'][1]['f1']:.1f}" in shown


def test_benchmark_of_some_questions(models, tmp_path):
    folder, test = models
    options = ["--questions", test, "--out", str(tmp_path), "--max-messages", "5"]
    assert main(["benchmark", str(folder / "int8"), *options]) == 0
    (result,) = json.loads((tmp_path / "results.json").read_text())["results"]
    assert result["questions"] == 5


@pytest.mark.parametrize("option", ["--http", "--out-of-scope", "--pause"])
def test_options_for_messages_are_refused_with_questions(models, option, capsys):
    folder, test = models
    assert main(["benchmark", str(folder / "int8"), "--questions", test, option, "3"]) == 2
    assert capsys.readouterr().err == (
        "--http, --out-of-scope and --pause are for --nlu: leave them out with --questions.\n"
    )


def test_sensitivity(models, tmp_path, capsys):
    folder, test = models
    options = ["--questions", test, "--out", str(tmp_path), "--bits", "8,1", "--sparsity", "0.9"]
    assert main(["sensitivity", str(folder / "floats"), *options]) == 0
    content = json.loads((tmp_path / "results.json").read_text())
    scores = served_scores(folder, "floats", test)
    assert content["uncompressed"] == {"exact": scores["exact"], "f1": scores["f1"]}
    assert content["main_score"] == "f1" and content["messages"] == 24
    assert len(content["cells"]) == 3 * len(content["targets"])
    assert len({cell["f1"] for cell in content["cells"]}) > 3
    text = (tmp_path / "results.md").read_text()
    assert "--questions test.json --bits 8,1 --sparsity 0.9`" in text and "change of F1" in text
    assert (
        f"F1 {100 * scores['f1']:.1f} %, exact match {100 * scores['exact']:.1f} % on 24 questions of test.json" in text
    )
    assert (tmp_path / "results.png").is_file() and "F1" in capsys.readouterr().out


def test_a_model_that_answers_nothing_is_refused(tmp_path, models, capsys):
    from small_archives import small_artifact

    write_artifact(small_artifact(), tmp_path / "intents")
    for command in ("benchmark", "sensitivity"):
        assert main([command, str(tmp_path / "intents"), "--questions", models[1]]) == 2
        assert "holds no trained BertAnswerExtractor" in capsys.readouterr().err
