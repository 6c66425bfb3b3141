"""The featurizer before each of Rasa's components and policies that learns from dense features."""

import asyncio
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import pytest
import yaml
from component_harness import EXAMPLES, ROOT
from odd_texts import NOTHING_TO_READ, SOMETHING_TO_READ
from rasa.engine.exceptions import GraphSchemaValidationException

pytestmark = pytest.mark.slow

OURS = "rasa_compressed_bert.QuantizedBertFeaturizer"
INTENTS = {
    **{name: texts for name, texts in EXAMPLES.items() if name != "food"},
    "food": [
        f"{start} [{dish}](dish){end}"
        for dish in ("pizza", "curry")
        for start, end in (("order a", ""), ("i like", ""), ("the", " is spicy"), ("a", " please"), ("book", " today"))
    ],
    "faq/ask_name": ["what is your name", "your name please", "tell me your name"],
    "faq/ask_age": ["what is your age", "your age please", "how old is the bot"],
}
END_TO_END = {"turn the light off": "good night then", "call the bank": "no money today"}
QUICK = {"learning_rate": 0.005, "random_seed": 1}
DIET = {"name": "DIETClassifier", "epochs": 40, "number_of_transformer_layers": 0, **QUICK}
COUNTS = {"name": "CountVectorsFeaturizer"}
SELECTOR = {"name": "ResponseSelector", "epochs": 30, "retrieval_intent": "faq", "constrain_similarities": True}
NO_TRANSFORMER = dict.fromkeys(("text", "action_text", "label_action_text", "dialogue"), 0)
TED = {"name": "TEDPolicy", "epochs": 30, "max_history": 2, "number_of_transformer_layers": NO_TRANSFORMER, **QUICK}
SAY = """
import asyncio, json, logging, sys
import tensorflow
from rasa.core.agent import Agent
from rasa.utils.log_utils import configure_structlog

configure_structlog(logging.ERROR)  # as Rasa's command line does; it would print every message
tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as in conftest.py

async def say(model, texts, conversation):
    agent = Agent.load(model)
    parsed = [await agent.parse_message(text) for text in texts]
    answers = [await agent.handle_text(text, sender_id=text) for text in conversation]
    return {"parsed": parsed, "answers": [[part["text"] for part in answer] for answer in answers]}

with open(sys.argv[2], "w") as said:
    json.dump(asyncio.run(say(sys.argv[1], *json.load(sys.stdin))), said)
"""


class Project(NamedTuple):
    """A Rasa project in a folder, and a copy of the weights that may be deleted."""

    folder: Path
    weights: Path

    def train(self, name: str, *components: Dict[str, Any], policies: Any = (), **arguments: Any) -> Path:
        """Trains a model with the featurizer before `components`, and with policies if there are any."""
        import rasa.model_training

        options = {"model_weights": str(self.weights), "max_length": 32, "alias": "bert"}
        pipeline = [{"name": "WhitespaceTokenizer"}, {"name": OURS, **options, **arguments.pop("options", {})}]
        config = {"recipe": "default.v1", "language": "en", "assistant_id": "tiny", "policies": list(policies)}
        path = self.folder / f"{name}.yml"
        path.write_text(yaml.safe_dump({**config, "pipeline": [*pipeline, *components]}))
        training_files = [str(self.folder / f"{part}.yml") for part in (("nlu", "stories") if policies else ("nlu",))]
        trained = rasa.model_training.train(
            str(self.folder / "domain.yml"),
            str(path),
            training_files,
            output=str(self.folder / "models"),
            fixed_model_name=name,
            core_additional_arguments={"augmentation_factor": 0},
            **arguments,
        )
        return Path(trained.model)


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_weights):
    return make_project(tmp_path_factory.mktemp("project"), tiny_weights)


