import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from small_archives import DENSE, small_artifact

from benchmarks import run_distillation
from benchmarks.common import kmeans_bits, runtimes
from benchmarks.common.commands import command_line, named_folder
from benchmarks.common.datasets import prepare, split, stratified_sample, write_nlu
from benchmarks.common.featurizers import measured
from benchmarks.common.kmeans_bits import SETTINGS, Setting
from benchmarks.common.quantized import Dense, artifact_in
from benchmarks.common.rows import (
    DEFAULT,
    DISTILLED,
    JOINT,
    LMF,
    OURS,
    QUANTIZED,
    ROWS,
    featurizer_config,
    featurizers,
    is_bert,
    is_ours,
    is_trainable,
    language_model_featurizer,
    model_name,
    row_config,
    without_folders,
)
from benchmarks.common.training import train_row
from benchmarks.run_featurizer import to_markdown
from rasa_compressed_bert.artifact.archives import metadata, unpacked
from rasa_compressed_bert.benchmark.random_models import bert_base_shape, evenly_pruned
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.config import (
    DistilledIntentClassifierConfig,
    JointBertClassifierConfig,
    PrunedBertIntentClassifierConfig,
    QuantizationConfig,
)
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example, LabelledMessage, normal_form
from rasa_compressed_bert.errors import CompressedBertError, ExportError
from rasa_compressed_bert.models.pretrained import local_folder
from rasa_compressed_bert.reporting.environment import environment

CLASSIFIERS = {
    OURS: PrunedBertIntentClassifierConfig,
    DISTILLED: DistilledIntentClassifierConfig,
    JOINT: JointBertClassifierConfig,
}
MESSAGES = [LabelledMessage(f"message {index}", "rare" if index < 2 else f"intent{index % 3}") for index in range(200)]


@pytest.mark.parametrize("row", [*ROWS, DEFAULT, "40", "trim_500", "multilingual_40"])
def test_every_row_is_a_complete_configuration(row):
    config = row_config(row)
    assert {"recipe", "assistant_id", "language"} <= set(config)
    ours = [item for item in config["pipeline"] if item["name"] in CLASSIFIERS]
    assert bool(ours) == is_ours(row)
    for item in ours:
        options = {key: value for key, value in item.items() if key != "name"}
        parsed = CLASSIFIERS[item["name"]].from_dict(options)
        assert not row.isdigit() or parsed.pruning.final_sparsity == int(row) / 100


def test_a_row_with_multilingual_weights():
    (item,) = row_config("multilingual_joint_60")["pipeline"]
    assert item == {**row_config("joint_60")["pipeline"][0], "model_weights": "multilingual-e5-small"}
    assert without_folders([item]) == [item] and is_bert("multilingual_joint_60") and is_trainable("multilingual_60")
    assert model_name("multilingual_joint_60") == "multilingual_joint_pruned_60_int8"
    (lmf,) = without_folders([language_model_featurizer(str(local_folder("all-MiniLM-L6-v2")))])
    assert lmf["model_weights"] == "all-MiniLM-L6-v2"


def test_sample_is_seeded_stratified_and_has_every_intent():
    sample = stratified_sample(MESSAGES, 40)
    counts = Counter(message.intent for message in sample)
    assert sample == stratified_sample(MESSAGES, 40) != stratified_sample(MESSAGES, 40, seed=1)
    assert len(sample) == len(set(sample)) == 40 and counts["rare"] >= 1
    assert all(12 <= counts[f"intent{index}"] <= 14 for index in range(3))
    assert stratified_sample(MESSAGES, 0) == stratified_sample(MESSAGES, 1000) == MESSAGES


def test_no_other_spelling_of_a_test_message_is_learnt():
    messages = [LabelledMessage(text, "a") for number in range(50) for text in (f"say {number}", f"Say  {number} ")]
    training, test = split(messages, 0.2)
    assert len(test) == 20 and training
    assert not {normal_form(message.text) for message in training} & {normal_form(message.text) for message in test}


def test_split_shares_nothing():
    training, test = split(MESSAGES, 0.2)
    assert len(test) == 40 and sorted(training + test) == sorted(MESSAGES)


def test_written_messages_are_read_as_they_were(tmp_path):
    odd = [LabelledMessage(text, "a") for text in ("it's: #1", "what is 2 * 3?", "ünï cödé", '"quoted"', "- dash")]
    write_nlu(odd, tmp_path / "nlu.yml")
    assert load_messages(tmp_path / "nlu.yml") == odd


