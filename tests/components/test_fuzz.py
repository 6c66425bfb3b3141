"""Generated texts, and models with one part altered, lead to a prediction or one clear error, nothing else.

`FUZZ=60` runs sixty times as many cases: 108,000 messages, and up to 7,200 models.
"""

import copy
import json
import os
import random

import pytest
from component_harness import (
    ANSWERERS,
    CASES,
    CLASSIFIERS,
    EXAMPLES,
    EXTRACTORS,
    RESOURCE,
    assert_well_formed,
    load,
    predict,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.shared.exceptions import RasaException

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact, read_artifact, write_artifact

EFFORT = int(os.environ.get("FUZZ", "1"))
PATIENT = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": EFFORT == 1}
ANY = st.characters()  # lone surrogates too: JSON can carry them
WORDS = st.sampled_from(
    ["hot", "pizza", "play", "[SEP]", "##s", "\u200d", "\u0301", "\ufe0f", "\x00", "👩", "🇩", "\r\n"]
)
TEXTS = st.lists(st.lists(WORDS | st.text(ANY, max_size=12), max_size=8).map(" ".join), min_size=30, max_size=30)
JUNK = [None, -1, 0, 10**9, 1e308, float("nan"), "x", "", [], {}, True, [1], {"a": 1}, -1.5, 2**70]


@pytest.mark.parametrize("case", {**CLASSIFIERS, **EXTRACTORS}, indirect=True)
def test_any_text_gets_a_well_formed_answer(trained):
    options, asked = trained.case.component.options_class, []

    @settings(max_examples=12 * EFFORT, **PATIENT)
    @given(TEXTS)
    def ask(texts):
        asked.extend(texts)
        for text, said in zip(texts, predict(trained.component, texts)):
            assert ("intent" in said, "entities" in said) == (options.learns_intents, options.learns_entities)
            if options.learns_intents:
                assert_well_formed({key: said[key] for key in ("intent", "intent_ranking")}, labels=EXAMPLES)
            for entity in said.get("entities", []):
                assert 0 <= entity["start"] < entity["end"] <= len(text)
                assert entity["value"] == text[entity["start"] : entity["end"]]
                assert 0.0 <= entity["confidence_entity"] <= 1.0

    ask()
    assert len(asked) >= 300 * EFFORT


@pytest.mark.slow
@pytest.mark.parametrize("part", ["manifest", "tokenizer", "bytes"])
def test_a_model_with_a_changed_part_answers_or_is_refused(case, trained, part, tmp_path_factory):
    with trained.storage.read_from(RESOURCE) as folder:
        artifact = read_artifact(folder)
    if part == "tokenizer" and TOKENIZER not in artifact.files:
        pytest.skip("spaCy brings its own")

    @settings(max_examples=8 * EFFORT, **PATIENT)
    @given(st.integers(0, 2**32 - 1))
    def change(seed):
        rng = random.Random(seed)
        storage = LocalModelStorage.create(tmp_path_factory.mktemp("fuzz"))
        with storage.write_to(RESOURCE) as folder:
            write_artifact(changed(artifact, part, rng), folder)  # with valid digests
        try:
            component = load(case.component, case.config, storage)
            answers = predict(component, ["oh it is hot", "a pizza please", "😀 x" * 30])
        except RasaException as error:
            assert len(str(error)) > 20
        else:
            json.dumps(answers, allow_nan=False)

    change()


def changed(artifact, part, rng):
    """The artifact with one change: to a value of the manifest or the tokenizer, or to bytes of any file."""
    manifest = {key: value for key, value in artifact.manifest.items() if key != "files"}
    files = dict(artifact.files)
    if part == "manifest":
        manifest = with_junk(manifest, rng)
    elif part == "tokenizer":
        files[TOKENIZER] = json.dumps(with_junk(json.loads(files[TOKENIZER]), rng)).encode()
    else:
        name = rng.choice(sorted(files))
        files[name] = with_other_bytes(files[name], rng)
    return Artifact(manifest, files)


def with_junk(value, rng):
    value = copy.deepcopy(value)
    parent, key = rng.choice(list(places(value)))
    if rng.random() < 0.3:
        del parent[key]
    else:
        parent[key] = rng.choice(JUNK)
    return value


def places(value):
    """The path of every value within a JSON value; of long lists, the first few items."""
    keys = list(value) if isinstance(value, dict) else range(min(len(value), 5)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def with_other_bytes(data, rng):
    data, place = bytearray(data), rng.randrange(len(data))
    kind = rng.choice(["replace", "replace", "cut", "insert"])
    if kind == "replace":
        for _ in range(rng.choice([1, 2, 8, 64])):
            data[rng.randrange(rng.choice([len(data), min(len(data), 4000)]))] = rng.randrange(256)
    elif kind == "cut":
        del data[place:]
    else:
        data[place:place] = bytes(rng.randrange(256) for _ in range(rng.choice([1, 4, 100])))
    return bytes(data)


def test_every_component_with_predictions_is_fuzzed():
    assert set(CASES) - {*CLASSIFIERS, *EXTRACTORS, *ANSWERERS} == {"QuantizedBertFeaturizer"}, "it gives features"
