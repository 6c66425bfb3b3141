"""Training messages that are filled with values of lookup tables and synonyms, and the values that are left out."""

import logging
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.augmentation.filled_messages import filled_messages
from rasa_compressed_bert.augmentation.usable_values import of_tables, usable_values
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.data.known_values import KnownValues


def message(text, intent="order"):
    """The example of a message in Rasa's format, such as `i like [pizza](dish)`."""
    plain, spans = "", []
    for part in text.split("["):
        value, found, rest = part.partition("](")
        if found:
            kind, _, rest = rest.partition(")")
            spans.append(EntitySpan(len(plain), len(plain) + len(value), *kind.split(":")))
            plain += value + rest
        else:
            plain += part
    return Example(plain, intent, tuple(spans))


EXAMPLES = [
    message("please bring a [pizza](dish) to [the bar](place:to)"),
    message("we want [curry](dish) with rice"),
    message("where is [the beach](place:from)?"),
    message("it is very hot"),
]


def lookups(**tables):
    return KnownValues(lookups=tables)


def filled(examples, known, *, seed, **options):
    return filled_messages(examples, usable_values(examples, known, seed=seed), known, seed=seed, **options)


def written(examples):
    return [
        (one.text, [(one.text[span.start : span.end], span.entity, span.role) for span in one.entities])
        for one in examples
    ]


def test_the_other_entities_of_a_message_move():
    made = filled(EXAMPLES[:1], lookups(dish=["risotto ai funghi"]), seed=1)
    assert written(one.example for one in made) == [
        (
            "please bring a risotto ai funghi to the bar",
            [("risotto ai funghi", "dish", None), ("the bar", "place", "to")],
        )
    ]
    assert [one.source for one in made] == [0] and made[0].example.intent is None


texts = st.text(alphabet="abcäß 🍕'-", min_size=1, max_size=8).filter(str.strip)


@given(st.lists(texts, min_size=1, max_size=4), st.lists(texts, min_size=1, max_size=8), st.integers(0, 99))
def test_spans_are_the_values_whatever_these_are(before, values, seed):
    text, spans = "", []
    for index, value in enumerate(before):
        text += "xx "
        spans.append(EntitySpan(len(text), len(text) + len(value), f"kind{index % 2}"))
        text += value + " "
    made = filled([Example(text, "a", tuple(spans))] * 3, lookups(kind0=values), seed=seed)
    known = {value.strip() for value in values}
    for example, source, (kind, value), _ in made:
        found = [example.text[span.start : span.end] for span in example.entities]
        changed = [index for index, (one, other) in enumerate(zip(before, found)) if one != other]
        assert source < 3 and len(changed) <= 1 and all(found[index] in known for index in changed)
        assert [span.entity for span in example.entities] == [span.entity for span in spans]
        assert kind == "kind0" and value in known and all(found[index] == value for index in changed)


def test_as_many_are_made_as_there_are_messages_evenly_over_types_values_and_messages():
    examples = [message(f"number {index}: a [pizza](dish) at [home](place)") for index in range(20)]
    known = lookups(dish=[f"dish{index}" for index in range(5)], place=[f"place{index}" for index in range(5)])
    made = filled(examples, known, seed=1)
    assert len(made) == 20 and len({one.example.text for one in made}) == 20
    values = Counter(
        one.example.text[span.start : span.end]
        for one in made
        for span in one.example.entities
        if one.example.text[span.start : span.end] not in ("pizza", "home")
    )
    assert len(values) == 10 and set(values.values()) == {2}
    assert max(Counter(one.source for one in made).values()) == 2
    assert made == filled(examples, known, seed=1) != filled(examples, known, seed=2)
    assert len(filled(examples, known, share=0.5, seed=1)) == 10


def test_few_values_are_not_learnt_by_heart():
    examples = [message(f"number {index}: a [pizza](dish)") for index in range(50)]
    assert len(filled(examples, lookups(dish=["risotto"]), seed=1)) == 10


def test_messages_that_a_type_with_few_values_cannot_fill_go_to_other_types():
    examples = [message(f"number {index}: a [pizza](dish) at [home](place)") for index in range(50)]
    known = lookups(dish=["risotto"], place=[f"place{index}" for index in range(40)])
    assert len(filled(examples, known, seed=1)) == 50


