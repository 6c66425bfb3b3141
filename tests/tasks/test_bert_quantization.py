"""Every format gives an artifact that predicts and can be finetuned."""

import json

import numpy as np
import pytest
from task_harness import EXAMPLES, accuracy, check, examples_of, parameters_of, zeros_of

from rasa_compressed_bert.artifact.artifact import TOKENIZER, WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.tasks.bert_training import (
    finetune_bert,
    requantize_bert,
    train_bert,
)

pytestmark = pytest.mark.slow

NO_PRUNING = {"method": "none"}
KMEANS = {"method": "kmeans", "encoder_bits": 2, "embedding_bits": 4}
FORMATS = {
    "none": {"method": "none"},
    "dynamic_int8": {"per_channel": False},
    "static_int8": {"method": "static_int8"},
    "kmeans": KMEANS,
    "kmeans a matrix": {**KMEANS, "per_channel": False},
}
AWARE = {
    "dynamic_int8": {"aware_training": True},
    "static_int8": {"method": "static_int8", "aware_training": True},
    "kmeans": {**KMEANS, "aware_training": True},
}


@pytest.fixture(scope="module")
def floats(configure):
    """A trained model in 32-bit floats."""
    config = configure(pruning=NO_PRUNING, epochs=12, quantization={"method": "none"}, validation_split=0.2)
    return train_bert(EXAMPLES, config)


def bytes_of_weights(artifact):
    return len(artifact.files[WEIGHTS])


def kernels_of(artifact):
    tensors = tensors_from_bytes(artifact.files[WEIGHTS])
    return {name: value for name, value in tensors.items() if name.startswith("layers.") and name.endswith(".kernel")}


@pytest.mark.parametrize("name", FORMATS)
def test_a_trained_model_in_another_format(floats, configure, name):
    config = configure(quantization=FORMATS[name])
    artifact = requantize_bert(EXAMPLES, config, floats)
    check(artifact, config)
    assert accuracy(artifact) > 0.6
    assert artifact.manifest["quantization"] == config.to_dict()["quantization"]
    scores = artifact.manifest["training_scores"]
    assert list(scores) == ["dense", "final"] and scores["dense"] == floats.manifest["training_scores"]["dense"]
    assert artifact.manifest["cross_fitted"] == floats.manifest["cross_fitted"] is not None
    if name == "none":
        for parameter, value in parameters_of(floats).items():
            np.testing.assert_array_equal(parameters_of(artifact)[parameter], value)
        return
    assert all(kernel.dtype == np.int8 for kernel in kernels_of(artifact).values())
    assert bytes_of_weights(artifact) < (0.25 if name.startswith("kmeans") else 0.45) * bytes_of_weights(floats)
    if name.startswith("kmeans"):
        assert {len(np.unique(kernel)) for kernel in kernels_of(artifact).values()} == {4}


def test_the_quantized_score_is_that_of_what_is_served(floats, configure):
    artifact = requantize_bert(EXAMPLES, configure(quantization=KMEANS), floats)
    parity, score = artifact.manifest["parity"], artifact.manifest["training_scores"]["final"]
    assert abs(parity["accuracy"] - score["accuracy"]) * parity["messages"] <= parity["changed"] + 1e-6
    assert parity["distance"] < 0.05
    assert parity["messages"] == len(EXAMPLES)
    assert score["loss"] != floats.manifest["training_scores"]["final"]["loss"]


@pytest.mark.parametrize("encoder_bits, embedding_bits", [(1, 1), (2, 2), (8, 1), (1, 8)])
def test_few_bits_are_exported_as_they_were_scored(floats, configure, encoder_bits, embedding_bits):
    quantization = {"method": "kmeans", "encoder_bits": encoder_bits, "embedding_bits": embedding_bits}
    artifact = requantize_bert(EXAMPLES, configure(quantization=quantization), floats)
    assert artifact.manifest["parity"]["distance"] < 0.01


def test_results_of_held_out_messages_are_kept_with_other_messages(floats, configure):
    config = configure(quantization=KMEANS, validation_split=0)
    artifact = requantize_bert(examples_of(size=1), config, floats)
    check(artifact, config)
    for key in ("cross_fitted", "temperature"):
        assert artifact.manifest[key] == floats.manifest[key]
    assert artifact.manifest["parity"]["messages"] == artifact.manifest["out_of_scope"]["compared_messages"] == 3


def test_formats_for_other_labels_are_refused(floats, configure):
    with pytest.raises(DataError, match="removed: .'music'."):
        requantize_bert(examples_of(intents=("weather", "spice")), configure(), floats)
    with pytest.raises(DataError, match="no examples"):
        requantize_bert([], configure(), floats)


