import re
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_archives import CROSS_FITTED, DENSE, NODE, PRUNED, SCORES, small_artifact, write_archive

from rasa_compressed_bert.artifact.artifact import WEIGHTS, Artifact, write_artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.benchmark import latency
from rasa_compressed_bert.benchmark.latency import before_and_after
from rasa_compressed_bert.benchmark.random_models import random_artifact
from rasa_compressed_bert.errors import ArtifactError, CompressedBertError
from rasa_compressed_bert.inspection.description import describe, inspect_model
from rasa_compressed_bert.inspection.report import inspection_blocks
from rasa_compressed_bert.models.head_layer import ANSWERER, HALFWAY_TAGGER, TAGGER
from rasa_compressed_bert.reporting.terminal import as_text


def test_sparsity_is_that_of_the_removed_weights():
    report = describe(small_artifact())
    assert report["sparsity"] == pytest.approx(1 - PRUNED.encoder_size() / DENSE.encoder_size())
    assert [layer["num_attention_heads"] for layer in report["layers"]] == [[2, 1], [2, 0]]
    assert report["layers"][1]["weights"] == [4 * 16 * 16 + 2 * 16 * 32, 2 * 16 * 16]


def test_nothing_pruned_is_no_sparsity_and_all_parameters():
    report = describe(small_artifact(shape=DENSE, int8=False))
    assert report["sparsity"] == 0.0
    assert report["parameters"]["now"] == report["parameters"]["dense"]
    assert report["quantization"]["encoder_bits"] == report["quantization"]["embedding_bits"] == 32


def test_parameters_and_sizes_count_the_head():
    report = describe(small_artifact())
    dense = sum(int(np.prod(shape)) for shape in DENSE.parameter_shapes().values()) + 16 * 3 + 3
    now = sum(int(np.prod(shape)) for shape in PRUNED.parameter_shapes().values()) + 16 * 3 + 3
    assert (report["parameters"]["dense"], report["parameters"]["now"]) == (dense, now)
    assert report["bytes"]["dense_fp32"] == 4 * dense
    assert report["bytes"]["stored"] == sum(report["files"].values())
    assert 0 < report["embeddings"]["share_of_archived"] < 1


@pytest.mark.parametrize("layer", [TAGGER, HALFWAY_TAGGER, ANSWERER])
def test_an_unpruned_model_has_as_many_parameters_as_the_dense_one(layer):
    """A tagger reads three wordpieces, that of format 3 only one."""
    artifact = small_artifact(shape=DENSE, int8=False)
    for rows in (layer.rows(16, 16), 16):
        tensors = tensors_from_bytes(artifact.files[WEIGHTS])
        tensors.update({layer.kernel: np.ones((rows, 5), np.float32), layer.bias: np.ones(5, np.float32)})
        counts = describe(Artifact(artifact.manifest, {**artifact.files, WEIGHTS: tensors_to_bytes(tensors)}))
        assert counts["parameters"]["now"] == counts["parameters"]["dense"]


def test_bits_are_those_that_the_values_need():
    quantization = describe(small_artifact())["quantization"]
    assert (quantization["encoder_bits"], quantization["embedding_bits"]) == (8, 6)


def test_weight_pruning_counts_zeros_layer_by_layer():
    artifact = small_artifact(shape=DENSE, int8=False, method="weight")
    tensors = tensors_from_bytes(artifact.files[WEIGHTS])
    for name in tensors:
        if name.startswith("layers.0.") and name.endswith(".kernel"):
            tensors[name][...] = 0
    report = describe(Artifact(artifact.manifest, {**artifact.files, WEIGHTS: tensors_to_bytes(tensors)}))
    assert [layer["sparsity"] for layer in report["layers"]] == [1.0, 0.0]
    assert report["sparsity"] == pytest.approx(0.5)
    assert report["sparsity_is"] == "zero weights"


