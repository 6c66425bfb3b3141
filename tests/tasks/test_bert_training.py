"""Training, pruning and finetuning of classifiers with tiny weights."""

import logging

import numpy as np
import pytest
from task_harness import EXAMPLES, accuracy, check, encoder_size, examples_of, parameters_of, zeros_of

from rasa_compressed_bert.artifact.artifact import TOKENIZER, WEIGHTS, Artifact, read_artifact, write_artifact
from rasa_compressed_bert.augmentation.synthesis import Synthetic
from rasa_compressed_bert.data.example import Example, class_indices
from rasa_compressed_bert.errors import ArtifactError, DataError
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.tasks import bert_training, messages
from rasa_compressed_bert.tasks.bert_training import compress_bert, fine_tune_bert, finetune_bert, train_bert
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.loop import predict
from rasa_compressed_bert.training.scores import evaluate

pytestmark = pytest.mark.slow
few_steps = pytest.mark.usefixtures("without_graphs")


@pytest.fixture(scope="module")
def dense(configure):
    return train_bert(EXAMPLES, configure(pruning={"method": "none"}, epochs=6))


@pytest.fixture(scope="module")
def weight_pruned(configure):
    return train_bert(EXAMPLES, configure(pruning={"method": "weight", "final_sparsity": 0.8}, validation_split=0.2))


@pytest.fixture(scope="module")
def neuron_pruned(configure):
    return train_bert(EXAMPLES, configure(pruning={"final_sparsity": 0.5}))


def test_dense(dense, configure, tmp_path):
    check(dense, configure(pruning={"method": "none"}, epochs=6))
    assert accuracy(dense) > 0.5  # three intents, random weights
    assert dense.manifest["dense_encoder"] == dense.manifest["encoder"]
    assert list(dense.manifest["training_scores"]) == ["dense", "final"]
    write_artifact(dense, tmp_path)
    read = read_artifact(tmp_path)
    assert (
        MessagePredictor(read).predict("is it spicy").ranking == MessagePredictor(dense).predict("is it spicy").ranking
    )


def test_neuron_pruning(neuron_pruned, configure):
    check(neuron_pruned, configure(pruning={"final_sparsity": 0.5}))
    before = EncoderShape.from_dict(neuron_pruned.manifest["dense_encoder"]).encoder_size()
    assert 0.35 < 1 - encoder_size(neuron_pruned) / before <= 0.5
    assert list(neuron_pruned.manifest["training_scores"]) == ["dense", "pruned", "final"]


@few_steps
@pytest.mark.parametrize("method", ["neuron", "weight"])
def test_some_layers(configure, method):
    config = configure(pruning={"method": method, "layers": [0], "final_sparsity": 0.0})
    artifact = train_bert(EXAMPLES, config)
    check(artifact, config)
    assert encoder_size(artifact) == EncoderShape.from_dict(artifact.manifest["dense_encoder"]).encoder_size() / 2


def test_training_is_repeatable(neuron_pruned, configure):
    second = train_bert(EXAMPLES, configure(pruning={"final_sparsity": 0.5}))
    for name, value in parameters_of(neuron_pruned).items():
        np.testing.assert_allclose(parameters_of(second)[name], value, atol=1e-5, err_msg=name)


def test_head_pruning_by_magnitude_without_a_teacher(configure):
    config = configure(
        pruning={"method": "head", "final_sparsity": 0.5, "importance": "magnitude"}, distillation={"enabled": False}
    )
    artifact = train_bert(EXAMPLES, config)
    check(artifact, config)
    layers = artifact.manifest["encoder"]["layers"]
    assert sum(layer["num_attention_heads"] for layer in layers) == 2
    assert [layer["intermediate_size"] for layer in layers] == [64, 64]


