"""Lookup tables in training: messages with their values are learnt but never measured on."""

import numpy as np
import pytest

from rasa_compressed_bert.config import JointBertClassifierConfig
from rasa_compressed_bert.data.entities import EntitySpan, TagSpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import NO_VALUES, KnownValues
from rasa_compressed_bert.runtime.entity_decoder import EntityDecoder
from rasa_compressed_bert.runtime.predictors import open_predictor
from rasa_compressed_bert.tasks import bert_training, cross_fitting
from rasa_compressed_bert.tasks.bert_training import finetune_bert, requantize_bert, train_bert
from rasa_compressed_bert.tasks.cross_fitting import cross_fit
from rasa_compressed_bert.tasks.dense_stage import fine_tune
from rasa_compressed_bert.tasks.messages import without_annotations
from rasa_compressed_bert.tasks.preparation import prepare
from rasa_compressed_bert.tokenization.pieces import PieceTokenizer
from rasa_compressed_bert.training.batches import NO_LABEL

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_without_graphs")]

KNOWN = KnownValues(lookups={"dish": ["stew", "rice and stew", "soup", "noodles"]})
WORDS = "please today now tomorrow morning evening".split()


def example_of(index):
    before = f"{WORDS[index % 6]} order number{index} a "
    dish = ("pizza", "curry")[index % 2]
    return Example(before + dish, "order" if index % 3 else "ask", (EntitySpan(len(before), len(before) + 5, "dish"),))


EXAMPLES = [example_of(index) for index in range(24)]
SINGLE = [Example(f"order a {word}", "order", (EntitySpan(8, 8 + len(word), "dish"),)) for word in WORDS]
SINGLE_KNOWN = KnownValues(synonyms=dict.fromkeys(["stew", *WORDS], "a pie"))
"""Each value is annotated in one message."""


@pytest.fixture(scope="module")
def run_of(tiny_weights):
    def make(examples, known=KNOWN, **options):
        defaults = {"model_weights": str(tiny_weights), "epochs": 2, "max_length": 32, "validation_split": 0.1}
        config = JointBertClassifierConfig.from_dict({**defaults, **options})
        return prepare(examples, config, known=known)

    return make


def test_values_of_entities_that_no_message_annotates_are_reported(run_of, caplog):
    intents_only = [Example(example.text, example.intent) for example in EXAMPLES]
    assert run_of(intents_only).messages.filled == []
    assert "lookup tables of an entity that no message annotates (1): dish (4)" in caplog.text


def test_synthetic_messages_have_tags_and_no_intent(run_of):
    messages = run_of(EXAMPLES).messages
    assert len(messages.encoded) == len(messages.examples) == 24 and len(messages.filled) == 24
    learnt = messages.learnt
    assert len(learnt) == 48 and list(learnt.labels["intents"][24:]) == [NO_LABEL] * 24
    for message, tags in zip(messages.filled, learnt.labels["entities"][24:]):
        (span,) = message.example.entities
        pieces = len(tags) - 2
        assert (tags[1:-1] > 0).any() and tags[0] == tags[-1] == NO_LABEL
        assert span.end == len(message.example.text) and pieces > 3
    assert len(run_of(EXAMPLES, NO_VALUES).messages.learnt) == 24


def test_models_of_cross_fitting_learn_nothing_of_held_out_messages(run_of, monkeypatch):
    seen, fit_dense = [], cross_fitting.fit_dense

    def noted(run, name, **options):
        seen.append(run.messages)
        fit_dense(run, name, **options)

    monkeypatch.setattr(cross_fitting, "fit_dense", noted)
    found = cross_fit(run_of(EXAMPLES)).cross_fitted
    assert found.messages == 24 and len(seen) == 2
    for part in seen:
        own = {example.text for example in part.examples}
        assert part.filled and {EXAMPLES[message.source].text for message in part.filled} <= own
        assert len(part.learnt) == len(part.encoded) + len(part.filled)


INLINE = KnownValues(lookups={"dish": ["soup"]}, synonyms={"pizza": "a pie", "soup": "a broth", "stew": "a pie"})
"""What Rasa reads from `[pizza]{"entity": "dish", "value": "a pie"}` and from a section of synonyms."""


def test_models_of_cross_fitting_learn_no_synonym_from_held_out_messages(run_of):
    run = run_of([EXAMPLES[0], *EXAMPLES[1::2]], INLINE)  # the only one with pizza

    def values(messages):
        return {message.example.text.rsplit(" ", 1)[1] for message in messages.filled}

    assert values(run.messages) == {"pizza", "soup", "stew"}
    assert values(without_annotations(run, np.array([0])).messages) == {"soup", "stew"}
    assert values(without_annotations(run, np.array([1])).messages) == {"pizza", "soup", "stew"}


def test_models_of_cross_fitting_list_values_without_the_help_of_held_out_messages(run_of):
    """A message that uses a listed word in another sense shows that it should not be listed."""
    run = run_of([Example("a soup kitchen is no order", "ask"), *EXAMPLES])

    def values(heads):
        return [head.values for head in heads if head.name == "entities"]

    assert values(run.heads) == values(without_annotations(run, np.array([1])).heads)
    assert values(run.heads) == [{"dish": ["noodles", "rice and stew", "stew"]}]
    assert values(without_annotations(run, np.array([0])).heads) == [
        {"dish": ["noodles", "rice and stew", "soup", "stew"]}
    ]


