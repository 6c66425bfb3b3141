"""Inspecting components that are not intent classifiers, and models that are not served in the default way."""

import json

import numpy as np
import pytest
from small_archives import DENSE, PRUNED, small_artifact, word_tokenizer, write_archive

from rasa_compressed_bert.__main__ import main
from rasa_compressed_bert.artifact.artifact import Artifact, read_artifact, write_artifact
from rasa_compressed_bert.benchmark.latency import before_and_after
from rasa_compressed_bert.benchmark.random_models import random_artifact
from rasa_compressed_bert.compression.fake_quantization import FakeQuantizer
from rasa_compressed_bert.compression.quantization import calibration_for
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.export.featurizer import export_featurizer
from rasa_compressed_bert.export.serving import Format
from rasa_compressed_bert.inspection.description import describe, inspect_model
from rasa_compressed_bert.inspection.report import inspection_blocks
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.reporting.terminal import as_text
from rasa_compressed_bert.runtime.engines import open_engine

NODE = "train_rasa_compressed_bert.QuantizedBertFeaturizer1"
KMEANS = QuantizationConfig(method="kmeans", encoder_bits=2, embedding_bits=3)


def featurizer_artifact(quantization=QuantizationConfig(), *, runtime="onnxruntime"):  # noqa: B008
    """A featurizer's artifact with random weights."""
    rng = np.random.default_rng(0)
    parameters = {
        name: rng.normal(0.0, 0.05, size).astype(np.float32) + name.endswith("gamma")
        for name, size in DENSE.parameter_shapes().items()
    }
    calibration = calibration_for(parameters, quantization, {})
    kmeans = FakeQuantizer(quantization, calibration) if quantization.method == "kmeans" else None
    encoder = BertEncoder(DENSE, parameters, quantizer=kmeans)
    ids = np.array([2, 4, 5, 6, 3])
    return export_featurizer(
        ModelState(DENSE, parameters, word_tokenizer().decode("utf-8")),
        Format(quantization, runtime, calibration),
        manifest={
            "max_length": 32,
            "dense_encoder": DENSE.to_dict(),
            "config": {"model_weights": "some/folder/tiny", "vocabulary": "full"},
        },
        input_ids=[ids],
        hidden_states=[encoder(ids[np.newaxis], np.ones((1, 5), np.int32))[-1][0].numpy()],
    )


def text_of(artifact, *, latency=False):
    report = describe(artifact)
    if latency:
        report["latency"] = before_and_after(artifact, text="oh it is hot")
    return as_text(
        inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 2_000_000, "components": {NODE: report}})
    )


def test_featurizer_has_no_intents_no_temperature_and_its_own_parity():
    report = describe(featurizer_artifact())
    assert (report["kind"], report["intents"], report["temperature"]) == ("featurizer", 0, None)
    assert report["pruning"] == {} and report["held_out"] == {} and report["sparsity"] == 0.0
    assert report["training_scores"] == {} and report["views"] is None and report["out_of_scope"] is None
    assert set(report["parity"]) == {"messages", "similarity"} and report["parity"]["messages"] == 1
    assert report["parameters"]["now"] == report["parameters"]["dense"]
    json.dumps(report, allow_nan=False)


def test_text_of_a_featurizer_says_what_there_is_and_nothing_else():
    text = text_of(featurizer_artifact())
    for part in (
        "(featurizer)",
        "tiny, messages of up to 32 wordpieces",
        "dynamic_int8: encoder 8 bits, embeddings 6 bits, a scale per channel",
        "runtime       onnxruntime",
        "of the hidden states of 1 message,",
        "model.onnx",
        "before: the encoder in floats",
    ):
        assert part in text, text
    absent = ("intents", "temperature", "pruning", "unknown", "None", "fine-tuned")
    for part in (*absent, "validation", "training messages", "views", "Scores"):
        assert part not in text, text


def test_archive_with_a_featurizer_and_a_classifier(tmp_path, capsys):
    classifier = small_artifact()
    archive = write_archive(tmp_path / "model.tar.gz", {NODE: featurizer_artifact(), "train_classifier2": classifier})
    assert [part["kind"] for part in inspect_model(archive)["components"].values()] == [
        "featurizer",
        "intent_classifier",
    ]
    assert main(["inspect", "--latency", str(archive)]) == 0
    text = capsys.readouterr().out
    assert text.count("latency, ms (fp32 before)") == 2 and "3 intents" in text


def test_latency_of_a_featurizer_is_measured_without_a_head(tmp_path, capsys):
    write_artifact(featurizer_artifact(), tmp_path / "artifact")
    assert main(["inspect", "--latency", "--json", str(tmp_path / "artifact")]) == 0
    latency = json.loads(capsys.readouterr().out)["components"]["artifact"]["latency"]
    assert set(latency["p50_ms"]) == {"dense_fp32", "dense_int8", "now", "now_with_tokenizer"}
    assert min(latency["p50_ms"].values()) > 0


def test_random_encoder_without_a_head_serves_hidden_states():
    ids = np.ones((2, 7), np.int64)
    assert open_engine(random_artifact(PRUNED, int8=True, classes=0)).run(ids, ids)[0].shape == (2, 7, 16)
    assert open_engine(random_artifact(PRUNED, int8=True, classes=3)).run(ids, ids)[0].shape == (2, 3)


def test_bits_of_kmeans_are_those_that_are_stored():
    report = describe(featurizer_artifact(KMEANS))
    assert (report["quantization"]["encoder_bits"], report["quantization"]["embedding_bits"]) == (2, 3)
    assert report["bytes"]["stored"] < describe(featurizer_artifact())["bytes"]["stored"]
    assert "kmeans: encoder 2 bits, embeddings 3 bits, a scale per channel" in text_of(featurizer_artifact(KMEANS))


@pytest.mark.parametrize(
    "options, said",
    [
        ({"method": "none"}, "none: encoder 32 bits, embeddings 32 bits\n"),
        ({"per_channel": False}, "a scale per matrix\n"),
    ],
    ids=str,
)
def test_format_is_told(options, said):
    assert said in text_of(featurizer_artifact(QuantizationConfig(**options)))


def test_classifier_tells_its_format_and_runtime_too():
    artifact = small_artifact()
    quantization = {**artifact.manifest["quantization"], "aware_training": True}
    report = describe(Artifact({**artifact.manifest, "quantization": quantization}, artifact.files))
    assert report["runtime"] == "onnxruntime" and report["quantization"]["aware_training"]
    text = as_text(inspection_blocks({"archive": "a", "archive_bytes": 1, "components": {NODE: report}}))
    for part in (
        "a scale per channel, quantization-aware training",
        "runtime",
        "neuron, sparsity",
        "1.500 (from held-out messages)",
    ):
        assert part in text, text


@pytest.mark.slow
@pytest.mark.parametrize("runtime, file", [("tflite", "model.tflite"), ("tensorflow", "model.pb")])
def test_other_runtimes_are_told_and_measured(runtime, file, tmp_path):
    write_artifact(featurizer_artifact(runtime=runtime), tmp_path / "artifact")
    text = text_of(read_artifact(tmp_path / "artifact"), latency=True)
    assert f"runtime       {runtime}" in text and file in text and "run in ONNX Runtime" in text