def test_a_static_format_knows_the_ranges_of_every_product(floats, configure):
    artifact = requantize_bert(EXAMPLES, configure(quantization=FORMATS["static_int8"]), floats)
    tensors = tensors_from_bytes(artifact.files[WEIGHTS])
    products = [name[: -len(".kernel")] for name in tensors if name.endswith(".kernel")]
    assert len(products) == 2 * 4 + 1
    assert all(tensors[f"{name}.input_scale"] > 0 and f"{name}.input_zero_point" in tensors for name in products)


def loss(artifact):
    """Mean cross-entropy of the labels, in nats."""
    predictor = MessagePredictor(artifact)
    return -np.mean([np.log(dict(predictor.predict(example.text).ranking)[example.intent]) for example in EXAMPLES])


@pytest.mark.parametrize("name", AWARE)
def test_training_for_a_format_lowers_its_loss(floats, configure, name):
    """Measured without refitting the linear layer and without temperature scaling, which would hide it."""
    options = {"epochs": 10, "distillation": {"enabled": False}, "out_of_scope": {"detector": "none"}}
    told = {**floats.manifest["cross_fitted"], "refit": False, "temperature": 1.0}
    trained = Artifact({**floats.manifest, "cross_fitted": told}, floats.files)
    plain, aware = (
        requantize_bert(EXAMPLES, configure(**options, quantization=quantization), trained)
        for quantization in ({**AWARE[name], "aware_training": False}, AWARE[name])
    )
    check(aware, configure(**options, quantization=AWARE[name]))
    assert loss(aware) < 0.5 * loss(plain)
    assert aware.manifest["parity"]["distance"] < (0.05 if name == "kmeans" else 0.01)
    assert bytes_of_weights(aware) <= 1.02 * bytes_of_weights(plain)


def test_training_for_a_format_has_a_score(floats, configure):
    artifact = requantize_bert(EXAMPLES, configure(quantization=AWARE["dynamic_int8"]), floats)
    scores, parity = artifact.manifest["training_scores"], artifact.manifest["parity"]
    assert list(scores) == ["dense", "final"] and scores["dense"] == floats.manifest["training_scores"]["dense"]
    assert scores["final"]["accuracy"] == pytest.approx(parity["accuracy"], abs=0.04)


TRAINED = {
    "kmeans aware": {"quantization": AWARE["kmeans"], "distillation": {"enabled": False}},
    "trim": {"vocabulary": "trim", "vocabulary_size": 110},
}


def check_finetuning(artifact, config):
    """Asserts what holds for a model that is finetuned with the same options."""
    tuned = finetune_bert(EXAMPLES, config, artifact)
    check(tuned, config)
    scores = tuned.manifest["training_scores"]
    assert list(scores)[-2:] == ["finetuned", "final"]
    assert scores["dense"] == artifact.manifest["training_scores"]["dense"]
    for key in ("encoder", "dense_encoder", "quantization"):
        assert tuned.manifest[key] == artifact.manifest[key]
    assert tuned.files[TOKENIZER] == artifact.files[TOKENIZER]
    assert bytes_of_weights(tuned) <= 1.05 * bytes_of_weights(artifact)
    before, after = parameters_of(artifact), parameters_of(tuned)
    assert any(np.abs(before[parameter] - after[parameter]).max() > 1e-3 for parameter in before)
    return tuned


@pytest.mark.parametrize("name", ["static_int8", "kmeans"])
def test_finetuning_in_another_format(floats, configure, name):
    options = {"pruning": NO_PRUNING, "quantization": FORMATS[name]}
    artifact = requantize_bert(EXAMPLES, configure(**options), floats)
    assert accuracy(check_finetuning(artifact, configure(epochs=2, **options))) > 0.6


@pytest.mark.parametrize("name", TRAINED)
def test_training_and_finetuning(configure, name):
    options = {"pruning": NO_PRUNING, **TRAINED[name]}
    config = configure(epochs=12, **options)
    artifact = train_bert(EXAMPLES, config)
    check(artifact, config)
    assert list(artifact.manifest["training_scores"]) == ["dense", "final"]
    tuned = check_finetuning(artifact, configure(epochs=2, **options))
    assert accuracy(artifact) > 0.6 and accuracy(tuned) > 0.6


def test_everything_at_once(configure):
    options = {
        "quantization": AWARE["static_int8"],
        **{"vocabulary": "trim", "vocabulary_size": 110},
        **{"pooling": "cls", "pruning": {"final_sparsity": 0.5, "pooler": 0.5}},
    }
    config = configure(epochs=2, **options)
    artifact = train_bert(EXAMPLES, config)
    check(artifact, config)
    assert list(artifact.manifest["training_scores"]) == ["dense", "pruned", "final"]
    check_finetuning(artifact, configure(epochs=1, **options))


