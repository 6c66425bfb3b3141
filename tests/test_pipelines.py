import asyncio
from pathlib import Path

import pytest
import yaml
from answer_harness import write_documents, write_questions

from rasa_compressed_bert.config import (
    BertAnswerExtractorConfig,
    BertEntityExtractorConfig,
    DistilledIntentClassifierConfig,
    JointBertClassifierConfig,
    PrunedBertIntentClassifierConfig,
    QuantizedBertFeaturizerConfig,
)

PIPELINES = [
    path
    for path in sorted((Path(__file__).parents[1] / "pipelines").glob("*.yml"))
    if not path.name.startswith("spacy_")  # those need a package and are tested in tests/spacy_pipeline
]
OURS = {
    "rasa_compressed_bert.BertAnswerExtractor": BertAnswerExtractorConfig,
    "rasa_compressed_bert.BertEntityExtractor": BertEntityExtractorConfig,
    "rasa_compressed_bert.JointBertClassifier": JointBertClassifierConfig,
    "rasa_compressed_bert.DistilledIntentClassifier": DistilledIntentClassifierConfig,
    "rasa_compressed_bert.PrunedBertIntentClassifier": PrunedBertIntentClassifierConfig,
    "rasa_compressed_bert.QuantizedBertFeaturizer": QuantizedBertFeaturizerConfig,
}
TRAINED = {name for name in OURS if not name.endswith("Featurizer")}
NLU = """
version: "3.1"
nlu:
- intent: weather
  examples: |
    - it is hot today
    - what is the weather
    - is it cold
    - will it rain today
    - oh it is hot
    - no sun today
- intent: food
  examples: |
    - i order a [pizza](dish)
    - is the [curry](dish) hot
    - spicy food please
    - book a table
    - the food is too hot
    - i will order [curry](dish)
"""


def our_configs(config):
    """The parsed options of our components in a config.yml."""
    return [
        OURS[item["name"]].from_dict({key: value for key, value in item.items() if key != "name"})
        for item in config["pipeline"]
        if item["name"] in OURS
    ]


def test_there_are_pipelines():
    assert {path.stem for path in PIPELINES} >= {
        *("pruned", "pruned_head", "pruned_weight", "dense", "quantized_only", "quantized"),
        *("quantized_logistic_regression", "quantized_static_int8", "quantized_kmeans", "quantized_aware_training"),
        *("distilled_bilstm", "distilled_spacy", "distilled_transformer", "distilled_ngrams"),
        *("entities", "joint", "joint_with_everything"),
    }


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_pipeline_is_complete_and_valid(path):
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"recipe", "assistant_id", "language", "pipeline"} <= set(config)
    assert our_configs(config)


def test_pruned_spells_out_the_defaults():
    config = yaml.safe_load((PIPELINES[0].parent / "pruned.yml").read_text(encoding="utf-8"))
    assert our_configs(config) == [PrunedBertIntentClassifierConfig()]


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_confidences_are_calibrated_for_the_threshold_of_the_pipeline(path):
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    thresholds = {item["threshold"] for item in config["pipeline"] if item["name"] == "FallbackClassifier"}
    ours = {options.fallback_threshold for options in our_configs(config)} - {None}
    assert thresholds <= ours, "a component of ours warns of it"


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_pipeline_trains_and_answers(path, tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("RASA_MAX_CACHE_SIZE", "0")
    monkeypatch.chdir(tmp_path)
    parsed = train_and_parse(yaml.safe_load(path.read_text(encoding="utf-8")), tiny_weights, tmp_path)
    assert {entry["name"] for entry in parsed["intent_ranking"]} >= {"weather", "food"}
    confidences = [entry["confidence"] for entry in parsed["intent_ranking"] if entry["name"] in ("weather", "food")]
    assert sum(confidences) < 1.001


def train_and_parse(config, weights, folder):
    """Trains a config.yml in `folder` with the given weights and few epochs, and parses a message."""
    import rasa.model_training
    from rasa.core.agent import Agent

    for item in config["pipeline"]:
        if "epochs" in item or item["name"] in TRAINED:
            item["epochs"] = 2
        if item["name"] in TRAINED and "budget" not in item:
            item["validation_split"] = 0  # no cross-fitting, which takes longest
        if item["name"] == "DIETClassifier":
            item["number_of_transformer_layers"] = 0
        if item["name"] == "rasa_compressed_bert.DistilledIntentClassifier":
            item["augmentation"] = {**item.get("augmentation", {}), "n_iter": 3}
            item["teacher"] = {**item.get("teacher", {}), "model_weights": str(weights), "epochs": 1}
        elif item["name"] in OURS:
            item["model_weights"] = str(weights)
        if item["name"] == "rasa_compressed_bert.BertAnswerExtractor":
            item.update(training_data=write_questions(folder / "a.json"), documents=write_documents(folder / "texts"))
            item["max_length"] = 64
        if item["name"] in OURS:
            if "pruning" in item:
                item["pruning"].pop("end_epoch", None)
                item["pruning"]["frequency"] = 1
            if "budget" in item:  # scores of tiny models are random
                item["budget"]["max_score_drop"] = 1.0
    (folder / "config.yml").write_text(yaml.safe_dump({"assistant_id": "test", **config}), encoding="utf-8")
    (folder / "nlu.yml").write_text(NLU, encoding="utf-8")
    model = rasa.model_training.train_nlu("config.yml", "nlu.yml", "models", fixed_model_name="model")
    return asyncio.run(Agent.load(model).parse_message("is it hot today"))
