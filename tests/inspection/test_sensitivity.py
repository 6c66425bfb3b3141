import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_models import UNEVEN, random_parameters, random_shape
from small_archives import NODE, small_artifact, word_tokenizer, write_archive

from rasa_compressed_bert.artifact.artifact import INTENT_CLASSIFIER, Artifact, write_artifact
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError, ConfigError
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.inspection import sensitivity
from rasa_compressed_bert.inspection.parts import COMPONENTS, Setting, Sweep, targets
from rasa_compressed_bert.inspection.probes import IntentProbe
from rasa_compressed_bert.inspection.sensitivity import intent_artifact, measure_sensitivity
from rasa_compressed_bert.inspection.sensitivity_report import (
    plot_sensitivity,
    score_changes,
    sensitivity_blocks,
    sensitivity_markdown,
    sensitivity_rows,
    setting_name,
)
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.reporting.tables import points
from rasa_compressed_bert.reporting.terminal import as_text
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.batches import pad

LABELS = ["a", "b", "c", "d"]
WORDS = "oh it is hot cold".split()
SHAPE = random_shape(((2, 8, 8, 24), (2, 8, 8, 24)), hidden_size=16, vocab_size=9)
PARAMETERS = random_parameters(SHAPE, num_classes=len(LABELS), scale=0.4)
TOKENIZER = word_tokenizer().decode()
SWEEP = Sweep(bits=(2, 1), sparsity=(0.5, 0.9))
HEADER = {"model": "tiny", "nlu": "test.yml", "max_messages": 0, "processor": "p", "cores": 1, "memory_gb": 1.0}
HEADER.update(system="s", versions={})


def artifact_of(shape, parameters, **manifest):
    known = {"labels": LABELS, "max_length": 32, "temperature": 1.0, "dense_encoder": shape.to_dict(), **manifest}
    form = Format(QuantizationConfig(method="none"))
    return serving_artifact(ModelState(shape, parameters, TOKENIZER), form, kind=INTENT_CLASSIFIER, manifest=known)


def logits_of(parameters):
    """The logits of the whole model with these parameters.  # (n, C)"""
    input_ids = WordpieceTokenizer(TOKENIZER, 32).encode_all(TEXTS)
    return TaskModel(SHAPE, parameters)(*pad(input_ids)).heads["logits"].numpy()


def answers(parameters):
    return [LABELS[index] for index in logits_of(parameters).argmax(axis=1)]


rng = np.random.default_rng(1)
TEXTS = [" ".join(rng.choice(WORDS, size=rng.integers(1, 9))) for _ in range(60)]
PARAMETERS["classifier.bias"] -= logits_of(PARAMETERS).mean(axis=0)  # so that every intent is predicted
ARTIFACT = artifact_of(SHAPE, PARAMETERS)
MESSAGES = [LabelledMessage(text, intent) for text, intent in zip(TEXTS, answers(PARAMETERS))]


def measure(path, sweep=SWEEP, *, artifact=ARTIFACT, messages=MESSAGES, fresh=False):
    return measure_sensitivity(artifact, messages, sweep, path=path, header=HEADER, fresh=fresh)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return measure(tmp_path_factory.mktemp("sensitivity") / "results.json")


def score_of(content, target, kind, value):
    what = {"target": target, "kind": kind, "value": value}
    (cell,) = [cell for cell in content["cells"] if what.items() <= cell.items()]
    return {key: cell[key] for key in ("accuracy", "macro_f1")}


def pruned(matrix, sparsity):
    kept = round(matrix.size * (1 - sparsity))
    return np.where(np.abs(matrix) >= np.sort(np.abs(matrix).ravel())[-kept], matrix, 0)


def one_bit(matrix, axis):
    """The matrix with two values: the best split by brute force, each channel in units of its root mean square."""
    size = np.sqrt(np.mean(matrix**2, axis=axis, keepdims=True))
    values = np.sort((matrix / size).ravel())
    cuts = range(1, len(values))
    best = min(cuts, key=lambda cut: np.var(values[:cut]) * cut + np.var(values[cut:]) * (len(values) - cut))
    low, high = values[:best].mean(), values[best:].mean()
    return np.where(matrix / size > (low + high) / 2, high, low) * size


def test_intents_that_the_model_gives_are_all_right_uncompressed(content):
    assert len({message.intent for message in MESSAGES}) == len(LABELS)
    assert content["uncompressed"] == {"accuracy": 1.0, "macro_f1": 1.0}
    assert (content["messages"], content["unknown_messages"]) == (len(MESSAGES), 0)


