"""Warnings of what does not fit the rest of config.yml: a threshold, a language, stories without features."""

import logging
from dataclasses import replace

import pytest
from rasa.engine.graph import ExecutionContext, GraphSchema, SchemaNode
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.nlu.classifiers.fallback_classifier import FallbackClassifier
from rasa.nlu.classifiers.keyword_intent_classifier import KeywordIntentClassifier
from rasa.nlu.constants import TOKENS_NAMES
from rasa.shared.data import TrainingType
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.components.bert_answer_extractor import BertAnswerExtractor
from rasa_compressed_bert.components.pipeline import (
    component_names,
    has_extractor,
    warn_of_many_epochs,
    warn_of_missing_intents,
    warn_of_other_language,
    warn_of_other_threshold,
    warn_of_unused,
    warn_of_unused_expressions,
    warn_of_unused_features,
    warn_of_unused_text,
)
from rasa_compressed_bert.components.pruned_bert_intent_classifier import PrunedBertIntentClassifier
from rasa_compressed_bert.config import (
    BertAnswerExtractorConfig,
    BertEntityExtractorConfig,
    DistilledIntentClassifierConfig,
    PrunedBertIntentClassifierConfig,
    QuantizedBertFeaturizerConfig,
)


def context(*configs):
    """The execution context of a pipeline with these FallbackClassifiers."""
    nodes = {
        f"run_FallbackClassifier{index}": SchemaNode({}, FallbackClassifier, "load", "process", config)
        for index, config in enumerate(configs)
    }
    return ExecutionContext(GraphSchema(nodes))


@pytest.mark.parametrize(
    "fallback, ours, warned",
    [
        ({"threshold": 0.7}, {}, True),
        ({}, {"threshold": 0.5}, True),
        ({}, {}, False),
        ({"threshold": 0.5}, {"threshold": 0.5}, False),
        ({"threshold": 0.7}, {"detector": "none"}, False),
        ({"threshold": "0.7"}, {}, False),
        ({"threshold": None}, {}, False),
    ],
)
def test_another_threshold_is_named(caplog, fallback, ours, warned):
    options = PrunedBertIntentClassifierConfig.from_dict({"out_of_scope": ours})
    with caplog.at_level(logging.WARNING):
        warn_of_other_threshold(options, context(fallback), component="PrunedBertIntentClassifier")
    assert bool(caplog.records) == warned
    if warned:
        assert f"threshold to {fallback.get('threshold', 0.3):g} and train again" in caplog.text


@pytest.mark.parametrize(
    "order, intents, warned",
    [
        ("classifier answers", ["ask"], ""),
        ("answers classifier", ["ask"], "so it answers none. Put it after the intent classifier"),
        ("classifier fallback answers", ["ask", "nlu_fallback"], ""),
        ("classifier answers fallback", ["ask", "nlu_fallback"], "Put it after FallbackClassifier"),
        ("classifier answers", ["nlu_fallback"], "Put it after FallbackClassifier"),
        ("answers classifier fallback", ["nlu_fallback"], "Put it after the intent classifier"),
    ],
)
def test_intents_that_are_predicted_later(caplog, order, intents, warned):
    used = {"classifier": KeywordIntentClassifier, "fallback": FallbackClassifier, "answers": BertAnswerExtractor}
    nodes, before = {}, "nlu_message_converter"
    for name in order.split():
        nodes[f"run_{name}"] = SchemaNode({"messages": before}, used[name], "load", "process", {})
        before = f"run_{name}"
    with caplog.at_level(logging.WARNING):
        warn_of_missing_intents(intents, ExecutionContext(GraphSchema(nodes), node_name="run_answers"), component="any")
        warn_of_missing_intents(intents, context(), component="any")  # without the component's node, as in training
    assert warned in caplog.text and len(caplog.records) == bool(warned)