@pytest.fixture(scope="module")
def trimmed(configure):
    options = {"validation_split": 0, "out_of_scope": {"detector": "none"}}
    config = configure(epochs=1, pruning=NO_PRUNING, vocabulary="trim", vocabulary_size=110, **options)
    return train_bert(EXAMPLES, config)


def test_a_trimmed_vocabulary_has_the_size_that_was_asked_for(trimmed):
    vocabulary = json.loads(trimmed.files[TOKENIZER])["model"]["vocab"]
    assert len(vocabulary) == 110 and sorted(vocabulary.values()) == list(range(110))
    assert trimmed.manifest["encoder"]["vocab_size"] == 110 < trimmed.manifest["dense_encoder"]["vocab_size"]
    assert parameters_of(trimmed)["embeddings.word"].shape == (110, 32)
    assert {"weather", "pizza", "music", "[CLS]", "a", "##a"} <= set(vocabulary) and "bank" not in vocabulary


@pytest.mark.parametrize("text", ["bank card money", "goodbye", "zebra 42!", "it is very hot"])
def test_words_that_were_trimmed_can_still_be_written(trimmed, text):
    ranking = MessagePredictor(trimmed).predict(text).ranking
    assert len(ranking) == 3 and abs(sum(confidence for _, confidence in ranking) - 1) < 1e-6


@pytest.mark.parametrize("quantization", [{}, {"method": "static_int8"}])
def test_finetuning_refits_layers_to_the_weights_that_are_served(configure, quantization):
    """One epoch changes weights by less than the distance of two 8-bit values: rounded again, many are as before."""
    options = {"pruning": NO_PRUNING, "quantization": quantization, "validation_split": 0.0}
    artifact = train_bert(EXAMPLES, configure(**options))
    tuned = finetune_bert(EXAMPLES, configure(**options, epochs=1, learning_rate=1e-4), artifact)
    assert tuned.manifest["parity"]["distance"] < 1e-3 < artifact.manifest["parity"]["distance"]


def test_finetuning_keeps_changes_that_are_smaller_than_half_a_step(configure):
    options = {"pruning": NO_PRUNING, "validation_split": 0.0}
    artifact = train_bert(EXAMPLES, configure(**options))
    tuned = finetune_bert(EXAMPLES, configure(**options, epochs=1, learning_rate=1e-5), artifact)
    before, after = (tensors_from_bytes(one.files[WEIGHTS]) for one in (artifact, tuned))
    kernels = [name for name in before if name.startswith("layers.") and name.endswith(".kernel")]
    assert kernels and all(before[name].dtype == np.int8 for name in kernels)
    for name in kernels:
        assert 0.01 < np.mean(before[name] != after[name]) < 0.3, name
        assert np.max(np.abs(before[name].astype(int) - after[name])) == 1, name


@pytest.mark.parametrize("aware_training", [False, True])
def test_pruned_weights_stay_pruned_whatever_the_format(configure, aware_training):
    options = {
        "pruning": {"method": "weight", "final_sparsity": 0.8},
        "quantization": {**KMEANS, "aware_training": aware_training},
    }
    config = configure(**options)
    artifact = train_bert(EXAMPLES, config)
    check(artifact, config)
    assert list(artifact.manifest["training_scores"]) == ["dense", "pruned", "final"]
    tuned = finetune_bert(EXAMPLES, configure(**{**options, "epochs": 1}), artifact)
    for name, zero in zeros_of(artifact).items():
        assert 0.79 <= zero.mean() <= 0.85, name
        assert zeros_of(tuned)[name][zero].all(), name
    assert max(len(np.unique(kernel)) for kernel in kernels_of(artifact).values()) == 5, "four values and zero"


@pytest.mark.parametrize("method", ["none", "dynamic_int8", "static_int8", "kmeans"])
def test_runtimes_give_the_same_labels_and_nearly_the_same_confidences(floats, configure, method):
    rankings = {}
    for runtime in ("onnxruntime", "tflite", "tensorflow"):
        config = configure(quantization=FORMATS[method], runtime=runtime)
        artifact = requantize_bert(EXAMPLES, config, floats)
        check(artifact, config)
        predictor = MessagePredictor(artifact)
        rankings[runtime] = [predictor.predict(example.text).ranking for example in EXAMPLES]
    for runtime in ("tflite", "tensorflow"):
        pairs = list(zip(rankings["onnxruntime"], rankings[runtime]))
        assert np.mean([ours[0][0] == theirs[0][0] for ours, theirs in pairs]) >= 0.9
        for ours, theirs in pairs:
            theirs = dict(theirs)
            assert max(abs(confidence - theirs[label]) for label, confidence in ours) < 0.1
