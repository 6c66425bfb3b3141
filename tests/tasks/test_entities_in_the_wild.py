"""Entities attached to surrounding text: correct tags of wordpieces decode to exactly the annotated spans."""

import re

import numpy as np
import pytest
from shipped_tokenizer import minilm_tokenizer

from rasa_compressed_bert.config import BertEntityExtractorConfig
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.heads import EntityHead
from rasa_compressed_bert.runtime.entity_decoder import EntityDecoder
from rasa_compressed_bert.tasks.training_data import with_whole_words
from rasa_compressed_bert.tokenization.pieces import PieceTokenizer

CASES = """
the price is [$25](price).
it costs [25€](price), doesn't it?
pay [£1,299.99](price) now
refund me [EUR 40](price)!
I owe you [50$](price)/[day](unit)
weighs [5](number)[kg](unit) or so
set it to [21.5](number)[°C](unit)
a [2x](number)zoom please
about [10](number)% of it
[3](number)-[4](number) people
mail [jane.doe@example.org](email).
write to <[info@shop.co.uk](email)>
cc:[a_b+c@x-y.de](email);
(see [sales@example.com](email))
order [#12345](order)?
where is [AB-12/345-X](order)
order no.[778](order)
"[PO_2023_01](order)" is late
ref=[9f8e7d](order)&more
status of [#A1](order), [#B2](order), [#C3](order)
on [12/05/2023](date)?
from [2023-05-12](date)-[2023-05-14](date)
at [10:30](date)am
by [5th](date)-ish
until [Dec. 24th](date).
[Monday](date)'s meeting
[New York](city)-[Boston](city)
[Baden-Baden](city)-bound train
[Winston-Salem](city), please
the [Frankfurt](city)/[Main](river) line
fly [Köln](city)–[Zürich](city)
[O'Hare](place)'s gates
at [McDonald's](place)'
[Rock 'n' Roll](music)!
play "[Don't Stop](music)"
play '[Hey Jude](music)' again
play «[La vie en rose](music)»
play “[Let It Be](music)”…
([pizza](dish)) or [[pasta](dish)]
{[sushi](dish)}
[pizza](dish)🍕 please
🎉[Anna](person)🎉
I ❤️ [curry](dish)!!!
@[bob](person): hi
#[travel](topic)tips
[eggs](dish), [milk](dish), [bread](dish) and [butter](dish)
[eggs](dish),[milk](dish);[bread](dish)
[red](colour)/[green](colour)&[blue](colour)
call [+49 (0)30 123-45](phone).
see [https://example.org/a?b=1](url),
""".strip().splitlines()
ANNOTATION = re.compile(r"\[([^\[\]]+)\]\((\w+)\)")
TOKENIZER = minilm_tokenizer()


def example_of(case):
    text, spans, end = "", [], 0
    for found in ANNOTATION.finditer(case):
        text += case[end : found.start()]
        spans.append(EntitySpan(len(text), len(text) + len(found[1]), found[2]))
        text, end = text + found[1], found.end()
    return Example(text + case[end:], entities=tuple(spans))


EXAMPLES = [example_of(case) for case in CASES]


def pieces_of(head, examples):
    tokenizer = PieceTokenizer(TOKENIZER, 128, head.split_points)
    return [tokenizer.encode(example.text) for example in examples]


@pytest.fixture(scope="module", params=[True, False], ids=["BILOU", "without BILOU"])
def decoded(request):
    """The entities of each case, decoded from logits of the correct tags."""
    config = BertEntityExtractorConfig.from_dict({"BILOU_flag": request.param})
    head = EntityHead.learnt_from(EXAMPLES, config, TOKENIZER)
    pieces = pieces_of(head, EXAMPLES)
    head = head.fitted(EXAMPLES, pieces)
    decoder = EntityDecoder(head.to_manifest(None)["entities"])
    found = []
    for example, message, tags in zip(EXAMPLES, pieces, head.encode(EXAMPLES, pieces)):
        logits = 9.0 * np.eye(head.size)[tags[1:-1]]
        entities = decoder.decode(example.text, message, logits)
        found.append([(example.text[one.start : one.end], one.start, one.label.entity) for one in entities])
    return found


def test_there_are_fifty_cases():
    assert len(CASES) >= 50 and len(set(CASES)) == len(CASES)


@pytest.mark.parametrize("index", range(len(CASES)), ids=CASES)
def test_spans_are_those_that_were_annotated(decoded, index):
    example = EXAMPLES[index]
    expected = [(example.text[span.start : span.end], span.start, span.entity) for span in example.entities]
    assert decoded[index] == expected


def test_an_emoji_is_no_part_of_an_entity_and_few_annotations_between_letters_are_mistakes():
    _, moved = with_whole_words(EXAMPLES, TOKENIZER)
    parts = [[one.text[span.start : span.end] for span in (one.before, one.after)] for one in moved]
    assert parts == [["10:30", "10:30am"], ["travel", "traveltips"]]
