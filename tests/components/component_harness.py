"""Runs one component through Rasa's graph interfaces, without the rest of a pipeline.

As a program it loads trained components from storage folders and prints their predictions for messages, see
`predict_elsewhere`.
"""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.nlu.tokenizers.tokenizer import Tokenizer
from rasa.nlu.tokenizers.whitespace_tokenizer import WhitespaceTokenizer
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

import rasa_compressed_bert

ROOT = Path(__file__).resolve().parents[2]
RESOURCE = Resource("train_component")
CONTEXT = ExecutionContext(GraphSchema({}), node_name="component")
WORDS = WhitespaceTokenizer(WhitespaceTokenizer.get_default_config())

STUDENT = {
    "epochs": 6,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "max_length": 32,
    "teacher": {"epochs": 3, "learning_rate": 8e-3},
    "augmentation": {"n_iter": 4},
}
BERT = {"epochs": 4, "batch_size": 8, "learning_rate": 6e-3, "max_length": 32, "pruning": {"frequency": 2}}
WITHOUT_VALIDATION = {**BERT, "validation_split": 0.0}  # only one component with BERT holds messages out
CLASSIFIERS = {  # options with which a component trains within seconds; add a new component here
    "PrunedBertIntentClassifier": WITHOUT_VALIDATION,
    "JointBertClassifier": BERT,
    "DistilledIntentClassifier": {**STUDENT, "student": {"embedding_size": 16, "hidden_size": 16, "dense_size": 32}},
    "DistilledIntentClassifier spacy": {**STUDENT, "student": {"architecture": "spacy_textcat"}},
}
WORDPIECES = [name for name in CLASSIFIERS if "spacy" not in name]
"""Classifiers that read text with the tokenizer of the weights."""
FEATURIZERS = {
    "QuantizedBertFeaturizer": {"max_length": 32},
}
EXTRACTORS = {"BertEntityExtractor": WITHOUT_VALIDATION, "JointBertClassifier": BERT}
ANSWERERS = {"BertAnswerExtractor": {**BERT, "max_length": 64, "epochs": 2}}
"""Components that learn from files of questions and documents, which the fixture `case` writes."""
CASES = {**CLASSIFIERS, **EXTRACTORS, **FEATURIZERS, **ANSWERERS}
RUNTIMES = {
    f"{name} {runtime}": {**config, "runtime": runtime}
    for runtime in ("tflite", "tensorflow")
    for name, config in {
        "QuantizedBertFeaturizer": {"max_length": 32},
        "PrunedBertIntentClassifier": {**BERT, "epochs": 1, "pruning": {"method": "none"}, "validation_split": 0.0},
    }.items()
}
"""Components exported for the other runtimes, for tests of the files of a model."""

EXAMPLES = {
    "greet": ["hello", "hi", "hey", "good morning", "hello you", "hi hi", "oh hello", "hey good morning"],
    "weather": ["will it rain", "is it hot today", "weather tomorrow", "sun or rain", "it is cold", "oh it is hot"],
    "food": ["order a pizza", "i like curry", "the food is spicy", "a table please", "too much spice", "hot curry"],
    "music": ["play a song", "play music", "stop the music", "play the song", "turn the music off", "music please"],
}
ENTITIES = {"pizza": "dish", "curry": "dish", "song": "sound", "music": "sound"}
"""Words that are annotated wherever they occur in the examples, and their entity types."""
MESSAGES = ["oh it is hot", "hello", "the curry is very hot", "zzz qqq xxx", "play it", "?", ""]


def component_of(case: str) -> Any:
    """The component class of a case, named by the first word of the case."""
    return getattr(rasa_compressed_bert, case.split()[0])


def weights_of(config: Dict[str, Any]) -> str:
    """The pretrained weights that a configuration, or that of its teacher, names."""
    return config["teacher"]["model_weights"] if "teacher" in config else config["model_weights"]


def with_weights(config: Dict[str, Any], weights: Any) -> Dict[str, Any]:
    """The configuration with other pretrained weights; a distilled classifier's are those of its teacher."""
    if "teacher" in config:
        return {**config, "teacher": {**config["teacher"], "model_weights": str(weights)}}
    return {**config, "model_weights": str(weights)}


def needs_words(component: Any) -> bool:
    """Whether the component requires a tokenizer before it."""
    return Tokenizer in component.required_components()