@pytest.mark.parametrize(
    "target, names",
    [
        ("embeddings", ["embeddings.word"]),
        ("layer 1, query_key", ["layers.1.query.kernel", "layers.1.key.kernel"]),
        ("layer 0, output", ["layers.0.output.kernel"]),
        ("all layers, intermediate", ["layers.0.intermediate.kernel", "layers.1.intermediate.kernel"]),
        ("encoder", [name for name in PARAMETERS if name.startswith("layers.") and name.endswith(".kernel")]),
    ],
)
@pytest.mark.parametrize("sparsity", SWEEP.sparsity)
def test_pruned_cells_are_those_of_a_naive_recomputation(content, target, names, sparsity):
    changed = {**PARAMETERS, **{name: pruned(PARAMETERS[name], sparsity) for name in names}}
    expected = intent_scores([message.intent for message in MESSAGES], answers(changed))
    assert score_of(content, target, "sparsity", sparsity) == pytest.approx(expected)


def test_some_cells_differ_from_others(content):
    assert len({cell["macro_f1"] for cell in content["cells"]}) > 10


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("name, axis", [("layers.0.query.kernel", 0), ("embeddings.word", None)])
def test_one_bit_is_the_best_two_values(name, axis, per_channel):
    found = Sweep(per_channel=per_channel).compressed(name, PARAMETERS[name], Setting("bits", 1))
    expected = one_bit(PARAMETERS[name], axis if per_channel else None)
    assert np.mean((found - PARAMETERS[name]) ** 2) <= 1.03 * np.mean((expected - PARAMETERS[name]) ** 2)
    assert len(np.unique(found)) == 2 or per_channel


@pytest.mark.parametrize("target", ["encoder + embeddings", "embeddings", "all layers, value", "layer 1, query_key"])
def test_quantized_cells_are_those_of_a_naive_recomputation(content, target):
    (part,) = [part for part in targets(SHAPE) if part.name == target]
    changed = {name: SWEEP.compressed(name, PARAMETERS[name], Setting("bits", 2)) for name in part.matrices}
    expected = intent_scores([message.intent for message in MESSAGES], answers({**PARAMETERS, **changed}))
    assert score_of(content, target, "bits", 2) == pytest.approx(expected)


def test_eight_bits_and_no_sparsity_change_no_clear_answer(tmp_path):
    logits = np.sort(logits_of(PARAMETERS))
    margins = logits[:, -1] - logits[:, -2]
    clear = [message for message, margin in zip(MESSAGES, margins) if margin > np.median(margins)]
    content = measure(tmp_path / "results.json", Sweep(bits=(8,), sparsity=(0.0,)), messages=clear)
    assert {cell["accuracy"] for cell in content["cells"]} == {1.0}


def test_parts_are_every_component_layer_and_the_whole():
    names = [part.name for part in targets(SHAPE)]
    assert len(names) == len(set(names)) == 3 + 5 + 2 + 2 * 5
    assert {f"layer 1, {component}" for component in COMPONENTS} < set(names)
    by_name = {part.name: set(part.matrices) for part in targets(SHAPE)}
    assert by_name["encoder + embeddings"] == by_name["encoder"] | by_name["embeddings"]
    assert by_name["encoder"] == set(SHAPE.kernel_names()) == by_name["layer 0"] | by_name["layer 1"]
    assert by_name["encoder"] == set().union(*(by_name[f"all layers, {component}"] for component in COMPONENTS))
    assert by_name["layer 1"] == set().union(*(by_name[f"layer 1, {component}"] for component in COMPONENTS))


def test_parts_that_pruning_removed_are_left_out(tmp_path):
    shape = random_shape(UNEVEN, hidden_size=16, vocab_size=9)
    names = [part.name for part in targets(shape)]
    assert "layer 2, value" not in names and "layer 3, output" not in names and "layer 2, output" in names
    artifact = artifact_of(shape, random_parameters(shape, num_classes=len(LABELS)))
    content = measure(tmp_path / "results.json", Sweep(bits=(1,), sparsity=(0.9,)), artifact=artifact)
    assert [target["name"] for target in content["targets"]] == names
    assert len(content["cells"]) == 2 * len(names)


