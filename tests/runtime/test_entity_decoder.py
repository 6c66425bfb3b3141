"""Pieces without length, or of parts of one character, make no entities of their own."""

import numpy as np

from rasa_compressed_bert.data.entities import EntitySpan, TagScheme, TagSpan, entity_labels
from rasa_compressed_bert.runtime.entity_decoder import EntityDecoder
from rasa_compressed_bert.tokenization.pieces import Pieces

LABELS = entity_labels([EntitySpan(0, 1, "a"), EntitySpan(0, 1, "b")])
SCHEME = TagScheme(LABELS)
MANIFEST = {**SCHEME.to_dict(), "temperature": 1.0, "cuts": {}, "inside_words": True, "comma_separated": []}


def decoded(text, places, *spans):
    """The entities decoded from spans of pieces, each given as first piece, end piece (excluded) and label."""
    starts, ends = np.array(places).T
    pieces = Pieces(np.arange(len(places) + 2), starts, ends, np.zeros(len(places), bool), False)
    tags = SCHEME.tags([TagSpan(*span) for span in spans], len(places))
    logits = 9.0 * np.eye(SCHEME.num_tags)[tags]
    return [
        (found.start, found.end, found.label.entity) for found in EntityDecoder(MANIFEST).decode(text, pieces, logits)
    ]


def test_a_mark_alone_is_no_entity_and_may_begin_one():
    places = [(0, 3), (4, 4), (4, 5), (5, 6)]  # the second is the word mark of the second word
    assert decoded("das 天气", places, (1, 2, 0)) == []
    assert decoded("das 天气", places, (1, 3, 0)) == [(4, 5, "a")]
    assert decoded("das 天气", places, (1, 2, 0), (2, 4, 1)) == [(4, 6, "b")]


def test_bytes_of_one_character_do_not_make_two_entities():
    places = [(0, 1), (0, 2), (2, 3)]
    assert decoded("明天气", places, (0, 1, 0), (1, 3, 1)) == [(0, 1, "a")]