def test_nothing_is_said_without_a_fallback_or_without_intents(caplog):
    with caplog.at_level(logging.WARNING):
        warn_of_other_threshold(PrunedBertIntentClassifierConfig.from_dict({}), context(), component="any")
        warn_of_other_threshold(BertEntityExtractorConfig.from_dict({}), context({"threshold": 0.7}), component="any")
    assert not caplog.records


OURS = "rasa_compressed_bert.PrunedBertIntentClassifier"


def training_context(*names, language="en", training_type=TrainingType.NLU):
    """The execution context that Rasa gives the components of a pipeline in training."""
    policies = [{"name": "MemoizationPolicy"}]
    config = {"language": language, "pipeline": [{"name": name} for name in names], "policies": policies}
    graph = DefaultV1Recipe().graph_config_for_recipe(config, {}, training_type=training_type)
    return ExecutionContext(graph.train_schema)


def test_the_names_of_the_pipeline_are_seen():
    names = component_names(training_context("WhitespaceTokenizer", "CRFEntityExtractor", OURS))
    assert {"WhitespaceTokenizer", "CRFEntityExtractor", "PrunedBertIntentClassifier"} <= names


def serving_context(*names):
    """The execution context that Rasa gives the components of a pipeline in serving."""
    config = {"language": "en", "pipeline": [{"name": name} for name in names]}
    graph = DefaultV1Recipe().graph_config_for_recipe(config, {}, training_type=TrainingType.NLU)
    return ExecutionContext(graph.predict_schema)


@pytest.mark.parametrize(
    "others, found", [((), False), (("FallbackClassifier",), False), (("RegexEntityExtractor",), True)]
)
def test_rasa_test_finds_words_of_the_entities_of_other_extractors(others, found):
    """Without words, `rasa test nlu` would give entities that were all found a score of 0."""
    context = serving_context(OURS, *others)
    assert has_extractor(context) == found
    component = PrunedBertIntentClassifier.create({}, None, Resource("any"), context)
    message, blank = Message({"text": "two pizzas, 我要披萨!"}), Message({"text": " "})
    component.process([message, blank])
    words = message.get(TOKENS_NAMES["text"])
    assert (words is not None) == found and blank.get(TOKENS_NAMES["text"]) is None
    if found:
        assert [word.text for word in words] == ["two", "pizzas", ",", *"我要披萨", "!"]
        assert all(message.get("text")[word.start : word.end] == word.text for word in words)


@pytest.mark.parametrize(
    "language, warned", [("te", True), ("zh", True), ("en", False), ("en-GB", False), (None, False)]
)
@pytest.mark.parametrize(
    "options, option",
    [
        (PrunedBertIntentClassifierConfig(), "set model_weights to"),
        (QuantizedBertFeaturizerConfig(), "set model_weights to"),
        (DistilledIntentClassifierConfig(), "set teacher.model_weights to"),
    ],
)
def test_a_language_that_the_default_weights_do_not_read(options, option, language, warned, caplog):
    warn_of_other_language(options, training_context(OURS, language=language), component="Ours")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warned
    if warned:
        assert f"is '{language}', but the weights 'all-MiniLM-L6-v2' of Ours support only 'en'" in caplog.text
        assert option in caplog.text


@pytest.mark.parametrize("weights", ["bert-base-german-cased", "somewhere/else"])
def test_nothing_is_said_of_other_weights(weights, caplog):
    options = PrunedBertIntentClassifierConfig.from_dict({"model_weights": weights})
    warn_of_other_language(options, training_context(OURS, language="de"), component="Ours")
    given = DistilledIntentClassifierConfig.from_dict({"teacher": {"model": "teacher.tar.gz"}})
    warn_of_other_language(given, training_context(OURS, language="de"), component="Ours")
    assert not caplog.records


