import numpy as np
import pytest
from subword_harness import KINDS
from tokenizers import Tokenizer, processors

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.tokenization.pairs import pair_template

BERT = processors.BertProcessing(("</s>", 2), ("<s>", 0))
ROBERTA = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))


def tokenizer_with(processor, kind="WordPiece"):
    tokenizer = Tokenizer.from_str(KINDS[kind])
    tokenizer.post_processor = processor
    return tokenizer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("processor, between, separator", [(BERT, [2], 2), (ROBERTA, [2, 2], None)])
def test_pairs_are_joined_as_the_library_does(kind, processor, between, separator):
    tokenizer = tokenizer_with(processor, kind)
    template = pair_template(tokenizer.to_str())
    assert [part.tolist() for part in template[:3]] == [[0], between, [2]]
    assert template.separator == separator and template.size == 2 + len(between)
    texts = "Wie wird das Wetter?", "Погода завтра в Москве 🌧"
    parts = [np.array(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]
    assert template.joined(*parts).tolist() == tokenizer.encode(*texts).ids


def test_pairs_with_nothing_between():
    """As in a tokenizer that was made for single texts."""
    with pytest.raises(WeightsError, match="no separator between the two texts of a pair"):
        pair_template(KINDS["WordPiece"])