def test_archive_folder_of_archives_and_artifact_folder_say_the_same(archive, tmp_path):
    write_artifact(small_artifact(), tmp_path / "artifact")
    expected = inspect_model(archive)["components"][NODE]
    assert inspect_model(archive.parent)["components"][NODE] == expected
    assert inspect_model(tmp_path / "artifact")["components"]["artifact"] == expected


def test_the_excerpt_of_the_tutorial_has_these_rows():
    page = Path(__file__).parents[2] / "docs" / "first_bot.md"
    excerpt = re.search(r"```\n(first\.tar\.gz: .*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)[1]
    report = {"archive": "model.tar.gz", "archive_bytes": 2_000_000, "components": {NODE: describe(small_artifact())}}
    shown, expected = (
        set(re.findall(r"^(\w.*?)  ", text, flags=re.MULTILINE))
        for text in (excerpt, as_text(inspection_blocks(report)))
    )
    assert len(shown) > 10 and shown <= expected


def test_text_has_widths_scores_and_latency():
    report = describe(small_artifact())
    report["latency"] = before_and_after(small_artifact(), text="oh it is hot")
    text = as_text(
        inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 2_000_000, "components": {NODE: report}})
    )
    for part in ("model.tar.gz: 2.0 MB", "2 -> 1", "32 -> 16", "90.0 %", "-2.0", "fp32 before", "6 wordpieces"):
        assert part in text, text
    for part in (
        "macro F1, training messages",
        "Scores: of the model before its export; parity says what the export changed.",
        "macro F1 71.0 %, accuracy 92.0 %, accuracy of all views 83.0 %, loss 0.3, models 2, messages 40",
        "classifier 0.50, characters 0.50; probabilities to the power of 1.25",
        "neighbours: 39 messages stored; with a familiarity below 0.420, a confidence is below 0.3 (5.0 % of 38 ",
    ):
        assert part in text, text


def test_latency_before_is_measured_without_trimmed_wordpieces(monkeypatch):
    """They would take more than a gigabyte: a multilingual vocabulary has 250,000."""
    trimmed, sizes = small_artifact(), []
    manifest = {**trimmed.manifest, "dense_encoder": replace(DENSE, vocab_size=250_037).to_dict()}

    def made(shape, **options):
        sizes.append(shape.vocab_size)
        return random_artifact(replace(shape, vocab_size=9), **options)

    monkeypatch.setattr(latency, "random_artifact", made)
    before_and_after(Artifact(manifest, trimmed.files), text="oh it is hot")
    assert sizes == [9, 9]


def test_roles_and_groups_are_no_types_of_entities():
    small = small_artifact()
    labels = [["city", None, None], ["city", "from", None], ["city", "from", "1"], ["time", None, None]]
    manifest = {**small.manifest, "entities": {"labels": labels, "bilou": True}}
    assert describe(Artifact(manifest, small.files))["entities"] == 2


def test_the_temperature_is_that_of_what_the_model_predicts():
    """Every manifest has a temperature of intents, also that of a model without any."""
    small = small_artifact()
    entities = {"labels": [["city", None, None]], "bilou": True}
    manifest = {**small.manifest, "entities": entities}
    assert describe(small)["temperature"] == describe(Artifact(manifest, small.files))["temperature"] == 1.5
    assert describe(Artifact({**manifest, "labels": []}, small.files))["temperature"] is None
    answers = {
        **small.manifest,
        "labels": [],
        "answers": {"threshold": 0.5},
        "held_out": {"exact": 0.5, "questions": 100},
    }
    report = describe(Artifact(answers, small.files))
    assert report["temperature"] is None
    blocks = inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}})
    text = as_text(blocks)
    assert "temperature" not in text and "training messages, dense" not in text and "encoder in floats" not in text
    assert "accuracy, training questions, %" in text and "training questions, dense" in text