def make_project(folder, tiny_weights) -> Project:
    examples = [
        {"intent": name, "examples": "".join(f"- {text}\n" for text in texts)} for name, texts in INTENTS.items()
    ]
    faq = {f"utter_{name}": [{"text": f"about {name}"}] for name in INTENTS if name.startswith("faq/")}
    plain = [*EXAMPLES, "faq"]
    domain = {
        "intents": plain,
        "entities": ["dish"],
        "actions": ["utter_faq"],
        "responses": {**{f"utter_{name}": [{"text": name}] for name in EXAMPLES}, **faq},
    }
    stories = [
        {"story": name, "steps": [{"intent": name}, {"action": f"utter_{name}"}, {"action": "action_listen"}]}
        for name in plain
    ]
    stories += [{"story": text, "steps": [{"user": text}, {"bot": answer}]} for text, answer in END_TO_END.items()]
    for name, content in {"nlu": {"nlu": examples}, "stories": {"stories": stories}, "domain": domain}.items():
        (folder / f"{name}.yml").write_text(yaml.safe_dump({"version": "3.1", **content}, allow_unicode=True))
    return Project(folder, Path(shutil.copytree(tiny_weights, folder / "weights")))


def parse(model: Path, texts) -> List[Dict[str, Any]]:
    """Rasa's parse of each message, in this process."""
    from rasa.core.agent import Agent
    from rasa.utils.log_utils import configure_structlog

    configure_structlog(logging.ERROR)  # as Rasa's command line does; it would log every message
    agent = Agent.load(str(model))

    async def parse_all():
        return [await agent.parse_message(text) for text in texts]

    return asyncio.run(parse_all())


def right(parsed) -> float:
    """Intent accuracy on the training data, as of `rasa test nlu`."""
    intents = [name.split("/")[0] for name, texts in INTENTS.items() for _ in texts]
    found = [said["intent"]["name"] for said in parsed]
    return sum(one == other for one, other in zip(found, intents)) / len(intents)


TEXTS = [re.sub(r"\[(\w+)\]\(dish\)", r"\1", text) for texts in INTENTS.values() for text in texts]


ODD_TEXTS = [*NOTHING_TO_READ.values(), *SOMETHING_TO_READ.values(), "hot \u200b \ufe0f pizza", "pizza " * 2_000]


