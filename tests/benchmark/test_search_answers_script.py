"""The script `search_answers`: it samples passages, searches, resumes, and measures on other questions."""

import json
import sys

import numpy as np
import pytest
import yaml
from answer_harness import write_questions

from benchmarks import search_answers
from rasa_compressed_bert.artifact.artifact import read_artifact
from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.models.head_layer import ANSWERER
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.search.evaluation import Evaluator
from rasa_compressed_bert.search.space import read_space, require_possible


def test_the_space_goes_with_the_baseline(caplog):
    space = read_space(search_answers.SPACE, BertAnswerExtractorConfig)
    require_possible(space, BertAnswerExtractorConfig, search_answers.BASE)
    assert not caplog.text
    values = Evaluator(None, BertAnswerExtractorConfig, search_answers.BASE).values_with({})
    for name, one in search_answers.SPACE.items():
        inside = one["low"] <= values[name] <= one["high"] if isinstance(one, dict) else name == "pruning.layers"
        assert inside or values[name] in one, "the sampler knows the baseline"
    assert values["pruning.layers"] in search_answers.SPACE["pruning.layers"]


def test_a_sample_has_whole_passages(tmp_path):
    source = tmp_path / "all.json"
    source.write_text(json.dumps({"data": json.loads(open(write_questions(tmp_path / "a.json", 40)).read())["data"]}))
    counts = search_answers.write_sample([source], tmp_path / "sample.json", 12)
    assert counts["all"] == counts["passages"] == 12 and 0 < counts["unanswerable"] < 12
    assert search_answers.write_sample([source], tmp_path / "sample.json", 0)["all"] == 40


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_a_study(tmp_path, monkeypatch, tiny_weights, capsys):
    train, test = write_questions(tmp_path / "a.json"), write_questions(tmp_path / "b.json", 20, seed=1)
    tiny = {"model_weights": str(tiny_weights), "max_length": 64}
    options = {**tiny, "epochs": 1, "batch_size": 16}
    options["pruning"] = {"layers": [0], "final_sparsity": 0.0, "intermediate": 0.0, "frequency": 1}
    space = {"pruning.layers": [None, [0], [1]], "pruning.intermediate": {"low": 0.0, "high": 0.8}}
    words = ["--pretraining", write_questions(tmp_path / "c.json", 30, seed=2)]
    words += ["--pretraining-options", yaml.safe_dump(tiny)]
    words += ["--questions", train, "--sample", "60", "--test", test, "--trials", "2", "--threshold", "score >= 0"]
    words += ["--options", yaml.safe_dump(options), "--space", yaml.safe_dump(space)]
    folders = ["--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["search_answers", *words, *folders])
        assert search_answers.main() == 0
        content = json.loads((tmp_path / "search_answers.json").read_text())
    assert sum(content["trials"].values()) == 2 and content["questions"]["all"] == 60
    assert content["reported"]["baseline"]["parameters"] > 0 and "baseline" in content["test"]
    (trained,) = (tmp_path / "work" / "pretraining").glob("*/artifact")
    expected = state_of(read_artifact(trained)).parameters
    weights = load_pretrained(str(tmp_path / "work" / "pretraining" / "weights")).parameters
    assert expected.keys() == weights.keys() and ANSWERER.kernel in weights
    assert all(np.array_equal(weights[name], value) for name, value in expected.items())
    page = (tmp_path / "search_answers.md").read_text()
    assert "fine-tuned on 30 other questions" in page
    assert "| baseline |" in page and "| 66.30 | 67.07 |" in page and "+3.48" in page and "-22.5 %" in page
    assert "Trained on all of these questions, on others, on other articles" in page
    assert page in capsys.readouterr().out