def test_prepare_splits_a_single_file(tmp_path):
    write_nlu(MESSAGES, tmp_path / "nlu.yml")
    training, test = prepare(tmp_path / "nlu.yml", tmp_path / "work", sample=100)
    assert (len(load_messages(training)), len(load_messages(test))) == (100, 40)
    assert len(load_messages(tmp_path / "work" / "keyword.yml")) == 2


@pytest.mark.parametrize("entities", [False, True])
def test_prepare_keeps_entities_where_it_is_asked_to(tmp_path, entities):
    city = EntitySpan(8, 9, "city", role="from")
    messages = [message._replace(entities=(city, EntitySpan(0, 7, "word"))[::-1]) for message in MESSAGES]
    write_nlu(messages, tmp_path / "nlu.yml")
    for path in prepare(tmp_path / "nlu.yml", tmp_path / "work", sample=0, entities=entities):
        assert {message in messages for message in load_messages(path, entities=True)} == {entities}


def test_both_featurizers_stand_in_the_same_pipeline(tiny_weights):
    items = featurizers(str(tiny_weights))
    assert {Path(item["model_weights"]) for item in items.values()} == {tiny_weights}
    configs = [featurizer_config(items[name], diet_epochs=7) for name in (LMF, QUANTIZED)]
    for config in configs:
        config["pipeline"].pop(1)
    assert configs[0] == configs[1]
    assert configs[0]["pipeline"][-1]["epochs"] == 7 and "random_seed" in configs[0]["pipeline"][-1]


def test_featurizer_results_as_markdown():
    times = {LMF: {"p50_ms": 40.0, "p95_ms": 50.0}, QUANTIZED: {"p50_ms": 1.0, "p95_ms": 2.0}}
    near = {name: {"rows": 9, "mean": 0.999, "percentile_1": 0.991} for name in ("words", "sentence")}
    row = {"accuracy": 0.9, "macro_f1": 0.8, "entity_f1": 0.7}
    content = {
        "training_messages": 200,
        "test_messages": 3,
        "command": "python -m something",
        "environment": environment(),
        "alone": [{"weights": "tiny", **times, "ratio": 40.0, "similarity": near}],
        "training": {"messages": 500, "seconds": {LMF: 60.0, QUANTIZED: 10.0}},
        "results": [
            {"model": "lmf_diet_42", **row},
            {"model": "lmf_diet_43", **row, "entity_f1": 0.8},
            {"model": "quantized_diet_42", **row},
        ],
    }
    text = to_markdown("some data", content)
    assert "| tiny | 40.00 | 50.00 | 1.00 | 2.00 | 40.0 |" in text and "0.9990 on average" in text
    assert "6.0 times faster" in text and "| Quantized featurizer + DIET, seed 42 | 90.0 % | 80.0 % | 70.0 % |" in text
    assert "| LanguageModelFeaturizer | 90.0 ± 0.0 | 80.0 ± 0.0 | 75.0 ± 7.1 |" in text
    assert "| rasa_compressed_bert.QuantizedBertFeaturizer | 90.0 | 80.0 | 70.0 |" in text, "one seed has no deviation"
    assert "| difference | +0.0 | +0.0 | -5.0 |" in text
    del content["results"][0]["entity_f1"]
    content["results"][1]["entity_f1"] = None
    assert "| difference | +0.0 | +0.0 |\n" in to_markdown("data without entities", content)


@pytest.mark.slow
def test_featurizers_are_measured_alone(tiny_weights, tmp_path):
    texts = ["hello you", "will it rain today", "play a song please", "oh it is hot"]
    write_nlu([LabelledMessage(text, "a") for text in texts], tmp_path / "nlu.yml")
    folders = {"training": tmp_path / "nlu.yml", "test": tmp_path / "nlu.yml", "folder": tmp_path}
    times = measured("latency", str(tiny_weights), **folders)
    assert all(0 < times[name]["p50_ms"] <= times[name]["p95_ms"] for name in (LMF, QUANTIZED))
    near = measured("similarity", str(tiny_weights), **folders)
    assert (near["words"]["rows"], near["sentence"]["rows"]) == (14, 4)
    assert near["words"]["mean"] > 0.98  # not of sentences: Rasa hard-codes the ids of [CLS] and [SEP]


