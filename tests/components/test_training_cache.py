"""Rasa's own training cache is used if nothing has changed, and only then."""

import logging
import re
import shutil

import pytest
import yaml
from component_harness import EXAMPLES, with_weights

from rasa_compressed_bert.components import config_io

pytestmark = pytest.mark.slow


@pytest.fixture
def train(quick, tiny_weights, tmp_path, monkeypatch, caplog):
    """Trains with Rasa; returns, for the component, "Finished training" or "Restored" (from the cache)."""
    import rasa.model_training

    weights = shutil.copytree(tiny_weights, tmp_path / "weights")
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RASA_CACHE_DIRECTORY", str(tmp_path / "cache"))

    def train(examples=EXAMPLES, *, force=False, **options):
        component = {"name": f"rasa_compressed_bert.{quick.component.__name__}", **quick.config, **options}
        pipeline = [with_weights(component, weights)]
        config = {"recipe": "default.v1", "language": "en", "assistant_id": "tiny", "pipeline": pipeline}
        nlu = [
            {"intent": name, "examples": "".join(f"- {text}\n" for text in texts)} for name, texts in examples.items()
        ]
        (tmp_path / "config.yml").write_text(yaml.safe_dump(config))
        (tmp_path / "nlu.yml").write_text(yaml.safe_dump({"version": "3.1", "nlu": nlu}))
        (tmp_path / "domain.yml").write_text(yaml.safe_dump({"version": "3.1", "intents": list(examples)}))
        caplog.clear()
        rasa.model_training.train("domain.yml", "config.yml", ["nlu.yml"], "models", force_training=force)
        return re.findall(r"(Finished training|Restored) component", caplog.text)

    return train


@pytest.mark.parametrize("case", ["PrunedBertIntentClassifier", "DistilledIntentClassifier"], indirect=True)
def test_what_changes_is_trained_again(case, train, tmp_path, monkeypatch):
    trained, restored = ["Finished training"], ["Restored"]
    assert train() == trained
    assert train() == restored
    assert train(force=True) == trained
    assert train(epochs=2) == trained
    assert train({**EXAMPLES, "greet": [*EXAMPLES["greet"], "hello hello"]}) == trained
    with (tmp_path / "weights" / "config.json").open("a") as file:
        file.write("\n")
    assert train() == trained
    monkeypatch.setattr(config_io, "_version", lambda package: f"{package} of tomorrow")
    assert train() == trained
    monkeypatch.setattr(config_io, "_source_digest", lambda: "other code")
    assert train() == trained
    assert train() == restored