def training_data(examples: Dict[str, Iterable[str]] = EXAMPLES, *, words: bool = False) -> TrainingData:
    """Training data of texts by intent; an intent such as `faq/ask_name` is a retrieval intent with a response key."""
    pairs = [(text, intent) for intent, texts in examples.items() for text in texts]
    data = TrainingData([Message.build(text, intent, entities_of(text)) for text, intent in pairs])
    return WORDS.process_training_data(data) if words else data


def entities_of(text: str) -> List[Dict[str, Any]]:
    """The annotated entities of a text, in Rasa's format."""
    return [
        {"start": word.start(), "end": word.end(), "value": word[0], "entity": ENTITIES[word[0]]}
        for word in re.finditer(r"\w+", text)
        if word[0] in ENTITIES
    ]


def make_storage(folder: Path) -> LocalModelStorage:
    folder.mkdir(parents=True, exist_ok=True)
    return LocalModelStorage.create(folder)


def create(component: Any, config: Dict[str, Any], storage: LocalModelStorage) -> Any:
    """An untrained component; its configuration is merged with the defaults, as in Rasa."""
    return component.create({**component.get_default_config(), **config}, storage, RESOURCE, CONTEXT)


def load(component: Any, config: Dict[str, Any], storage: LocalModelStorage, *, resource: Resource = RESOURCE) -> Any:
    """A trained component, loaded as Rasa loads it for serving or finetuning."""
    return component.load({**component.get_default_config(), **config}, storage, resource, CONTEXT)


def train(component: Any, config: Dict[str, Any], data: TrainingData, storage: LocalModelStorage) -> Any:
    """Creates and trains a component, and returns it loaded."""
    resource = create(component, config, storage).train(data)
    return load(component, config, storage, resource=resource)


def predict(component: Any, texts: Sequence[Optional[str]]) -> List[Dict[str, Any]]:
    """The output properties and features of each message after the component; None is a message without a text."""
    messages = [Message({} if text is None else {TEXT: text}) for text in texts]
    if needs_words(component):
        WORDS.process(messages)
    return [output_of(message) for message in component.process(messages)]


def output_of(message: Message) -> Dict[str, Any]:
    """The output properties and features of a message, as JSON values."""
    features = [
        {"type": item.type, "attribute": item.attribute, "origin": item.origin, "values": item.features.tolist()}
        for item in message.features
    ]
    return {**message.as_dict(only_output_properties=True), **({"features": features} if features else {})}


def rankings(component: Any, texts: Sequence[str]) -> List[List[Tuple[str, float]]]:
    """The intent ranking of each message, as pairs of name and confidence."""
    return [
        [(entry["name"], entry["confidence"]) for entry in prediction["intent_ranking"]]
        for prediction in predict(component, texts)
    ]


def assert_well_formed(prediction: Dict[str, Any], *, labels: Iterable[str], ranking_length: int = 10) -> None:
    """Asserts what Rasa's policies, channels and trackers rely on."""
    json.dumps(prediction, allow_nan=False)
    best, ranking = prediction["intent"], prediction["intent_ranking"]
    names = [entry["name"] for entry in ranking]
    confidences = [entry["confidence"] for entry in ranking]
    if not ranking:
        assert best == {"name": None, "confidence": 0.0}
        return
    assert best == ranking[0]
    assert len(ranking) <= ranking_length
    assert len(set(names)) == len(names) and set(names) <= set(labels)
    assert all(type(confidence) is float and 0.0 <= confidence <= 1.0 for confidence in confidences)
    assert confidences == sorted(confidences, reverse=True)
    assert math.fsum(confidences) <= 1.0


def predict_elsewhere(stored: Sequence[Tuple[Any, Dict[str, Any], Path]], texts: Sequence[str]) -> List[List[Any]]:
    """`predict` in one new process, of components given by class, configuration and storage folder."""
    named = [(component.__module__, component.__name__, config, str(folder)) for component, config, folder in stored]
    finished = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps([named, list(texts)]),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


def main() -> None:
    import importlib

    stored, texts = json.load(sys.stdin)
    said = []
    for module, name, config, folder in stored:
        component = getattr(importlib.import_module(module), name)
        said.append(predict(load(component, config, LocalModelStorage.create(Path(folder))), texts))
    print(json.dumps(said))


if __name__ == "__main__":
    main()
