"""Intent training data that is small, odd or missing, and finetuning."""

import logging
import shutil

import pytest
from component_harness import CLASSIFIERS, EXAMPLES, create, load, make_storage, predict, rankings, train, training_data
from rasa.shared.exceptions import RasaException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from rasa_compressed_bert.errors import DataError

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("case", CLASSIFIERS, indirect=True)]


@pytest.mark.parametrize(
    "data",
    [TrainingData(), TrainingData([Message({TEXT: "hello"})]), TrainingData([Message.build("  ", intent="blank")])],
    ids=["no examples", "no intents", "no texts"],
)
def test_nothing_to_train_on_gives_an_untrained_model(case, storage, caplog, data):
    with caplog.at_level(logging.WARNING):
        component = train(case.component, case.config, data, storage)
    assert "no examples with an intent" in caplog.text
    for prediction in predict(component, ["hello", "", None]):
        assert prediction["intent"] == {"name": None, "confidence": 0.0}
        assert prediction["intent_ranking"] == []


def test_untrained_model_can_be_trained_further(quick, storage):
    component = train(quick.component, quick.config, TrainingData(), storage)
    component.train(training_data())
    (prediction,) = predict(load(quick.component, quick.config, storage), ["hello"])
    assert prediction["intent"]["name"] in EXAMPLES


def needs_no_second_intent(case):
    if "spacy" in case.name:
        pytest.skip("spaCy learns two intents at least, and the error that says so has its own test")


def test_one_intent(quick, storage):
    needs_no_second_intent(quick)
    data = training_data({"greet": EXAMPLES["greet"]})
    component = train(quick.component, {**quick.config, "out_of_scope": {"detector": "none"}}, data, storage)
    assert rankings(component, ["hello", "order a pizza"]) == [[("greet", 1.0)]] * 2


@pytest.mark.usefixtures("without_graphs")
def test_one_example(case, storage):
    needs_no_second_intent(case)
    component = train(case.component, case.config, training_data({"greet": ["hello"]}), storage)
    (((known, familiar),), ((other, unfamiliar),)) = rankings(component, ["hello", "order a pizza"])
    assert known == other == "greet" and 0.3 <= familiar <= 1.0 and unfamiliar < familiar


@pytest.mark.usefixtures("without_graphs")
def test_one_example_of_each_intent(case, storage):
    data = training_data({intent: texts[:1] for intent, texts in EXAMPLES.items()})
    component = train(case.component, case.config, data, storage)
    for ranking in rankings(component, ["hello", "order a pizza"]):
        assert {name for name, _ in ranking} == set(EXAMPLES)


def test_one_example_of_one_intent_among_many(quick, storage):
    component = train(quick.component, quick.config, training_data({**EXAMPLES, "pay": ["bank card"]}), storage)
    assert "pay" in {name for name, _ in rankings(component, ["bank card"])[0]}


def test_odd_texts_among_the_examples(quick, storage):
    odd = ["\u200b", "\x00", "😀", "x" * 100_000, "[PAD]", "hello " * 5_000]
    component = train(quick.component, quick.config, training_data({**EXAMPLES, "odd": odd}), storage)
    assert len(rankings(component, ["hello"])[0]) == 5


def test_cut_examples_are_counted_in_one_warning(quick, storage, caplog):
    data = training_data({**EXAMPLES, "long": ["hello " * 100, "hi " * 200]})
    with caplog.at_level(logging.WARNING):
        train(quick.component, quick.config, data, storage)
    warnings = [record.getMessage() for record in caplog.records if "max_length" in record.getMessage()]
    assert len(warnings) == 1
    assert f"2 of {len(data.nlu_examples)} messages are longer than max_length: 32" in warnings[0]


def test_the_same_text_with_two_intents(quick, storage):
    component = train(quick.component, quick.config, training_data({"a": ["hot"] * 4, "b": ["hot"] * 4}), storage)
    assert {name for name, _ in rankings(component, ["hot"])[0]} == {"a", "b"}


def test_intents_with_odd_names(quick, storage):
    names = ["größe", "与", "a b", "😀", "x" * 300]
    component = train(quick.component, quick.config, training_data({name: ["hello", "hi"] for name in names}), storage)
    assert {name for name, _ in rankings(component, ["hello"])[0]} == set(names)


def test_of_retrieval_intents_the_intent_is_learned(quick, storage):
    faq = {"faq/ask_name": ["what is your name", "your name please"], "faq/ask_age": ["your age please", "how old"]}
    component = train(quick.component, quick.config, training_data({**EXAMPLES, **faq}), storage)
    assert {name for name, _ in rankings(component, ["your name"])[0]} == {*EXAMPLES, "faq"}


def test_examples_without_an_intent_are_left_out(quick, storage):
    data = training_data()
    data.training_examples.append(Message({TEXT: "an example of an entity only"}))
    component = train(quick.component, quick.config, data, storage)
    assert {name for name, _ in rankings(component, ["hello"])[0]} == set(EXAMPLES)


@pytest.fixture
def finetuned_storage(trained, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "finetuned")
    return make_storage(tmp_path / "finetuned")


def test_finetuning_twice_learns_the_new_examples(case, finetuned_storage):
    config = {**case.config, "finetuning_epoch_fraction": 1.0}
    text, intent = "bank card money call", "greet"
    data = training_data({**EXAMPLES, intent: [*EXAMPLES[intent], *[text] * 6]})
    before = dict(rankings(load(case.component, config, finetuned_storage), [text])[0])[intent]
    for _ in range(2):
        load(case.component, config, finetuned_storage).train(data)
    after = load(case.component, config, finetuned_storage)
    assert dict(rankings(after, [text])[0])[intent] > before
    assert predict(after, [text])[0]["intent"]["name"] == intent


def test_finetuning_keeps_the_model_as_small_as_it_is(trained, quick, finetuned_storage):
    before = sum(path.stat().st_size for path in trained.folder.rglob("*.safetensors"))
    load(quick.component, quick.config, finetuned_storage).train(training_data())
    after = sum(path.stat().st_size for path in finetuned_storage._storage_path.rglob("*.safetensors"))
    assert after == pytest.approx(before, rel=0.05)


@pytest.mark.parametrize(
    "examples, word",
    [
        ({**EXAMPLES, "pay": ["bank card"]}, r"New: \['pay'\]; removed: none"),
        ({"greet": EXAMPLES["greet"]}, r"New: none; removed: \['food', 'music', 'weather'\]"),
    ],
    ids=["added", "removed"],
)
def test_finetuning_refuses_changed_labels(case, finetuned_storage, examples, word):
    before = predict(load(case.component, case.config, finetuned_storage), ["hello"])
    with pytest.raises(RasaException, match=word) as caught:
        load(case.component, case.config, finetuned_storage).train(training_data(examples))
    assert isinstance(caught.value.__cause__, DataError)
    assert "--finetune" in str(caught.value)
    assert predict(load(case.component, case.config, finetuned_storage), ["hello"]) == before


def test_finetuning_without_data_keeps_the_model(case, finetuned_storage):
    before = predict(load(case.component, case.config, finetuned_storage), ["hello"])
    load(case.component, case.config, finetuned_storage).train(TrainingData())
    assert predict(load(case.component, case.config, finetuned_storage), ["hello"]) == before


def test_training_needs_no_validation_examples(quick, storage):
    config = {**quick.config, "pruning": None, "validation_split": 0.0}
    component = create(quick.component, config, storage)
    component.train(training_data())
    assert len(rankings(load(quick.component, config, storage), ["hello"])[0]) == 4