def test_published_command_names_no_folder_outside(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script", "--data", "snips=/some/where/snips", "--sample", "5"])
    assert command_line("benchmarks.x") == "python -m benchmarks.x --data snips=DATA/snips --sample 5"
    assert named_folder("a=b/c") == ("a", Path("b/c")) and named_folder("b/c") == ("c", Path("b/c"))


@pytest.mark.parametrize("sparsity", [0.4, 0.7])
def test_evenly_pruned_has_the_sparsity(sparsity):
    shape = bert_base_shape()
    left = evenly_pruned(shape, sparsity).encoder_size() / shape.encoder_size()
    assert left == pytest.approx(1 - sparsity, abs=0.005)


def test_bits_are_those_of_the_post_and_every_setting_is_valid():
    assert len(SETTINGS) == len(set(SETTINGS)) == 34
    for setting in SETTINGS:
        quantization = QuantizationConfig("kmeans", **setting._asdict())
        assert not list(PrunedBertIntentClassifierConfig(quantization=quantization).conflicts())
    plain = {setting[:2] for setting in SETTINGS if setting.per_channel and not setting.aware_training}
    assert plain == {pair for b in (8, 4, 3, 2, 1) for pair in ((b, b), (b, 8), (8, b))} | {(2, 4)}


def scored_cells():
    """Scores that fall with the number of bits."""
    others = {"accuracy": 0.5, "stored": 100, "archived": 50}
    return {s: {**s._asdict(), "macro_f1": 0.1 * (s.encoder_bits + s.embedding_bits) / 2, **others} for s in SETTINGS}


def test_claims_of_the_post_follow_from_the_scores():
    cells = scored_cells()
    for setting, f1 in {
        Setting(2, 2): 0.79,
        Setting(2, 2, per_channel=False): 0.70,
        Setting(1, 8): 0.796,
        Setting(1, 8, per_channel=False): 0.79,
        Setting(8, 1): 0.6,
    }.items():
        cells[setting]["macro_f1"] = f1
    cells[Setting(2, 2, aware_training=True)] = {"refused": "why"}
    two, binary, sensitive = kmeans_bits.claims(cells, {"macro_f1": 0.8})
    assert "as in the post: 0.800 -> 0.700 (12.5 % less), does not hold; one scale a channel: 0.800 -> 0.790" in two
    assert "(1.2 % less), holds; trained for it: 0.800 -> refused, unknown." in two
    assert "a matrix, as in the post: 0.800 -> 0.790 (1.2 % less), does not hold" in binary
    assert "a channel: 0.800 -> 0.796 (0.5 % less), holds" in binary
    assert "one scale a channel: 1-bit embeddings 0.600, 1-bit encoder 0.796, holds" in sensitive


def test_bits_as_markdown_and_plot(tmp_path):
    cells = scored_cells()
    cells[Setting(1, 1)] = {**Setting(1, 1)._asdict(), "refused": "why"}
    dense = {"macro_f1": 0.9, "accuracy": 0.95, "stored": 1000, "archived": 800}
    content = {"dense": dense, "cells": list(cells.values())}
    text = kmeans_bits.to_markdown("some data", content)
    assert "| all | a channel |  | 80.0 % | 40.0 % | 30.0 % | 20.0 % | refused |" in text
    assert "| encoder only | a channel | yes |  |  |  |  | 45.0 % |" in text
    assert "| 2 | 4 | a channel |  | 30.0 % | -60.0 | 50.0 % | 10.0 % | 6.2 % |" in text
    kmeans_bits.plot(content, tmp_path / "bits.png", title="some data")
    assert (tmp_path / "bits.png").stat().st_size > 1000


@pytest.fixture
def dense():
    """A dense model with random weights, whose archive does not exist."""
    options = {"max_length": 32, "pruning": {"method": "none"}, "quantization": {"method": "none"}}
    artifact = small_artifact(shape=DENSE, int8=False)
    manifest = {**artifact.manifest, "config": PrunedBertIntentClassifierConfig.from_dict(options).to_dict()}
    examples = [Example(text, "abc"[index % 3]) for index, text in enumerate(["oh it is", "hot", "cold oh"] * 4)]
    return Dense(Path("nowhere"), replace(artifact, manifest=manifest), examples)


def test_bits_that_were_measured_before_an_interruption_are_kept(dense, tmp_path, monkeypatch):
    some = (Setting(8, 8), Setting(2, 4), Setting(1, 8))
    monkeypatch.setattr(kmeans_bits, "SETTINGS", some)
    made, quantized = [], Dense.quantized

    def interrupted(self, quantization):
        made.append(quantization.encoder_bits)
        if made == [8]:
            return quantized(self, quantization)
        if len(made) == 2:
            raise KeyboardInterrupt
        raise ExportError("no")

    monkeypatch.setattr(Dense, "quantized", interrupted)
    messages = [LabelledMessage("it is hot", "a"), LabelledMessage("", "b")]
    with pytest.raises(KeyboardInterrupt):
        kmeans_bits.measure(dense, messages, path=tmp_path / "bits.json")
    content = kmeans_bits.measure(dense, messages, path=tmp_path / "bits.json")
    assert made == [8, 2, 2, 1]
    first, *others = content["cells"]
    assert first["encoder_bits"] == 8 and 0 < first["archived"] <= first["stored"] < content["dense"]["stored"]
    assert [cell["refused"] for cell in others] == ["no", "no"]
    with pytest.raises(CompressedBertError, match="differs in test messages"):
        kmeans_bits.measure(dense, messages[:1], path=tmp_path / "bits.json")
    monkeypatch.setattr(kmeans_bits, "model_code", lambda: "other code")
    with pytest.raises(CompressedBertError, match="differs in code"):
        kmeans_bits.measure(dense, messages, path=tmp_path / "bits.json")


def test_a_model_that_other_code_has_quantized_is_made_anew(dense, tmp_path, monkeypatch):
    made = []

    def archived(self, artifact, target):
        made.append(artifact)
        target.write_bytes(b"")

    monkeypatch.setattr(runtimes, "METHODS", {"none": runtimes.METHODS["none"]})
    monkeypatch.setattr(runtimes, "RUNTIMES", ("onnxruntime",))
    monkeypatch.setattr(runtimes, "compare_models", lambda archives, messages: [{} for _ in archives])
    monkeypatch.setattr(runtimes, "_engines_alone", lambda archives, path: {str(archive): 1.0 for archive in archives})
    monkeypatch.setattr(runtimes, "artifact_in", lambda archive: small_artifact())
    monkeypatch.setattr(Dense, "quantized", lambda self, quantization, runtime: runtime)
    monkeypatch.setattr(Dense, "archived", archived)
    for code in ("this code", "this code", "other code"):
        monkeypatch.setattr(runtimes, "model_code", lambda code=code: code)
        runtimes.measure(dense, [], folder=tmp_path)
    assert made == ["onnxruntime", "onnxruntime"]


def test_runtimes_as_markdown_and_plot(tmp_path):
    results = []
    for index, (method, runtime) in enumerate((m, r) for m in runtimes.METHODS for r in runtimes.RUNTIMES):
        result = {"model": f"{method}, {runtime}", "method": method, "runtime": runtime, "engine_p50_ms": 1.0 + index}
        results.append({**result, "accuracy": 0.9, "macro_f1": 0.8, "latency_p50_ms": 2.0, "archive_mb": 80.0 - index})
    content = {"results": results, "refused": {"one, of them": "It disagrees."}, "tflite_interpreter": "this one 1.0"}
    text = runtimes.to_markdown("some data", content)
    assert "| dynamic_int8, tflite | 90.0 % | 80.0 % | 2.00 | 76.0 | 5.00 |" in text and "this one 1.0" in text
    assert "Archive with kmeans 2/4 aware: 77.5 % of that in 32-bit floats (promised: 10 %)." in text
    assert "Engine alone, dynamic_int8, tflite: 1.67 times TensorFlow's time in 32-bit floats." in text
    assert "- one, of them: It disagrees.\n" in text
    runtimes.plot(content, tmp_path / "runtimes.png", title="some data")
    assert (tmp_path / "runtimes.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_model_in_several_runtimes_is_measured_through_rasa(tiny_weights, tmp_path, monkeypatch):
    texts = {"weather": ["is it hot today", "rain tomorrow"], "food": ["a spicy pizza please", "order curry"]}
    messages = [LabelledMessage(text, intent) for intent, group in texts.items() for text in group]
    write_nlu(messages * 5, tmp_path / "nlu.yml")
    config = row_config("dense_fp32", epochs=1)
    config["pipeline"][0]["model_weights"] = str(tiny_weights)
    train_row(tmp_path / "dense", config, tmp_path / "nlu.yml")
    archive = tmp_path / "dense" / "model.tar.gz"
    examples = [Example(message.text, message.intent) for message in messages * 5]
    dense = Dense(archive, artifact_in(archive), examples)
    monkeypatch.setattr(runtimes, "METHODS", {"kmeans 4/4": runtimes.METHODS["kmeans 4/4"]})
    monkeypatch.setattr(runtimes, "RUNTIMES", ("onnxruntime", "tensorflow"))
    content = runtimes.measure(dense, messages, folder=tmp_path / "runtimes")
    assert [row["runtime"] for row in content["results"]] == list(runtimes.RUNTIMES) and not content["refused"]
    assert all(row["engine_p50_ms"] > 0 and row["latency_p50_ms"] > 0 for row in content["results"])
    (made,) = (tmp_path / "runtimes").rglob("kmeans_4-4_tensorflow.tar.gz")
    with unpacked(made) as folder:
        nodes = metadata(folder)["predict_schema"]["nodes"].values()
        (options,) = [node["config"] for node in nodes if "runtime" in node["config"]]
        assert not list(folder.rglob("model.onnx")) and len(list(folder.rglob("model.pb"))) == 1
    assert options["runtime"] == "tensorflow" and options["quantization"]["encoder_bits"] == 4


def test_distillation_as_markdown_and_plot(tmp_path):
    cell = {"accuracy": 0.5, "parameters": 1_500_000, "archived_mb": 1.25, "training_s": 9.0}
    cells = [
        {"student": name, "seed": seed, "distilled": distilled, "macro_f1": 0.6 + 0.1 * seed + 0.05 * distilled, **cell}
        for name in ("ngrams", "spacy_textcat")
        for seed in (1, 2)
        for distilled in (False, True)
    ]
    content = {
        "training_messages": 200,
        "test_messages": 3,
        "teacher": {**cell, "macro_f1": 0.9, "accuracy": 0.91},
        "teacher_int8": {**cell, "macro_f1": 0.89, "accuracy": 0.9},
        "latency_ms": {"teacher": 4.0, "teacher_int8": 1.0, "ngrams": 0.05, "spacy_textcat": 0.5},
        "cells": cells,
        "made_from": {"n_iter": 20},
        "command": "python -m something",
        "environment": environment(),
    }
    text = run_distillation.to_markdown("some data", content)
    assert "| teacher | labels | 91.0 % | 90.0 % | 1.50 | 1.25 | 4.000 |  |" in text
    assert "| teacher, int8 | labels | 90.0 % | 89.0 % | 1.50 | 1.25 | 1.000 |  |" in text
    assert "| N-gram student | labels | 50.0 ± 0.0 % | 75.0 ± 7.1 % | 1.50 | 1.25 |  | 9 |" in text
    assert "| N-gram student | teacher | 50.0 ± 0.0 % | 80.0 ± 7.1 % | 1.50 | 1.25 | 0.050 | 9 |" in text
    run_distillation.plot(content, tmp_path / "plot.png", title="some data")
    assert (tmp_path / "plot.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
def test_students_alone_and_distilled(tiny_weights, tmp_path, monkeypatch):
    """Runs the whole script with tiny weights on a few messages; a second run trains nothing."""
    monkeypatch.setattr("rasa_compressed_bert.config.distilled_classifier._WEIGHTS", str(tiny_weights))
    texts = {"a": "hello hi hey morning".split(), "b": "rain sun warm cold".split()}
    data = [
        LabelledMessage(f"{word} {more}", name) for name, words in texts.items() for word in words for more in "xyz"
    ]
    (tmp_path / "tiny").mkdir()
    for name in ("train", "test"):
        write_nlu(data, tmp_path / "tiny" / f"{name}.yml")
    options = ["--data", str(tmp_path / "tiny"), "--students", "ngrams", "--seeds", "1", "--n-iter", "2"]
    folders = ["--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["run_distillation", *options, *folders])
    assert run_distillation.main() == 0
    content = json.loads((tmp_path / "distillation_tiny.json").read_text())
    assert len(content["cells"]) == 2 and set(content["latency_ms"]) == {"teacher", "teacher_int8", "ngrams"}
    monkeypatch.setattr(run_distillation, "train_distilled_classifier", None)
    assert run_distillation.main() == 0
