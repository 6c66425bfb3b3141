"""From annotated messages to artifacts that extract entities, with every compression method."""

import json
from dataclasses import replace

import numpy as np
import pytest
from shipped_tokenizer import minilm_tokenizer
from task_harness import parameters_of

from rasa_compressed_bert.artifact.artifact import ENTITY_EXTRACTOR, INTENT_CLASSIFIER, JOINT_CLASSIFIER, Artifact
from rasa_compressed_bert.config import BertEntityExtractorConfig, JointBertClassifierConfig
from rasa_compressed_bert.data.entities import EntityLabel, EntitySpan, TagScheme
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import NO_VALUES
from rasa_compressed_bert.errors import ArtifactError, DataError
from rasa_compressed_bert.heads import EntityHead, continued_heads, learnt_heads
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.tasks import bert_training, dense_stage, export_stage
from rasa_compressed_bert.tasks.bert_training import finetune_bert, requantize_bert, train_bert, train_or_finetune
from rasa_compressed_bert.tasks.preparation import prepare
from rasa_compressed_bert.training.batches import NO_LABEL

pytestmark = pytest.mark.slow
few_steps = pytest.mark.usefixtures("without_graphs")

TOKENIZER = minilm_tokenizer()
DISHES, SOUNDS = "pizza curry soup rice stew".split(), "music song sound tune noise".split()
QUICK = {"epochs": 12, "batch_size": 16, "learning_rate": 0.003, "max_length": 32, "validation_split": 0.0}
NO_PRUNING = {"method": "none"}
NEURONS = {"epochs": 8, "pruning": {"method": "neuron"}}