def test_responses_are_counted_and_scored():
    small, scores = small_artifact(), {"accuracy": 0.9, "responses_macro_f1": 0.75, "responses_accuracy": 0.8}
    entry = {"labels": ["faq/a", "faq/b"], "temperature": 1.0}
    report = describe(
        Artifact({**small.manifest, "responses": entry, "training_scores": {"final": scores}}, small.files)
    )
    assert report["responses"] == 2 and describe(small)["responses"] == 0
    text = as_text(
        inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}}), width=120
    )
    assert "3 intents, 2 responses, messages of up to 32 wordpieces" in text
    assert "accuracy 90.0 %, macro F1 of responses 75.0 %, accuracy of responses 80.0 %" in text


def test_weak_and_confused_intents_of_held_out_messages_are_listed():
    small = small_artifact()
    weakest = [{"intent": "a", "f1": 0.5, "messages": 12}, {"intent": "b", "f1": 0.75, "messages": 1}]
    confused = [{"intent": "a", "predicted": "c", "messages": 7, "example": 4}]
    cross_fitted = {**small.manifest["cross_fitted"], "weakest": weakest, "confused": confused}
    report = describe(Artifact({**small.manifest, "cross_fitted": cross_fitted}, small.files))
    text = as_text(inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}}))
    words = " ".join(text.split())
    assert "weakest intents a (F1 50.0 % on 12 messages), b (F1 75.0 % on 1 message)" in words
    assert "most confused a taken for c 7 times" in words


def test_scores_of_an_artifact_of_version_2_are_those_of_held_out_messages():
    manifest = small_artifact().manifest
    old = {key: manifest[key] for key in manifest if key not in ("cross_fitted", "training_scores", "out_of_scope")}
    old.pop("views")
    artifact = Artifact({**old, "validation": {"dense": {"macro_f1": 0.9}}}, small_artifact().files)
    report = describe(artifact)
    assert report["held_out"] == {"validation, dense": {"macro_f1": 0.9}} and report["training_scores"] == {}
    text = as_text(inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}}))
    assert "validation, dense" in text and "out of scope" not in text and "training messages" not in text


def text_with(**changes):
    artifact = small_artifact()
    report = describe(Artifact({**artifact.manifest, **changes}, artifact.files))
    blocks = inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}})
    return " ".join(as_text(blocks).split())


def test_scores_of_the_messages_of_two_trainings_are_not_compared():
    assert "macro F1, training messages, % 90.0 88.0 -2.0" in text_with()
    scores = small_artifact().manifest["training_scores"]
    text = text_with(training_scores={**scores, "finetuned": SCORES, "final": SCORES})
    assert "training messages, %" not in text and "training messages, finetuned macro F1 90.0 %" in text


def test_counts_of_held_out_messages_are_not_rounded():
    text = text_with(cross_fitted={**CROSS_FITTED, "messages": 12345})
    assert "models 2, messages 12345" in text and "loss 0.3," in text


CHANGES = {"messages": 10, "changed": 1, "decisively_changed": 0, "distance": 0.02}


@pytest.mark.parametrize(
    "parity, lines",
    [
        ({"tags": CHANGES}, ["parity of tags 1 of 10 labels changed by the export, confidences by 0.0200 on average"]),
        ({**CHANGES, "accuracy": None}, ["parity 1 of 10 labels changed by the export"]),
        (
            {**CHANGES, "accuracy": 0.9, "tones": {**CHANGES, "changed": 2, "accuracy": 0.8}},
            ["accuracy on these messages 90.0 %", "parity of tones 2 of 10", "accuracy on these messages 80.0 %"],
        ),
        ({**CHANGES, "labelled": 4, "accuracy": 0.75}, ["accuracy on the 4 labelled ones 75.0 %"]),
    ],
    ids=["entities alone", "messages without an intent", "another head", "some messages without an intent"],
)
def test_text_has_the_parity_of_each_head(parity, lines):
    artifact = small_artifact()
    report = describe(Artifact({**artifact.manifest, "parity": parity}, artifact.files))
    text = as_text(inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}}))
    for line in lines:
        assert line in " ".join(text.split()), text


