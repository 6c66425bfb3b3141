"""Helpers of the tasks' tests: a toy problem and checks of artifacts."""

import json

import numpy as np

from rasa_compressed_bert.artifact.artifact import WEIGHTS
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.export.packing import unpack
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor

WORDS = {
    "weather": "weather rain sun warm cold".split(),
    "spice": "spicy food pizza curry spice".split(),
    "music": "play music song stop loud".split(),
}


def examples_of(size=10, intents=tuple(WORDS)):
    rng = np.random.default_rng(0)
    fillers = "a the is it my to of please today very".split()
    return [
        Example(
            " ".join([rng.choice(fillers), WORDS[intent][index % 5], rng.choice(fillers), rng.choice(fillers)]), intent
        )
        for index in range(size)
        for intent in intents
    ]


EXAMPLES = examples_of()


def encoder_size(artifact):
    return EncoderShape.from_dict(artifact.manifest["encoder"]).encoder_size()


def parameters_of(artifact):
    return unpack(EncoderShape.from_dict(artifact.manifest["encoder"]), tensors_from_bytes(artifact.files[WEIGHTS]))


def zeros_of(artifact):
    shape, parameters = EncoderShape.from_dict(artifact.manifest["encoder"]), parameters_of(artifact)
    return {name: parameters[name] == 0 for name in shape.kernel_names()}


def accuracy(artifact, examples=EXAMPLES):
    predictor = MessagePredictor(artifact)
    return np.mean([predictor.predict(example.text).ranking[0][0] == example.intent for example in examples])


def check(artifact, config):
    """Asserts what holds for every artifact."""
    manifest = json.loads(json.dumps(artifact.manifest))
    assert manifest["labels"] == sorted(WORDS) and manifest["max_length"] == config.max_length
    assert manifest["config"] == json.loads(json.dumps(config.to_dict())) and manifest["temperature"] > 0
    ranking = MessagePredictor(artifact).predict("it is very hot today").ranking
    assert {label for label, _ in ranking} == set(WORDS)