def example_of(index):
    kind, words = (("dish", DISHES), ("sound", SOUNDS))[index % 2]
    word = words[index // 2 % 5]
    before = ("please the", "i like my", "no", "today a very")[index % 4]
    text = f"{before} {word} now"
    return Example(text, kind + "s", (EntitySpan(len(before) + 1, len(before) + 1 + len(word), kind),))


EXAMPLES = [example_of(index) for index in range(40)]


@pytest.fixture(scope="module")
def options(tiny_weights):
    return {"model_weights": str(tiny_weights), "pruning": NO_PRUNING, **QUICK}


def joint(options, **more):
    return JointBertClassifierConfig.from_dict({**options, **more})


def right(artifact, examples=EXAMPLES):
    """The shares of messages with the right intent and with the right entities."""
    predictor = MessagePredictor(artifact)
    predictions = [predictor.predict(example.text) for example in examples]
    intents = [
        bool(said.ranking) and said.ranking[0][0] == example.intent for said, example in zip(predictions, examples)
    ]
    entities = [
        [EntitySpan(found.start, found.end, *found.label) for found in said.entities] == list(example.entities)
        for said, example in zip(predictions, examples)
    ]
    return np.mean(intents), np.mean(entities)


@pytest.fixture(scope="module")
def trained(options):
    return train_bert(EXAMPLES, joint(options, validation_split=0.2, **NEURONS))


def test_both_are_learnt_and_the_encoder_is_pruned(trained):
    manifest = json.loads(json.dumps(trained.manifest, allow_nan=False))
    assert manifest["kind"] == JOINT_CLASSIFIER and manifest["labels"] == ["dishs", "sounds"]
    assert manifest["entities"]["labels"] == [["dish", None, None], ["sound", None, None]]
    assert list(manifest["training_scores"]) == ["dense", "pruned", "final"]
    scores = [*manifest["training_scores"].values(), manifest["cross_fitted"]["score"]]
    assert all(0 <= score["entity_f1"] <= 1 for score in scores)
    assert manifest["cross_fitted"]["messages"] == len(EXAMPLES)
    assert manifest["parity"]["tags"]["messages"] > 0
    assert [manifest["entities"][name] for name in ("slope", "intercept")] == manifest["cross_fitted"][
        "entity_confidences"
    ]
    before, now = (EncoderShape.from_dict(manifest[name]).encoder_size() for name in ("dense_encoder", "encoder"))
    assert now < 0.6 * before
    assert min(right(trained)) >= 0.9


METHODS = {
    "static_int8": {"quantization": {"method": "static_int8"}},
    "kmeans": {"quantization": {"method": "kmeans", "encoder_bits": 4, "embedding_bits": 4}},
    "aware": {
        "quantization": {"method": "kmeans", "encoder_bits": 3, "embedding_bits": 4, "aware_training": True},
        "epochs": 8,
    },
    "tflite": {"runtime": "tflite"},
    "tensorflow": {"runtime": "tensorflow"},
}


@pytest.fixture(scope="module")
def floats(trained, options):
    return requantize_bert(EXAMPLES, joint(options, quantization={"method": "none"}), trained)


def test_hidden_states_of_wordpieces_are_not_kept_to_refit_intents(floats, options, monkeypatch):
    """With MiniLM, those of 10,000 messages of 15 wordpieces would take 230 MB."""
    computed = []
    original = export_stage.predict_inputs
    monkeypatch.setattr(
        export_stage,
        "predict_inputs",
        lambda model, name, ids: computed.append(name) or original(model, name, ids),
    )
    requantize_bert(EXAMPLES, joint(options), floats)
    refit = floats.manifest["cross_fitted"]["refit"]
    assert computed == (["classifier"] if refit else [])


@pytest.mark.parametrize("words, most", [(90, 60_000), (10, 12_000)])
def test_states_of_long_messages_take_no_more_memory_than_those_of_short_ones(options, monkeypatch, words, most):
    """The linear probe of entities is fitted on the states of at most `most` wordpieces; of all in short messages."""
    texts = ["pizza " + " ".join(["the"] * (words - 1)) for _ in range(1000)]
    examples = [Example(text, None, (EntitySpan(0, 5, "dish"),)) for text in texts]
    config = BertEntityExtractorConfig.from_dict({**options, "max_length": 120})
    asked = []
    monkeypatch.setattr(dense_stage, "predict_inputs", lambda model, name, input_ids: asked.append(input_ids))
    monkeypatch.setattr(EntityHead, "probe", lambda *others, **more: None)
    dense_stage._probed(prepare(examples, config, known=NO_VALUES))
    (input_ids,) = asked
    total = sum(map(len, input_ids))
    assert total <= most and (len(input_ids) == 1000 if words == 10 else total > 0.99 * most)


@pytest.mark.parametrize("more", METHODS.values(), ids=METHODS)
def test_formats_and_runtimes(floats, options, more):
    artifact = requantize_bert(EXAMPLES, joint(options, **more), floats)
    assert artifact.manifest["runtime"] == more.get("runtime", "onnxruntime")
    assert min(right(artifact)) >= 0.8


@pytest.mark.parametrize(
    "pruning", [{"method": "weight"}, {"method": "head", "final_sparsity": 0.3}], ids=["weight", "head"]
)
def test_other_pruning(options, pruning):
    assert min(right(train_bert(EXAMPLES, joint(options, epochs=8, pruning=pruning)))) >= 0.75


def test_pooler_is_pruned_with_the_rest(options):
    pruning = {"pooler": 0.5, "final_sparsity": 0.3}
    artifact = train_bert(EXAMPLES, joint(options, epochs=8, pooling="cls", pruning=pruning))
    assert parameters_of(artifact)["pooler.bias"].shape == (16,)
    assert right(artifact)[1] >= 0.9, "a random BERT's first wordpiece knows little of intents"


def test_without_bilou(options):
    artifact = train_bert(EXAMPLES, joint(options, BILOU_flag=False))
    assert artifact.manifest["entities"]["bilou"] is False and min(right(artifact)) >= 0.9


def test_an_extractor_knows_no_intents(options):
    artifact = train_bert(EXAMPLES, BertEntityExtractorConfig.from_dict(options))
    assert artifact.manifest["kind"] == ENTITY_EXTRACTOR and artifact.manifest["labels"] == []
    intents, entities = right(artifact)
    assert intents == 0.0 and entities >= 0.9


def test_either_is_learnt_where_the_data_has_only_the_other(options):
    intents = train_bert([replace(example, entities=()) for example in EXAMPLES], joint(options))
    assert intents.manifest["kind"] == INTENT_CLASSIFIER and "entities" not in intents.manifest
    assert right(intents)[0] >= 0.9 and MessagePredictor(intents).predict("please the pizza now").entities == []
    entities = train_bert([replace(example, intent=None) for example in EXAMPLES], joint(options))
    assert entities.manifest["kind"] == ENTITY_EXTRACTOR and right(entities)[1] >= 0.9


def test_messages_without_an_intent_teach_entities(options):
    mixed = [example if index % 4 else replace(example, intent=None) for index, example in enumerate(EXAMPLES)]
    assert min(right(train_bert(mixed, joint(options)), [example for example in mixed if example.intent])) >= 0.8


def test_nothing_to_learn_is_an_error(options):
    with pytest.raises(DataError, match="no examples with an intent or an entity"):
        train_bert([Example("hello")], joint(options))


def test_more_labels_than_can_be_served_are_not_learnt(options):
    examples = [Example("hello", "i", (EntitySpan(0, 5, f"type{number}"),)) for number in range(1001)]
    config = BertEntityExtractorConfig.from_dict(options)
    with pytest.raises(DataError, match="^Entities have 1001 types, roles and groups; at most 1000 can be learnt.$"):
        learnt_heads(examples, config, TOKENIZER)


@pytest.mark.parametrize(
    "switch, separated",
    [
        (True, ["b"]),
        (False, []),
        ({"a": True}, ["a", "b"]),
        ({"b": False}, []),
        ({"split_entities_by_comma": False, "a": True}, ["a"]),
    ],
)
def test_types_that_end_at_commas(options, switch, separated):
    """An annotation of `a` has a comma between words, one of `b` the comma of a number."""
    text = "x, y is 1,000"
    examples = [Example(text, "i", (EntitySpan(0, 4, "a"), EntitySpan(8, 13, "b")))]
    config = BertEntityExtractorConfig.from_dict({**options, "split_entities_by_comma": switch})
    assert list(learnt_heads(examples, config, TOKENIZER)[0].comma_separated) == separated


@few_steps
def test_weight_of_the_entities_counts_without_pruning(options):
    models = [train_bert(EXAMPLES, joint(options, epochs=1, entity_loss_weight=weight)) for weight in (0.1, 10.0)]
    one, other = (parameters_of(model)["halfway_tagger.kernel"] for model in models)
    assert np.abs(one - other).max() > 1e-4


def test_an_entity_cut_by_max_length_is_not_learnt_as_outside(options):
    text = "please the please music pizza"
    examples = [Example(text, "a", (EntitySpan(11, 29, "x"),))] * 4
    config = joint(options, max_length=6)
    run = prepare(examples, config, known=NO_VALUES)
    tags = [tags for tags in run.messages.encoded.labels["entities"] if (tags[1:-1] == NO_LABEL).any()]
    assert [part.tolist() for part in tags] == [[NO_LABEL, 0, 0, NO_LABEL, NO_LABEL, NO_LABEL]] * 4


def test_pooler_without_intents_is_an_error(options):
    examples = [replace(example, intent=None) for example in EXAMPLES]
    with pytest.raises(DataError, match="pooling: cls is for intents"):
        train_bert(examples, joint(options, pooling="cls"))


def test_roles_and_groups_of_one_name_are_told_apart():
    role, group = (EntityHead(TagScheme((EntityLabel("c", *more),))) for more in (("x",), (None, "x")))
    with pytest.raises(DataError, match="New: .'c, group x'.; removed: .'c, role x'."):
        continued_heads([role], [group])


@pytest.mark.parametrize("missing", ["intents", "entities"])
def test_finetuning_without_the_labels_of_before_is_an_error(trained, options, missing):
    left = {"intents": {"intent": None}, "entities": {"entities": ()}}[missing]
    examples = [replace(example, **left) for example in EXAMPLES]
    with pytest.raises(DataError, match=f"The {missing} are not those .* New: none; removed: .'dish"):
        finetune_bert(examples, joint(options), trained)


def test_finetuning_goes_on(trained, options):
    tuned = finetune_bert(EXAMPLES, joint(options, epochs=1, learning_rate=1e-5), trained)
    assert tuned.manifest["entities"]["labels"] == trained.manifest["entities"]["labels"]
    assert min(right(tuned)) >= 0.9


def test_the_entities_of_each_intent_are_those_of_the_last_training(trained, options):
    """Messages of each intent, then those with a dish and with a sound."""
    assert trained.manifest["entities"]["by_intent"] == {"dishs": [20, 20, 0], "sounds": [20, 0, 20]}
    tuned = finetune_bert([*EXAMPLES, EXAMPLES[0]], joint(options, epochs=1, learning_rate=1e-5), trained)
    assert tuned.manifest["entities"]["by_intent"] == {"dishs": [21, 21, 0], "sounds": [20, 0, 20]}


def test_transitions_are_those_of_the_last_training(trained, options):
    """After each message comes its edge, the last tag."""
    edge = 1 + 4 * len(trained.manifest["entities"]["labels"])

    def messages(artifact):
        return sum(count for before, _, count in artifact.manifest["entities"]["transitions"] if before == edge)

    assert messages(trained) == len(EXAMPLES)
    tuned = finetune_bert([*EXAMPLES, EXAMPLES[0]], joint(options, epochs=1, learning_rate=1e-5), trained)
    assert messages(tuned) == len(EXAMPLES) + 1


def test_a_model_without_transitions_is_read(trained):
    """Models of older versions have none."""
    entities = {key: value for key, value in trained.manifest["entities"].items() if key != "transitions"}
    older = Artifact({**trained.manifest, "entities": entities}, trained.files)
    assert min(right(older)) >= 0.9


@pytest.mark.parametrize(
    "damage",
    [
        *({"by_intent": counts} for counts in ([], {"a": []}, {"a": [1, 2, 3]}, {"a": "many"})),
        *({"transitions": counts} for counts in (1, [1], [[0, 0, -1]], [[0, 99, 1]], [["O", 0, 1]])),
    ],
)
def test_damaged_counts_of_entities_are_refused(trained, damage):
    entities = {**trained.manifest["entities"], **damage}
    damaged = Artifact({**trained.manifest, "entities": entities}, trained.files)
    with pytest.raises(ArtifactError, match="parts of the model do not fit each other"), as_artifact_error():
        MessagePredictor(damaged)


@few_steps
def test_finetuning_keeps_the_split_points(options):
    inside = [Example("hello now", "a", (EntitySpan(0, 2, "x"),))] * 8 + [Example("no", "b")] * 8
    before = train_bert(inside, joint(options, epochs=1))
    assert before.manifest["entities"]["cuts"] == {"hello": [2]}
    whole = [Example("no now", "a", (EntitySpan(0, 2, "x"),))] * 8 + [Example("no", "b")] * 8
    after = finetune_bert(whole, joint(options, epochs=1), before)
    assert after.manifest["entities"]["cuts"] == {"hello": [2]}


@few_steps
def test_one_annotation_that_is_off_does_not_decide_for_all(options, caplog):
    """It is moved to the whole word, with one warning, and no entity begins or ends inside a word."""
    first, *others = EXAMPLES
    (span,) = first.entities
    examples = [replace(first, entities=(span._replace(end=span.end - 1),)), *others]
    config = joint(options, epochs=1)
    artifact = train_or_finetune(examples, config, None)
    assert artifact.manifest["entities"]["cuts"] == {} and not artifact.manifest["entities"]["inside_words"]
    (said,) = [record.getMessage() for record in caplog.records if "inside a word" in record.getMessage()]
    assert said.startswith("1 of 40 annotations") and "'pizz' as 'pizza' (dish)" in said
    again = train_or_finetune(examples, config, artifact)
    assert again.manifest["entities"]["cuts"] == {} and not again.manifest["entities"]["inside_words"]


@pytest.mark.parametrize("stage", ["train_bert", "finetune_bert"])
def test_warnings_come_before_the_training(stage, trained, options, caplog, monkeypatch):
    """So a user can stop a long training and correct the data."""
    heard = []
    monkeypatch.setattr(bert_training, stage, lambda *_, **__: heard.append([*caplog.records]) or trained)
    examples = [*EXAMPLES, Example("oh it is hot", "a"), Example("Oh it is hot", "b")]
    train_or_finetune(examples, joint(options), trained if stage == "finetune_bert" else None)
    assert ["several intents" in record.getMessage() for (record,) in heard] == [True]


def test_same_seed_gives_the_same_model(trained, options):
    again = train_bert(EXAMPLES, joint(options, **NEURONS))
    for text in ("please the pizza now", "zzz qqq", "a song"):
        one, other = (MessagePredictor(artifact).predict(text) for artifact in (trained, again))
        assert [name for name, _ in one.ranking] == [name for name, _ in other.ranking]
        assert [entity[:3] for entity in one.entities] == [entity[:3] for entity in other.entities]