def test_weight_pruning(weight_pruned, dense, configure):
    check(weight_pruned, configure(pruning={"method": "weight", "final_sparsity": 0.8}, validation_split=0.2))
    assert weight_pruned.manifest["encoder"] == weight_pruned.manifest["dense_encoder"]
    for name, zero in zeros_of(weight_pruned).items():
        assert zero.mean() >= 0.79, name
    saved = 0.8 * encoder_size(dense) - encoder_size(dense) / 8
    assert len(weight_pruned.files[WEIGHTS]) < len(dense.files[WEIGHTS]) - 0.8 * saved


@few_steps
def test_pruning_until_the_last_epoch_is_finished_before_training_ends(configure, monkeypatch):
    """Synthetic messages replace epochs: with as many as messages, 2 instead of 5, whose steps are those of 4."""
    made = [Synthetic(f"a {example.text}", place) for place, example in enumerate(EXAMPLES)]
    monkeypatch.setattr(messages, "synthetic_messages", lambda *_, **__: made)
    pruning = {"method": "weight", "final_sparsity": 0.8, "begin_epoch": 4.0, "end_epoch": 5.0}
    artifact = train_bert(EXAMPLES, configure(pruning=pruning, quantization={"method": "none"}, epochs=5))
    assert [zero.mean() for zero in zeros_of(artifact).values()] == pytest.approx([0.8] * 12, abs=0.01)


def test_finetuning_keeps_zeros_labels_and_history(weight_pruned, configure):
    config = configure(pruning={"method": "weight", "final_sparsity": 0.8}, epochs=2)
    tuned = finetune_bert(EXAMPLES, config, weight_pruned)
    check(tuned, config)
    for name, zero in zeros_of(weight_pruned).items():
        assert zeros_of(tuned)[name][zero].all(), name
    before, after = (artifact.manifest["training_scores"] for artifact in (weight_pruned, tuned))
    assert list(after) == ["dense", "pruned", "finetuned", "final"]
    assert (after["dense"], after["pruned"]) == (before["dense"], before["pruned"])
    assert tuned.manifest["cross_fitted"] == weight_pruned.manifest["cross_fitted"] is not None
    assert tuned.manifest["dense_encoder"] == weight_pruned.manifest["dense_encoder"]
    before, after = parameters_of(weight_pruned), parameters_of(tuned)
    assert any(np.abs(before[name] - after[name]).max() > 1e-4 for name in before)


def test_finetuning_a_shrunk_model_keeps_its_widths(configure):
    config = configure(pooling="cls", pruning={"final_sparsity": 0.7, "pooler": 0.5})
    artifact = train_bert(EXAMPLES, config)
    assert parameters_of(artifact)["pooler.bias"].shape == (16,)
    tuned = finetune_bert(EXAMPLES, config, artifact)
    check(tuned, config)
    assert tuned.manifest["encoder"] == artifact.manifest["encoder"]
    assert parameters_of(tuned)["pooler.bias"].shape == (16,)


@pytest.mark.parametrize(
    "intents, message",
    [(("weather", "spice"), "New: none; removed: .'music'."), (("weather",), "removed: .'music', 'spice'.")],
)
def test_finetuning_with_other_labels_is_refused(dense, configure, intents, message):
    with pytest.raises(DataError, match=message):
        finetune_bert(examples_of(intents=intents), configure(), dense)


def test_finetuning_with_new_labels_is_refused(dense, configure):
    with pytest.raises(DataError, match="New: .'greet'.; removed: none. Train without --finetune"):
        finetune_bert([*EXAMPLES, Example("hello", "greet")], configure(), dense)


def test_finetuning_on_nothing_is_refused(dense, configure):
    with pytest.raises(DataError, match="no examples"):
        finetune_bert([], configure(), dense)


@pytest.mark.parametrize("entries", [{"cross_fitted": {"a": 1}}, {"training_scores": None}])
def test_a_manifest_of_no_training_is_refused(dense, configure, entries):
    with pytest.raises(ArtifactError, match="parts of the model do not fit each other"):
        finetune_bert(EXAMPLES, configure(), Artifact({**dense.manifest, **entries}, dense.files))