class Interrupted:
    """Counts the scored models, and raises KeyboardInterrupt after some of them."""

    def __init__(self, monkeypatch, after):
        self.calls, self.after, self.score = 0, after, sensitivity.Probe.score
        monkeypatch.setattr(sensitivity.Probe, "score", lambda probe, changed: self.count(probe, changed))

    def count(self, probe, changed):
        self.calls += 1
        if self.calls > self.after:
            raise KeyboardInterrupt
        return self.score(probe, changed)


def test_interruption_keeps_what_is_done_and_the_next_call_does_the_rest(content, tmp_path, monkeypatch):
    path = tmp_path / "new" / "results.json"
    with monkeypatch.context() as patch:
        Interrupted(patch, after=1 + 7)
        with pytest.raises(KeyboardInterrupt, match=re.escape(f"7 of {len(content['cells'])} scores are in '{path}'")):
            measure(path)
    assert json.loads(path.read_text())["cells"] == content["cells"][:7]
    with monkeypatch.context() as patch:
        rest = Interrupted(patch, after=1000)
        assert measure(path) == content
        assert rest.calls == len(content["cells"]) - 7
        assert measure(path) == content == json.loads(path.read_text())
        assert rest.calls == len(content["cells"]) - 7
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    "change, named",
    [
        ({"artifact": artifact_of(SHAPE, random_parameters(SHAPE, num_classes=4, seed=9))}, "differs in model:"),
        ({"artifact": artifact_of(SHAPE, PARAMETERS, labels=LABELS[::-1])}, "differs in model:"),
        ({"messages": MESSAGES[1:]}, "differs in test messages:"),
        ({"sweep": replace(SWEEP, bits=(2,))}, "differs in settings:"),
        (
            {"sweep": replace(SWEEP, per_channel=False), "messages": MESSAGES[1:]},
            "differs in test messages and settings:",
        ),
    ],
)
def test_results_of_something_else_are_not_gone_on_with(content, tmp_path, change, named):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content))
    with pytest.raises(CompressedBertError, match=f"{named}.*--fresh"):
        measure(path, **change)
    assert json.loads(path.read_text()) == content