def test_models_of_cross_fitting_learn_values_without_the_help_of_held_out_messages(run_of):
    """A message in which a listed word is an entity shows that it may be learnt, although it has another sense too."""
    ordered = Example("please order a soup", "order", (EntitySpan(15, 19, "dish"),))
    run = run_of([ordered, Example("a soup kitchen is no order", "ask"), *EXAMPLES])

    def values(messages):
        return {made.example.text[made.example.entities[0].start :] for made in messages.filled}

    assert values(run.messages) == {"noodles", "rice and stew", "soup", "stew"}
    assert values(without_annotations(run, np.array([0])).messages) == {"noodles", "rice and stew", "stew"}
    assert values(without_annotations(run, np.array([2])).messages) == values(run.messages)


def test_a_budget_is_measured_without_synonyms_from_held_out_messages(run_of, monkeypatch):
    learnt = []
    monkeypatch.setattr(bert_training, "fine_tune_bert", lambda examples, config, *, known: learnt.append(known))
    monkeypatch.setattr(bert_training, "compress_within", lambda held_out, *_: held_out)
    held_out = bert_training.choose_sparsity(SINGLE, run_of(EXAMPLES).config, known=SINGLE_KNOWN)
    told = {example.text.rsplit(" ", 1)[1] for example in held_out}
    assert told and set(learnt[0].synonyms) == {"stew", *WORDS} - told


def separated(run):
    return [head.comma_separated for head in run.heads if head.name == "entities"]


@pytest.mark.parametrize("known", [KnownValues({"dish": ["rice, beans"]}), KnownValues({}, {"rice, beans": "pizza"})])
def test_known_values_with_a_comma_are_entities_as_a_whole(run_of, known):
    """Else a decoder would cut them at their commas, however certain the model is."""
    assert separated(run_of(EXAMPLES)) == [("dish",)]
    assert separated(run_of(EXAMPLES, KnownValues({"dish": ["1,000 leaves", "stew"]}))) == [("dish",)]
    run = run_of(EXAMPLES, known)
    assert separated(run) == separated(without_annotations(run, np.array([0]))) == [()]
    assert separated(run_of(EXAMPLES, known, split_entities_by_comma={"dish": True})) == [("dish",)]
    (head,) = (head for head in run.heads if head.name == "entities")
    decoder = EntityDecoder(head.to_manifest(None)["entities"])
    text = "order rice, beans"
    pieces = PieceTokenizer(run.start.tokenizer, 32, {}).encode(text)
    whole = head.scheme.tags(
        [TagSpan(int(np.flatnonzero(pieces.starts >= 6)[0]), len(pieces.starts), 0)], len(pieces.starts)
    )
    found = decoder.decode(text, pieces, 20.0 * np.eye(head.size, dtype=np.float32)[whole])
    assert [(text[one.start : one.end], one.label.entity) for one in found] == [("rice, beans", "dish")]


def test_held_out_messages_do_not_reveal_commas_of_synonyms(run_of):
    """Rasa adds a synonym for every annotation with a value."""
    told = Example("order a rice, beans", "order", (EntitySpan(8, 19, "dish"),))
    run = run_of([told, *EXAMPLES], KnownValues({}, {"rice, beans": "pizza"}))
    assert separated(run) == separated(without_annotations(run, np.array([1]))) == [()]
    assert separated(without_annotations(run, np.array([0]))) == [("dish",)]


def listed(artifact):
    return artifact.manifest["entities"].get("values")


def test_a_model_lists_the_values_of_its_tables(run_of):
    """Those of the last training; a model that is only quantized again keeps its own."""
    config = run_of(EXAMPLES).config
    trained = train_bert(EXAMPLES, config, known=KNOWN)
    assert listed(trained) == {"dish": ["noodles", "rice and stew", "soup", "stew"]}
    assert listed(finetune_bert(EXAMPLES, config, trained, known=KnownValues({"dish": ["pie"]}))) == {"dish": ["pie"]}
    assert listed(finetune_bert(EXAMPLES, config, trained, known=NO_VALUES)) is None
    assert listed(requantize_bert(EXAMPLES, config, trained)) == listed(trained)
    open_predictor(trained).predict("now order a rice and stew")


def test_stages_tokenize_nothing_anew(run_of, monkeypatch):
    run = run_of(EXAMPLES)
    monkeypatch.setattr(PieceTokenizer, "encode", None)
    assert list(fine_tune(run).scores) == ["dense"]


def test_an_annotation_inside_of_a_word_keeps_its_bounds_in_synthetic_messages(run_of):
    """`pizzas` with the entity `pizza` becomes `noodless` with the entity `noodles`."""
    examples = [
        Example(f"{word} {dish}s please", "order", (EntitySpan(len(word) + 1, len(word) + 6, "dish"),))
        for word in WORDS
        for dish in ("pizza", "curry")
    ]
    tags = run_of(examples).messages.learnt.labels["entities"][len(examples) :]
    ends = [np.flatnonzero(own > 0).max() for own in tags]
    assert all(end < len(own) - 3 for end, own in zip(ends, tags)), "the s and `please` are outside"


def test_without_entities_nothing_is_made(run_of):
    examples = [Example(example.text, example.intent) for example in EXAMPLES]
    assert run_of(examples).messages.filled == []