def test_no_examples(configure):
    with pytest.raises(DataError, match="no examples with an intent"):
        train_bert([], configure())


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@few_steps
def test_one_example_an_intent_without_validation(configure, pooling):
    examples = examples_of(size=1)
    config = configure(validation_split=0, pooling=pooling, epochs=1)
    artifact = train_bert(examples, config)
    check(artifact, config)
    assert artifact.manifest["temperature"] == 1.0 and artifact.manifest["cross_fitted"] is None
    assert not artifact.manifest["out_of_scope"]["calibrated"]
    assert list(artifact.manifest["training_scores"]) == ["dense", "pruned", "final"]


@few_steps
def test_one_intent_only(configure):
    config = configure(epochs=1, pruning={"final_sparsity": 0.5})
    artifact = train_bert(examples_of(intents=("music",)), config)
    assert artifact.manifest["labels"] == ["music"]
    ((label, confidence),) = MessagePredictor(artifact).predict("play a song").ranking
    assert label == "music" and 0.3 < confidence <= 1.0
    alone = Artifact({name: value for name, value in artifact.manifest.items() if name != "views"}, artifact.files)
    assert MessagePredictor(alone).predict("play a song").ranking == [("music", 1.0)]
    before = EncoderShape.from_dict(artifact.manifest["dense_encoder"]).encoder_size()
    assert encoder_size(artifact) < 0.7 * before, "all gradients are 0, but units go all the same"


@pytest.mark.parametrize("method", ["none", "neuron"])
@few_steps
def test_compressing_leaves_the_dense_model_as_it_is(configure, method):
    config = configure(epochs=1, pruning={"method": method})
    dense = fine_tune_bert(EXAMPLES, config)
    before = dense.model.values()
    artifact = compress_bert(dense, config)
    assert np.abs(parameters_of(artifact)["classifier.kernel"] - before["classifier.kernel"]).max() > 0.01
    for name, value in dense.model.values().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("stage", ["pruned", "final"])
@few_steps
def test_score_of_the_pruned_model_is_that_of_the_pruned_model(configure, monkeypatch, stage):
    """With one epoch there is no recovery, so the score is taken at the end of pruning itself."""
    if stage == "pruned":  # with the linear layer from pruning, before it is refitted
        monkeypatch.setattr(bert_training, "refit", lambda run: run)
    options = {"validation_split": 0, "pruning": {"final_sparsity": 0.9}, "quantization": {"method": "none"}}
    config = configure(epochs=1, **options)
    artifact = train_bert(EXAMPLES, config)
    classes = class_indices(EXAMPLES, artifact.manifest["labels"])
    tokenizer = WordpieceTokenizer(artifact.files[TOKENIZER].decode("utf-8"), config.max_length)
    ids = [ids.astype(np.int32) for ids in tokenizer.encode_all([example.text for example in EXAMPLES])]
    model = TaskModel(EncoderShape.from_dict(artifact.manifest["encoder"]), parameters_of(artifact))
    score = evaluate(predict(model, ids)["logits"], classes).to_dict()
    assert artifact.manifest["training_scores"][stage] == pytest.approx(score, abs=1e-4)


@few_steps
def test_distilbert(tiny_distilbert_weights, configure):
    config = configure(model_weights=str(tiny_distilbert_weights), pruning={"method": "none"}, epochs=1, pooling="cls")
    artifact = train_bert(EXAMPLES, config)
    check(artifact, config)
    assert parameters_of(artifact)["pooler.kernel"].shape == (32, 32), "DistilBERT has no pooler, so it gets a new one"


@few_steps
def test_messages_that_are_hard_to_read(configure, caplog):
    examples = [
        *examples_of(size=3),
        Example("\u200b", "weather"),
        Example("\ud800 hot", "weather"),
        Example("🌶", "spice"),
        Example("a\x00b", "music"),
        Example("hot " * 1000, "weather"),
    ]
    config = configure(epochs=1, pruning={"method": "none"})
    with caplog.at_level(logging.WARNING):
        check(train_bert(examples, config), config)
    assert [record.getMessage()[:17] for record in caplog.records if "max_length" in record.getMessage()] == [
        "1 of 14 messages "
    ]