def test_fresh_starts_over_whatever_is_there(tmp_path):
    path = tmp_path / "results.json"
    sweep = Sweep(bits=(8,), sparsity=(0.2,))
    for text in ("{half", "[]", "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(CompressedBertError, match="cannot be read.*--fresh"):
            measure(path, sweep)
    assert len(measure(path, sweep, fresh=True)["cells"]) == 2 * len(targets(SHAPE))


def test_messages_of_unknown_intents_are_wrong_and_reported(tmp_path, caplog):
    strange = [message._replace(intent="strange") for message in MESSAGES[:6]]
    content = measure(tmp_path / "r.json", Sweep((8,), (0.0,)), messages=[*strange, *MESSAGES[6:]])
    assert content["uncompressed"]["accuracy"] == pytest.approx(54 / 60)
    assert "6 messages have intents that the model does not know" in caplog.text and "(strange)" in caplog.text
    text = sensitivity_markdown(content)
    assert "6 messages have intents that the model does not know" in text and "Only the network is scored" in text


@pytest.mark.parametrize("bad", [{"bits": (8, 0)}, {"bits": (9,)}, {"sparsity": (1.0,)}, {"sparsity": (-0.1, 0.5)}])
def test_settings_out_of_range_are_refused(bad):
    ((name, values),) = bad.items()
    with pytest.raises(ConfigError, match=f"{name}: .* is not"):
        Sweep(**bad)


def test_all_settings_out_of_range_are_named_at_once():
    with pytest.raises(ConfigError) as error:
        Sweep(bits=(0, 2, 9), sparsity=(0.5, float("nan"), 2.0))
    assert len(error.value.problems) == 4


def test_model_is_found_in_archive_and_folder_and_compression_is_said(tmp_path, caplog):
    archive = write_archive(
        tmp_path / "model.tar.gz", {NODE: small_artifact(), "run_other1": Artifact({"kind": "x"}, {})}
    )
    write_artifact(ARTIFACT, tmp_path / "artifact")
    assert intent_artifact(tmp_path / "artifact").files == ARTIFACT.files
    assert not caplog.records
    assert intent_artifact(archive).files == small_artifact().files
    assert "pruning: neuron, quantization: dynamic_int8" in caplog.text


@pytest.mark.parametrize("components", [{}, {NODE: Artifact({"kind": "untrained"}, {})}])
def test_model_without_our_intent_classifier_is_refused(tmp_path, components):
    archive = write_archive(tmp_path / "model.tar.gz", components)
    with pytest.raises(CompressedBertError, match="holds no trained PrunedBertIntentClassifier"):
        intent_artifact(archive)


def test_a_student_that_is_no_bert_is_refused(tmp_path):
    student = Artifact({"kind": INTENT_CLASSIFIER, "student": {"architecture": "ngrams"}, "quantization": {}}, {})
    archive = write_archive(tmp_path / "model.tar.gz", {NODE: student})
    with pytest.raises(CompressedBertError, match="is a student, not a BERT"):
        intent_artifact(archive)


def test_table_and_document_show_the_changes(content):
    rows = sensitivity_rows(content)
    assert rows[0] == ["part", "million weights", "2 bits", "1 bit", "50 %", "90 %"]
    assert [row[0] for row in rows[1:]] == [part.name for part in targets(SHAPE)]
    before = content["uncompressed"]["macro_f1"]
    after = score_of(content, "encoder", "bits", 1)["macro_f1"]
    assert rows[2][3] == points(100 * (after - before)) and rows[2][3].startswith("-")
    assert score_changes(content, "bits")[1][1] == pytest.approx(100 * (after - before))
    text = sensitivity_markdown(content)
    assert "--bits 2,1 --sparsity 0.5,0.9`" in text and "| layer 1, output |" in text and "results.png" in text
    assert "macro F1 100.0 %" in as_text(sensitivity_blocks(content, all_parts=Path("results.md")))


def scored(changes):
    """Made-up results: for each part, the drop in macro F1 from 8 bits and from 60 % sparsity."""
    settings = (("bits", 8), ("sparsity", 0.6))
    cells = [
        {"target": f"part {number}", "kind": kind, "value": value, "macro_f1": 0.9 + change / 100}
        for number, of_part in enumerate(changes)
        for (kind, value), change in zip(settings, of_part)
    ]
    return {
        "nlu": "test.yml",
        "messages": 200,
        "unknown_messages": 0,
        "main_score": "macro_f1",
        "uncompressed": {"macro_f1": 0.9, "accuracy": 0.91},
        "targets": [{"name": f"part {number}", "weights": 2_000_000} for number in range(len(changes))],
        "made_from": {"settings": {"bits": [8], "sparsity": [0.6], "per_channel": True}},
        "cells": cells,
    }


def test_a_terminal_shows_the_worst_parts_first_and_how_many_others_lose_nothing():
    content = scored([(0.0, 0.0), (-0.5, -2.0), (0.0, 0.04), (0.3, -7.0), *6 * [(0.0, 0.0)]])
    *_, table, others = sensitivity_blocks(content, all_parts=Path("results.md"))
    assert table.rows[0] == ["part", "million weights", "8 bits (default)", "60 % (default)"]
    assert [row[0] for row in table.rows[1:4]] == ["part 3", "part 1", "part 0"] and len(table.rows) == 6
    assert others.text == "5 parts lose nothing in any of these settings; 'results.md' lists all parts."
    *_, table, others = sensitivity_blocks(scored(40 * [(-1.0, 0.0)]), all_parts=Path("results.md"))
    assert len(table.rows) == 16 and others.text.startswith("25 parts lose at most 1.0 points in any")


def test_settings_have_names():
    assert [setting_name("bits", 1), setting_name("bits", 4)] == ["1 bit", "4 bits"]
    assert [setting_name("sparsity", 0.2), setting_name("sparsity", 0.575)] == ["20 %", "57.5 %"]


@pytest.mark.parametrize("name", ["test.yml", "a$x_{$.yml"])
def test_plot_is_a_png(content, tmp_path, name):
    plot_sensitivity({**content, "model": name, "nlu": name}, tmp_path / "new" / "plot.png")
    assert (tmp_path / "new" / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("key", ["kind", "labels", "max_length", "encoder", "dense_encoder", "quantization"])
def test_an_artifact_that_does_not_say_what_it_is(tmp_path, key):
    manifest = {name: value for name, value in ARTIFACT.manifest.items() if name != key}
    write_artifact(Artifact(manifest, ARTIFACT.files), tmp_path)
    with pytest.raises(CompressedBertError, match="Train it again|not a BERT"):
        IntentProbe(intent_artifact(tmp_path), MESSAGES)