def test_weights_without_a_name_are_left_out():
    """A student that is a BERT starts from its teacher."""
    artifact = small_artifact()
    report = describe(Artifact({**artifact.manifest, "config": {"pruning": {}}}, artifact.files))
    text = as_text(inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}}))
    assert "weights 3 intents, messages" in " ".join(text.split()), text


def test_names_of_intents_that_are_learnt_are_counted():
    artifact = small_artifact()
    reports = [describe(Artifact({**artifact.manifest, "num_names": count}, artifact.files)) for count in (0, 2)]
    texts = [
        as_text(inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}}))
        for report in reports
    ]
    assert "names of intents" not in texts[0] and "2 of 3 learnt as messages" in texts[1]


def test_a_model_without_held_out_messages_is_not_calibrated():
    artifact = small_artifact()
    uncalibrated = {"cross_fitted": None, "out_of_scope": {**artifact.manifest["out_of_scope"], "calibrated": False}}
    report = describe(Artifact({**artifact.manifest, **uncalibrated}, artifact.files))
    text = as_text(inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}}))
    assert report["held_out"] == {} and text.count("not calibrated: no training messages were held out") == 2


def test_a_temperature_of_too_few_held_out_messages_is_not_calibrated():
    artifact = small_artifact()
    few = {"temperature": 1.0, "cross_fitted": {**CROSS_FITTED, "messages": 12}}
    report = describe(Artifact({**artifact.manifest, **few}, artifact.files))
    text = as_text(inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}}))
    assert "1.000 (not calibrated: a single intent, or fewer than 20 held-out messages)" in " ".join(text.split())


def test_untrained_component_is_said_to_be_untrained(tmp_path):
    archive = write_archive(tmp_path / "model.tar.gz", {NODE: Artifact({"kind": "untrained"}, {})})
    assert "Untrained" in as_text(inspection_blocks(inspect_model(archive)))


def test_archive_without_our_components_is_refused(tmp_path):
    with pytest.raises(CompressedBertError, match="no component of rasa_compressed_bert"):
        inspect_model(write_archive(tmp_path / "model.tar.gz", {}))


def test_damaged_component_is_named(tmp_path):
    artifact = small_artifact()
    folder = tmp_path / "model.tar.gz_content" / "components" / NODE
    write_archive(tmp_path / "model.tar.gz", {NODE: artifact})
    (folder / WEIGHTS).write_bytes(b"short")
    with tarfile.open(str(tmp_path / "damaged.tar.gz"), "w:gz") as tar:
        tar.add(str(tmp_path / "model.tar.gz_content"), arcname="")
    with pytest.raises(ArtifactError, match=f"{NODE}.*{WEIGHTS}"):
        inspect_model(tmp_path / "damaged.tar.gz")


@pytest.mark.parametrize(
    "calibration, said",
    [
        ({"slope": 0.5, "intercept": 1.0}, "calibrated on held-out messages"),
        ({"values": {"city": ["bern", "new york"]}}, "2 values searched for in messages"),
        ({}, "not calibrated: fewer than 20 entities were found in held-out messages"),
        ({"temperature": 2.5}, "calibrated on held-out messages"),  # older models
    ],
)
def test_whether_confidences_of_entities_are_calibrated_and_how_many_values_are_listed(calibration, said):
    small = small_artifact()
    entities = {"labels": [["city", None, None]], "bilou": True, **calibration}
    manifest = {**small.manifest, "entities": entities, "cross_fitted": {"messages": 40, "folds": 2, "score": {}}}
    report = describe(Artifact(manifest, small.files))
    blocks = inspection_blocks({"archive": "model.tar.gz", "archive_bytes": 1, "components": {NODE: report}})
    assert said in " ".join(as_text(blocks).split())