def test_without_known_values_nothing_is_filled():
    assert filled(EXAMPLES, KnownValues(), seed=1) == []


def test_names_of_intents_are_not_filled():
    examples = [*EXAMPLES, Example("order pizza", "order", annotated=False)]
    made = filled(examples, lookups(dish=["risotto"]), seed=1)
    assert {one.source for one in made} == {0, 1}


def test_100000_values_take_no_longer(caplog):
    examples = [message(f"number {index}: a [pizza](dish) at [home](place)") for index in range(200)]
    known = lookups(dish=[f"dish {index} of many" for index in range(100_000)])
    start = time.process_time()
    with caplog.at_level(logging.INFO):
        made = filled(examples, known, seed=1)
    assert time.process_time() - start < 10 and len(made) == 200
    assert "Only 20000 of the 100000 values of dish, chosen at random, can be learnt" in caplog.text
    assert "200 synthetic messages have such values" in caplog.text


def usable(examples, known):
    return {kind: sorted(values) for kind, values in usable_values(examples, known, seed=1).items()}


@pytest.mark.parametrize(
    "values, problem",
    [
        (["", "  "], "empty values (1): '' (dish)"),
        (["rice", "Bring", "to"], "values that occur more often outside of entities (3): "),
        (["the beach"], "values that are annotated more often as another entity (1): 'the beach' (dish)"),
    ],
    ids=["empty", "everyday words", "another entity"],
)
def test_values_that_cannot_be_learnt_are_left_out_with_one_warning(values, problem, caplog):
    assert usable(EXAMPLES, lookups(dish=[*values, "risotto"])) == {"dish": ["risotto"]}
    (record,) = caplog.records
    assert record.levelname == "WARNING" and problem in record.getMessage()


def test_a_value_that_is_mostly_annotated_is_learnt():
    examples = [*EXAMPLES, message("pizza"), message("[pizza](dish) again")]
    assert usable(examples, lookups(dish=["pizza"])) == {"dish": ["pizza"]}


def test_types_with_common_values_are_told_apart_by_their_context():
    examples = [message("from [Rome](from) to [Oslo](to)"), message("from [Oslo](from)"), message("to [Bonn](to)")]
    assert usable(examples, lookups(**{"from": ["Bonn", "Lima"]})) == {"from": ["Bonn", "Lima"]}
    assert usable(examples[2:] + [message("from [Rome](from)")], lookups(**{"from": ["Bonn"]})) == {}


def test_an_entity_without_an_example_is_warned_of(caplog):
    assert usable(EXAMPLES, lookups(colour=["red", "blue"])) == {}
    (record,) = caplog.records
    assert "an entity that no message annotates" in record.getMessage() and "colour (2)" in record.getMessage()


def test_values_that_differ_in_case_are_one():
    assert usable(EXAMPLES, lookups(dish=["Risotto", "risotto ", "RISOTTO"]))["dish"] == ["RISOTTO"]


def test_synonyms_are_values_of_the_entity_of_their_canonical_value():
    synonyms = {"flatbread with cheese": "Pizza", "margherita": "Pizza", "sauna": "heat"}
    assert usable(EXAMPLES, KnownValues(synonyms=synonyms)) == {"dish": ["flatbread with cheese", "margherita"]}


def test_synonyms_of_an_annotated_synonym_are_values_too():
    synonyms = {"the bar": "BAR_1", "the pub": "BAR_1"}
    assert usable(EXAMPLES, KnownValues(synonyms=synonyms)) == {"place": ["the bar", "the pub"]}


def test_synonyms_of_a_lookup_value_are_values_too():
    known = KnownValues({"dish": ["risotto"]}, {"rice from italy": "risotto"})
    assert usable(EXAMPLES, known) == {"dish": ["rice from italy", "risotto"]}


def test_values_of_tables_are_those_that_can_be_learnt():
    """Neither synonyms, which may come from annotations, nor values that are used for something else."""
    known = KnownValues(lookups={"dish": ["Hot", " Risotto  ai funghi ", "PIZZA"]}, synonyms={"pie": "pizza"})
    values = usable_values(EXAMPLES, known, seed=1)
    assert "pie" in values["dish"]
    assert of_tables(values, known) == {"dish": ["pizza", "risotto ai funghi"]}
    assert of_tables({}, KnownValues()) == {}
