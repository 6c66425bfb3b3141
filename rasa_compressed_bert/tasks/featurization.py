"""Quantizes a pretrained encoder without training, and computes features of messages with it."""

from __future__ import annotations

from typing import List, Optional, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.compression.fake_quantization import FakeQuantizer
from rasa_compressed_bert.compression.quantization import Calibration, calibration_for
from rasa_compressed_bert.config import QuantizedBertFeaturizerConfig
from rasa_compressed_bert.data.example import Example, evenly_spaced
from rasa_compressed_bert.export.featurizer import export_featurizer
from rasa_compressed_bert.export.serving import Format
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.runtime.word_featurizer import Features, WordFeaturizer
from rasa_compressed_bert.tasks.all_cores import on_all_cores
from rasa_compressed_bert.tasks.start import start_from_pretrained
from rasa_compressed_bert.tasks.training_data import warn_of_words
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer, text_of
from rasa_compressed_bert.training.activations import activation_extremes

Message = Sequence[str]  # the words of a message, see `WordpieceTokenizer.encode_words`

_CALIBRATION_MESSAGES, _PARITY_MESSAGES, _RANDOM_MESSAGES = 300, 50, 200
_RANDOM_LENGTH = 24
_ANY_MESSAGE = "hello world"  # checks an export if there are no messages


def compress_encoder(messages: Sequence[Message], config: QuantizedBertFeaturizerConfig) -> Artifact:
    """Quantizes the pretrained weights without training them.

    Args:
        messages: the training messages; static_int8 is calibrated on them, and a trimmed vocabulary keeps their
            wordpieces.
        config: all options.

    Raises:
        WeightsError: if the pretrained weights cannot be read.
        DataError: if the method needs messages to calibrate on, and there are none.
        ExportError: if the exported encoder disagrees with the pretrained one.
    """
    texts = [text_of(words) for words in messages]
    start = start_from_pretrained(config, texts)
    tokenizer = WordpieceTokenizer(start.tokenizer, config.max_length)
    encoder = BertEncoder(start.shape, start.parameters)
    encoded = [tokenizer.encode(texts[place]) for place in evenly_spaced(len(texts), _CALIBRATION_MESSAGES)]
    calibration = _calibrate(encoder, encoded, config, special_ids=tokenizer.encode(""))
    checked = [encoded[place] for place in evenly_spaced(len(encoded), _PARITY_MESSAGES)] or [
        tokenizer.encode(_ANY_MESSAGE)
    ]
    return export_featurizer(
        start,
        Format(config.quantization, config.runtime, calibration, encoded),
        manifest={
            "max_length": config.max_length,
            "dense_encoder": start.dense_shape.to_dict(),
            "config": config.compression(),
        },
        input_ids=checked,
        hidden_states=_hidden_states(encoder, checked, config, calibration=calibration),
    )


def warn_of_messages(
    messages: Sequence[Message],
    intents: Sequence[Optional[str]],
    config: QuantizedBertFeaturizerConfig,
    artifact: Artifact,
) -> None:
    """Warns of messages that the vocabulary of the compressed weights does not know, or cannot distinguish."""
    examples = [Example(text, intent) for text, intent in dict.fromkeys(zip(map(text_of, messages), intents))]
    warn_of_words(examples, config, tokenizer=artifact.files[TOKENIZER].decode("utf-8"))


def featurize(featurizer: WordFeaturizer, messages: Sequence[Message]) -> List[Features]:
    """Features of messages, in their order; repeated messages are encoded once and share their features."""
    distinct = list(dict.fromkeys(tuple(words) for words in messages))
    encoded = featurizer.encode_words(distinct)
    lengths = [len(words.input_ids) for words in encoded]
    found = on_all_cores(lambda place: featurizer.features(encoded[place]), lengths, name="featurize")
    features = dict(zip(distinct, found))
    return [features[tuple(words)] for words in messages]


def _calibrate(
    encoder: BertEncoder,
    input_ids: Sequence[np.ndarray],
    config: QuantizedBertFeaturizerConfig,
    *,
    special_ids: np.ndarray,
) -> Calibration:
    """Calibrates an encoder; smoothing brings 8-bit hidden states nearer to floats (MiniLM, cosine 0.997, not 0.992).

    For dynamic_int8, messages of random wordpieces are enough (also 0.997), as they show which channels are large. So
    the compressed weights are the same for every training set, and can be cached.
    """
    method, extremes = config.quantization.method, {}
    if method == "static_int8":
        extremes = activation_extremes(encoder, encoder, input_ids)
    elif method == "dynamic_int8":
        rng = np.random.default_rng(0)
        first, last = special_ids[:1], special_ids[1:]
        longest = min(_RANDOM_LENGTH, config.max_length - 2)
        sizes = rng.integers(1, longest, _RANDOM_MESSAGES, endpoint=True)
        random = [rng.integers(encoder.shape.vocab_size, size=size) for size in sizes]
        extremes = activation_extremes(encoder, encoder, [np.concatenate([first, ids, last]) for ids in random])
    return calibration_for(encoder.values(), config.quantization, extremes)


def _hidden_states(
    encoder: BertEncoder,
    input_ids: Sequence[np.ndarray],
    config: QuantizedBertFeaturizerConfig,
    *,
    calibration: Calibration,
) -> List[np.ndarray]:
    """The hidden states that the export is compared with; for k-means they are those of the clustered weights."""
    if config.quantization.method == "kmeans":
        encoder.quantizer = FakeQuantizer(config.quantization, calibration)
    return [encoder(ids[np.newaxis], np.ones((1, len(ids)), np.int32))[-1][0].numpy() for ids in input_ids]
