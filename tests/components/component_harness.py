"""Runs one component through Rasa's graph interfaces, without the rest of a pipeline.

As a program it loads trained components from storage folders and prints what they say to messages, see
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
WITHOUT_VALIDATION = {**BERT, "validation_split": 0.0}  # of the components with BERT, one has messages held out
CLASSIFIERS = {  # options with which a component trains within seconds; a new component is one more line
    "PrunedBertIntentClassifier": WITHOUT_VALIDATION,
    "JointBertClassifier": BERT,
    "DistilledIntentClassifier": {**STUDENT, "student": {"embedding_size": 16, "hidden_size": 16, "dense_size": 32}},
    "DistilledIntentClassifier spacy": {**STUDENT, "student": {"architecture": "spacy_textcat"}},
}
WORDPIECES = [name for name in CLASSIFIERS if "spacy" not in name]
"""Classifiers that read text as the weights' own tokenizer does."""
FEATURIZERS = {
    "QuantizedBertFeaturizer": {"max_length": 32},
}
EXTRACTORS = {"BertEntityExtractor": WITHOUT_VALIDATION, "JointBertClassifier": BERT}
ANSWERERS = {"BertAnswerExtractor": {**BERT, "max_length": 64, "epochs": 2}}
"""What learns questions and answers from files, which the fixture `case` writes."""
CASES = {**CLASSIFIERS, **EXTRACTORS, **FEATURIZERS, **ANSWERERS}
RUNTIMES = {
    f"{name} {runtime}": {**config, "runtime": runtime}
    for runtime in ("tflite", "tensorflow")
    for name, config in {
        "QuantizedBertFeaturizer": {"max_length": 32},
        "PrunedBertIntentClassifier": {**BERT, "epochs": 1, "pruning": {"method": "none"}, "validation_split": 0.0},
    }.items()
}
"""Components with the graphs of other runtimes, for tests of the files of a model."""

EXAMPLES = {
    "greet": ["hello", "hi", "hey", "good morning", "hello you", "hi hi", "oh hello", "hey good morning"],
    "weather": ["will it rain", "is it hot today", "weather tomorrow", "sun or rain", "it is cold", "oh it is hot"],
    "food": ["order a pizza", "i like curry", "the food is spicy", "a table please", "too much spice", "hot curry"],
    "music": ["play a song", "play music", "stop the music", "play the song", "turn the music off", "music please"],
}
ENTITIES = {"pizza": "dish", "curry": "dish", "song": "sound", "music": "sound"}
"""Words of the examples that are entities wherever they are."""
MESSAGES = ["oh it is hot", "hello", "the curry is very hot", "zzz qqq xxx", "play it", "?", ""]


def component_of(case: str) -> Any:
    """The component of a case, whose name is the first word of the case's."""
    return getattr(rasa_compressed_bert, case.split()[0])


def weights_of(config: Dict[str, Any]) -> str:
    """The pretrained weights that a configuration names."""
    return config["teacher"]["model_weights"] if "teacher" in config else config["model_weights"]


def with_weights(config: Dict[str, Any], weights: Any) -> Dict[str, Any]:
    """The configuration with other pretrained weights, which a student's teacher has."""
    if "teacher" in config:
        return {**config, "teacher": {**config["teacher"], "model_weights": str(weights)}}
    return {**config, "model_weights": str(weights)}


def needs_words(component: Any) -> bool:
    """Whether there must be a tokenizer before it."""
    return Tokenizer in component.required_components()


def training_data(examples: Dict[str, Iterable[str]] = EXAMPLES, *, words: bool = False) -> TrainingData:
    """NLU data; a name such as `faq/ask_name` is a retrieval intent with its response key."""
    pairs = [(text, intent) for intent, texts in examples.items() for text in texts]
    data = TrainingData([Message.build(text, intent, entities_of(text)) for text, intent in pairs])
    return WORDS.process_training_data(data) if words else data


def entities_of(text: str) -> List[Dict[str, Any]]:
    """The annotations of a text: its words that are entities."""
    return [
        {"start": word.start(), "end": word.end(), "value": word[0], "entity": ENTITIES[word[0]]}
        for word in re.finditer(r"\w+", text)
        if word[0] in ENTITIES
    ]


def make_storage(folder: Path) -> LocalModelStorage:
    folder.mkdir(parents=True, exist_ok=True)
    return LocalModelStorage.create(folder)


def create(component: Any, config: Dict[str, Any], storage: LocalModelStorage) -> Any:
    """An untrained component, configured as Rasa configures it."""
    return component.create({**component.get_default_config(), **config}, storage, RESOURCE, CONTEXT)


def load(component: Any, config: Dict[str, Any], storage: LocalModelStorage, *, resource: Resource = RESOURCE) -> Any:
    """A trained component, as Rasa loads it to serve it or to train it further."""
    return component.load({**component.get_default_config(), **config}, storage, resource, CONTEXT)


def train(component: Any, config: Dict[str, Any], data: TrainingData, storage: LocalModelStorage) -> Any:
    """Creates, trains and loads."""
    resource = create(component, config, storage).train(data)
    return load(component, config, storage, resource=resource)


def predict(component: Any, texts: Sequence[Optional[str]]) -> List[Dict[str, Any]]:
    """What each message carries out of the component, features included; None is a message without a text."""
    messages = [Message({} if text is None else {TEXT: text}) for text in texts]
    if needs_words(component):
        WORDS.process(messages)
    return [carried(message) for message in component.process(messages)]


def carried(message: Message) -> Dict[str, Any]:
    """What a message has to say, as JSON values."""
    features = [
        {"type": item.type, "attribute": item.attribute, "origin": item.origin, "values": item.features.tolist()}
        for item in message.features
    ]
    return {**message.as_dict(only_output_properties=True), **({"features": features} if features else {})}


def rankings(component: Any, texts: Sequence[str]) -> List[List[Tuple[str, float]]]:
    """Names and confidences of the ranking of each message."""
    return [
        [(entry["name"], entry["confidence"]) for entry in prediction["intent_ranking"]]
        for prediction in predict(component, texts)
    ]


def assert_well_formed(prediction: Dict[str, Any], *, labels: Iterable[str], ranking_length: int = 10) -> None:
    """Checks what Rasa's policies, channels and trackers rely on."""
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
    """`predict` of components, given with their configurations and storage folders, that one new process loads."""
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