@pytest.mark.parametrize(
    "config, epochs, warned",
    [
        (PrunedBertIntentClassifierConfig, 100, True),
        (BertEntityExtractorConfig, 100, True),
        (PrunedBertIntentClassifierConfig, 39, False),
        (DistilledIntentClassifierConfig, 100, False),  # it has patience
        (BertAnswerExtractorConfig, 100, False),  # it has no counterpart in Rasa
        (QuantizedBertFeaturizerConfig, None, False),
    ],
)
def test_epochs_of_diet_are_warned_of(config, epochs, warned, caplog):
    """Alone they are no error: some trainings need many."""
    warn_of_many_epochs(config.from_dict({"epochs": epochs} if epochs else {}), component="Ours")
    assert bool(caplog.records) == warned
    assert not warned or "epochs: 100 is 12 times the default of Ours, 8, and training takes" in caplog.text


END_TO_END = TrainingData([Message.build("hello", "greet"), Message({"text": "any text of a story"})])


@pytest.mark.parametrize(
    "data, names, warned",
    [
        (END_TO_END, (OURS,), True),
        (END_TO_END, ("WhitespaceTokenizer", OURS), True),
        (END_TO_END, ("WhitespaceTokenizer", "CountVectorsFeaturizer", OURS), False),
        (END_TO_END, ("WhitespaceTokenizer", "rasa_compressed_bert.QuantizedBertFeaturizer", OURS), False),
        (TrainingData([Message.build("hello", "greet")]), (OURS,), False),
    ],
)
def test_text_of_stories_without_a_featurizer_is_warned_of(data, names, warned, caplog):
    warn_of_unused_text(data, training_context(*names))
    assert not caplog.records, "`rasa train nlu` has no stories"
    warn_of_unused_text(data, training_context(*names, training_type=TrainingType.END_TO_END))
    assert bool(caplog.records) == warned
    assert not warned or "no policy learns from that text. Add a tokenizer and a featurizer" in caplog.text


@pytest.mark.parametrize(
    "names, warned",
    [
        (("RegexFeaturizer", OURS), True),
        (("RegexFeaturizer", "rasa_compressed_bert.QuantizedBertFeaturizer", OURS, "SklearnIntentClassifier"), True),
        ((OURS,), False),  # Rasa warns
        (("RegexEntityExtractor", OURS), False),
        *(
            (("RegexFeaturizer", name, OURS), False)
            for name in ("RegexEntityExtractor", "CRFEntityExtractor", "DIETClassifier", "LogisticRegressionClassifier")
        ),
    ],
)
def test_regular_expressions_whose_features_nothing_reads_are_warned_of(names, warned, caplog):
    messages = [Message.build("hello", "greet")]
    expressions = [{"name": "zip", "pattern": "[0-9]{5}"}]
    graph = training_context("WhitespaceTokenizer", *names)
    for data in (TrainingData(messages), TrainingData([*messages, Message({"text": "a"})], regex_features=expressions)):
        warn_of_unused_expressions(data, graph, component="Ours")
    assert caplog.text == ""  # no regular expressions; end-to-end stories, whose policies read features
    warn_of_unused_expressions(TrainingData(messages, regex_features=expressions), graph, component="Ours")
    assert ("expressions (zip), but nothing in the pipeline reads" in caplog.text) == warned
    assert not warned or "Ours reads only the text. Replace RegexFeaturizer with RegexEntityExtractor" in caplog.text


@pytest.mark.parametrize(
    "names, named",
    [
        (("CountVectorsFeaturizer", "CountVectorsFeaturizer", "LexicalSyntacticFeaturizer", OURS), True),
        (("LanguageModelFeaturizer", OURS), True),
        (("rasa_compressed_bert.QuantizedBertFeaturizer", OURS, "RegexEntityExtractor"), True),
        ((OURS,), False),
        (("RegexFeaturizer", OURS), False),  # see above
        *(
            (("rasa_compressed_bert.QuantizedBertFeaturizer", OURS, name), False)
            for name in ("CRFEntityExtractor", "DIETClassifier", "SklearnIntentClassifier")
        ),
    ],
)
def test_features_that_nothing_reads_are_warned_of(names, named, caplog):
    messages, graph = [Message.build("hello", "greet")], training_context("WhitespaceTokenizer", *names)
    warn_of_unused_features(END_TO_END, graph, component="Ours")
    assert caplog.text == "", "policies read them"
    warn_of_unused_features(TrainingData(messages), graph, component="Ours")
    found = ", ".join(sorted({name.rpartition(".")[2] for name in names if "Featurizer" in name}))
    assert (f"reads the features of {found}: Ours reads only the text" in caplog.text) == named == bool(caplog.records)