@pytest.fixture(scope="module")
def said(tmp_path_factory, tiny_weights):
    """Predictions of DIET (two featurizers), ResponseSelector (ours alone) and TED after the weights were deleted."""
    folder = tmp_path_factory.mktemp("whole")
    project = make_project(folder, tiny_weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RASA_CACHE_DIRECTORY", str(folder / "cache"))
        model = project.train("whole", COUNTS, DIET, {**SELECTOR, "featurizers": ["bert"]}, policies=[TED])
    shutil.rmtree(project.weights)
    shutil.rmtree(folder / "cache")
    finished = subprocess.run(
        [sys.executable, "-c", SAY, str(model), str(folder / "said.json")],
        input=json.dumps([TEXTS + ODD_TEXTS, list(END_TO_END)]),
        capture_output=True,
        text=True,
        timeout=300,
        cwd=str(folder),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads((folder / "said.json").read_text())


def test_diet_learns_intents(said):
    assert right(said["parsed"]) > 0.8


def test_any_text_is_parsed(said):
    """DIET needs as many rows of features from each featurizer as the message has words."""
    odd = said["parsed"][len(TEXTS) :]
    assert len(odd) == len(ODD_TEXTS)
    for parsed in odd:
        assert parsed["intent"]["name"] in [*EXAMPLES, "faq"]


def test_diet_learns_entities_at_their_places(said):
    dishes = [(text, parsed["entities"]) for text, parsed in zip(TEXTS, said["parsed"]) if "pizza" in text]
    found = [
        (text[entity["start"] : entity["end"]], entity["entity"]) for text, entities in dishes for entity in entities
    ]
    assert found.count(("pizza", "dish")) >= 0.8 * len(dishes)
    assert len(found) <= 1.5 * len(dishes)


def test_response_selector_learns_responses(said):
    answers = {
        text: parsed["response_selector"]["faq"]["response"]["intent_response_key"]
        for text, parsed in zip(TEXTS, said["parsed"])
    }
    expected = {text: name for name, texts in INTENTS.items() if name.startswith("faq/") for text in texts}
    assert sum(answers[text] == name for text, name in expected.items()) >= 5


def test_ted_answers_texts_end_to_end(said):
    assert said["answers"] == [[answer] for answer in END_TO_END.values()]


CLASSIFIER = {
    "name": "rasa_compressed_bert.PrunedBertIntentClassifier",
    **{"epochs": 1, "batch_size": 4, "max_length": 32, "pruning": {"method": "none"}},
}


SKLEARN = {"name": "SklearnIntentClassifier", "cross_validation_folds": 2}
LOGISTIC = {"name": "LogisticRegressionClassifier", "max_iter": 300}


@pytest.mark.parametrize(
    "classifier, pooling",
    [(SKLEARN, "mean"), (LOGISTIC, "mean"), (LOGISTIC, "cls"), (CLASSIFIER, "mean")],
    ids=lambda value: value["name"] if isinstance(value, dict) else value,
)
def test_every_classifier_learns_from_it(project, classifier, pooling):
    ours = classifier["name"].startswith("rasa_compressed_bert")
    if ours:
        classifier = {**classifier, "model_weights": str(project.weights)}
    model = project.train(f"{classifier['name']}_{pooling}", classifier, options={"pooling": pooling})
    assert right(parse(model, TEXTS)) > (0.3 if ours else 0.4)  # there are 5 intents, and the weights are random


def files_of(archive: Path, folder: Path):
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    (path,) = (path.parent for path in folder.rglob("manifest.json") if "Featurizer" in path.parent.name)
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_finetuning_keeps_the_features_and_trains_the_rest(project, caplog, tmp_path):
    classifier = {**CLASSIFIER, "epochs": 4, "learning_rate": 2e-3, "model_weights": str(project.weights)}
    before = project.train("before", classifier)
    options = {"model_to_finetune": str(before), "finetuning_epoch_fraction": 0.5}
    with caplog.at_level(logging.INFO):
        finetuned = project.train("finetuned", classifier, **options)
    assert "Finished training component 'PrunedBertIntentClassifier'" in caplog.text
    assert files_of(before, tmp_path / "before") == files_of(finetuned, tmp_path / "after")
    assert right(parse(finetuned, TEXTS)) > 0.6


@pytest.fixture
def finished(caplog):
    """The nodes that were trained since the last call, and those that came from Rasa's cache."""

    def finished():
        text = caplog.text
        caplog.clear()
        verbs = ("Finished training", "Restored")
        return [
            sorted(re.findall(f"{verb} component '(?:QuantizedBert)?(Featurizer|Logistic)", text)) for verb in verbs
        ]

    caplog.set_level(logging.INFO)
    return finished


def test_rasas_cache_knows_when_features_are_others(tmp_path, tiny_weights, finished, monkeypatch):
    """A stale classifier on new features would silently be wrong."""
    monkeypatch.setenv("RASA_CACHE_DIRECTORY", str(tmp_path / "cache"))
    project = make_project(tmp_path, tiny_weights)
    logistic = {"name": "LogisticRegressionClassifier"}
    both, neither = ["Featurizer", "Logistic"], []

    project.train("first", logistic)
    assert finished() == [both, neither]
    project.train("second", logistic)
    assert finished() == [neither, both]
    project.train("third", logistic, options={"quantization": {"method": "kmeans", "encoder_bits": 2}})
    assert finished() == [both, neither]
    project.train("fourth", logistic, options={"pooling": "cls"})
    assert finished() == [both, neither]
    with (project.weights / "config.json").open("a") as file:
        file.write("\n")
    project.train("fifth", logistic)
    assert finished() == [both, neither]
    project.train("sixth", {**logistic, "max_iter": 50})
    assert finished() == [["Logistic"], ["Featurizer"]]


def test_without_a_tokenizer_rasa_says_so_before_anything_trains(project):
    import rasa.model_training

    path = project.folder / "without.yml"
    ours = {"name": OURS, "model_weights": str(project.weights)}
    path.write_text(
        yaml.safe_dump({"recipe": "default.v1", "assistant_id": "tiny", "language": "en", "pipeline": [ours]})
    )
    with pytest.raises(
        GraphSchemaValidationException, match="require a Tokenizer: train_rasa_compressed_bert.QuantizedBertFeaturizer"
    ):
        rasa.model_training.train_nlu(str(path), str(project.folder / "nlu.yml"), str(project.folder / "models"))
