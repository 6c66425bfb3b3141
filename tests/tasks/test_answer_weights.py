"""Weights fine-tuned for question answering: training starts from their head, whatever their file format."""

import json
import logging

import numpy as np
import pytest
import transformers
from answer_harness import write_documents, write_questions
from random_models import pytorch_tensors
from safetensors.numpy import save_file

from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.squad import read_questions
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.tasks.answer_training import prepare, train_or_finetune
from rasa_compressed_bert.tasks.fitting import make_model
from rasa_compressed_bert.tokenization.pairs import pair_template
from rasa_compressed_bert.tokenization.windows import WindowTokenizer
from rasa_compressed_bert.training.loop import predict

FAMILIES = {
    "bert": transformers.TFBertForQuestionAnswering,
    "distilbert": transformers.TFDistilBertForQuestionAnswering,
    "electra": transformers.TFElectraForQuestionAnswering,
}


def save_safetensors(model, folder):
    model.save_pretrained(folder, safe_serialization=True)


def save_h5(model, folder):
    model.save_pretrained(folder, safe_serialization=False)


def save_pytorch_safetensors(model, folder):
    """Saves a model with the names and axes of PyTorch's class, as most weights on the hub have."""
    model.config.architectures = [type(model).__name__[2:]]
    model.config.save_pretrained(folder)
    save_file(pytorch_tensors(model), folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture
def bases(tiny_weights, tiny_distilbert_weights, tiny_electra_weights):
    return {"bert": tiny_weights, "distilbert": tiny_distilbert_weights, "electra": tiny_electra_weights}


def trained_to_answer(base, family, save, folder):
    """A transformers model with a question answering head, and the folder that it is saved in."""
    model = FAMILIES[family].from_pretrained(str(base))
    rng = np.random.default_rng(4)
    for variable in model.qa_outputs.variables:
        variable.assign(rng.normal(0.0, 0.5, variable.shape))
    folder.mkdir()
    save(model, folder)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).write_bytes((base / name).read_bytes())
    return model, folder


def config_of(weights, folder, **options):
    files = {"training_data": write_questions(folder / "a.json"), "documents": write_documents(folder / "documents")}
    return BertAnswerExtractorConfig.from_dict({"model_weights": str(weights), "max_length": 64, **files, **options})


@pytest.mark.parametrize(
    ("family", "save"),
    [
        *[("bert", save) for save in (save_safetensors, save_h5, save_pytorch_safetensors)],
        ("distilbert", save_pytorch_safetensors),
        ("electra", save_safetensors),
    ],
)
def test_training_starts_from_the_logits_of_the_weights(bases, family, save, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    reference, weights = trained_to_answer(bases[family], family, save, tmp_path / "weights")
    config = config_of(weights, tmp_path)
    questions = read_questions(config.training_data, option="training_data")[:6]
    start = prepare(questions, config, texts=[]).start
    assert "were trained to answer questions: training starts from their head" in caplog.text
    tokenizer = WindowTokenizer(start.tokenizer, config.max_length, stride=config.stride)
    windows = [
        window.input_ids
        for question in questions
        for window in tokenizer.windows(
            tokenizer.encode_question(question.text), tokenizer.encode_passage(question.passage)
        )
    ]
    separator = pair_template(start.tokenizer).separator
    found = predict(make_model(start.shape, start.parameters, config), windows)["answer_logits"]
    for ids, logits in zip(windows, found):
        is_second = np.arange(len(ids)) > int(np.flatnonzero(ids == separator)[0])
        types = {} if family == "distilbert" else {"token_type_ids": is_second[np.newaxis].astype(np.int32)}
        expected = reference(input_ids=ids[np.newaxis], **types)
        expected = np.stack([expected.start_logits[0], expected.end_logits[0]], axis=-1)
        assert np.abs(logits - expected).max() < 1e-5


def test_weights_without_a_head_start_from_a_random_one(tiny_weights, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    config = config_of(tiny_weights, tmp_path)
    assert "answerer.kernel" not in load_pretrained(str(tiny_weights)).parameters
    run = prepare(read_questions(config.training_data, option="training_data")[:6], config, texts=[])
    kernel = run.start.parameters["answerer.kernel"]
    assert 0.01 < kernel.std() < 0.03 and not run.start.parameters["answerer.bias"].any()
    assert "trained to answer questions" not in caplog.text


def test_a_head_that_the_file_lacks_is_not_initialised_at_random(tiny_weights, tmp_path):
    """transformers would initialise one at random, differently in each training."""
    model, weights = trained_to_answer(tiny_weights, "bert", save_safetensors, tmp_path / "weights")
    bare = transformers.TFBertForMaskedLM.from_pretrained(str(tiny_weights))
    bare.save_pretrained(tmp_path / "bare", safe_serialization=True)
    (tmp_path / "bare" / "model.safetensors").replace(weights / "model.safetensors")
    assert "answerer.kernel" not in load_pretrained(str(weights)).parameters


def test_a_head_of_other_labels_is_left_out(tiny_weights, tmp_path):
    _, weights = trained_to_answer(tiny_weights, "bert", save_pytorch_safetensors, tmp_path / "weights")
    config = json.loads((weights / "config.json").read_text())
    labels = {str(number): str(number) for number in range(3)}
    (weights / "config.json").write_text(json.dumps({**config, "id2label": labels, "label2id": labels}))
    assert "answerer.kernel" not in load_pretrained(str(weights)).parameters


def test_fine_tuning_goes_on_from_the_head(tiny_weights, tmp_path):
    _, weights = trained_to_answer(tiny_weights, "bert", save_safetensors, tmp_path / "weights")
    options = {"epochs": 1, "learning_rate": 1e-7, "pruning": {"method": "none"}, "quantization": {"method": "none"}}
    config = config_of(weights, tmp_path, **options)
    artifact = train_or_finetune(config, None)
    kernel = load_pretrained(str(weights)).parameters["answerer.kernel"]
    assert np.abs(state_of(artifact).parameters["answerer.kernel"] - kernel).max() < 1e-4