FAQ = Message.build("who are you", "faq/name")


@pytest.mark.parametrize(
    "messages, selectors, idle",
    [
        ([], [{}], True),  # as in Rasa's default pipeline
        ([FAQ], [{}], False),
        ([FAQ], [{"retrieval_intent": None}], False),
        ([FAQ], [{"retrieval_intent": "faq"}], False),
        ([FAQ], [{"retrieval_intent": "chitchat"}], True),
        ([FAQ], [{"retrieval_intent": "chitchat"}, {"retrieval_intent": "faq"}], False),
    ],
)
def test_a_selector_that_learns_nothing_reads_no_features(messages, selectors, idle, caplog):
    featurizers = "RegexFeaturizer", "CountVectorsFeaturizer"
    graph = training_context("WhitespaceTokenizer", *featurizers, OURS, *["ResponseSelector"] * len(selectors))
    nodes = [node for node in graph.graph_schema.nodes.values() if node.uses.__name__ == "ResponseSelector"]
    for node, config in zip(nodes, selectors):
        node.config.update(config)
    expressions = [{"name": "zip", "pattern": "[0-9]{5}"}]
    data = TrainingData([Message.build("hello", "greet"), *messages], regex_features=expressions)
    warn_of_unused_expressions(data, graph, component="Ours")
    warn_of_unused_features(data, graph, component="Ours")
    assert len(caplog.records) == 2 * idle
    assert caplog.text.count("Ours reads only the text, and ResponseSelector has no retrieval intent") == 2 * idle
    assert ("leave them and ResponseSelector out, unless" in caplog.text) == idle


EXTRACTOR = "rasa_compressed_bert.BertEntityExtractor"


def test_of_several_components_the_first_warns_of_what_the_pipeline_does_not_read(caplog):
    names = "rasa_compressed_bert.QuantizedBertFeaturizer", OURS, EXTRACTOR
    graph = training_context("WhitespaceTokenizer", *names)
    nodes = [name for name, node in graph.graph_schema.nodes.items() if node.fn == "train"]
    assert len(nodes) == len(names)
    for node in nodes[1:]:
        component = graph.graph_schema.nodes[node].uses.__name__
        warn_of_unused(TrainingData(), replace(graph, node_name=node), component=component)
    (record,) = caplog.records
    assert "QuantizedBertFeaturizer: PrunedBertIntentClassifier reads only the text" in record.message


@pytest.mark.parametrize(
    "names, lookups, warned",
    [
        (("RegexFeaturizer", OURS), True, False),  # Rasa warns
        (("RegexFeaturizer", OURS, EXTRACTOR), True, False),
        (("RegexFeaturizer", OURS, EXTRACTOR), False, True),
        (("RegexFeaturizer", OURS, EXTRACTOR, "RegexEntityExtractor"), False, False),
        (("RegexFeaturizer", OURS, "DIETClassifier"), True, False),
        ((OURS,), True, False),  # Rasa warns
    ],
)
def test_lookup_tables_whose_features_nothing_reads_are_warned_of(names, lookups, warned, caplog):
    graph = training_context("WhitespaceTokenizer", *names)
    for node in graph.graph_schema.nodes.values():
        if node.uses.__name__ == "BertEntityExtractor":
            node.config["lookups"] = lookups
    data = TrainingData([Message.build("hello", "greet")], lookup_tables=[{"name": "dish", "elements": ["soup"]}])
    warn_of_unused_expressions(data, graph, component="Ours")
    assert ("lookup tables (dish), but nothing in the pipeline reads the features" in caplog.text) == warned
