"""Messages as wordpiece ids (Schuster and Nakajima 2012), by the fast `tokenizers` library."""

from __future__ import annotations

import json
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from tokenizers import Tokenizer

from rasa_compressed_bert.data.warnings import warn_of_long_messages
from rasa_compressed_bert.errors import ArtifactError

LONGEST_WORD = 100
"""Characters; WordPiece takes a longer word for unknown."""
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]|.", re.DOTALL)  # two surrogates that are one character, or any other


class WordpieceTokenizer:
    """Turns a whole message into the ids of its wordpieces, with the two special ones around them.

    The message is given to the library as it is: splitting it into words first would be done twice and would not agree
    with the way in which the weights were pretrained.

    Args:
        json: the `tokenizers` library's own serialisation.
        max_length: wordpieces kept, the two special ones included; a longer message is truncated. Of a message
            `LONGEST_WORD` times as many characters are read, so that a longer one costs no more.
    """

    def __init__(self, json: str, max_length: int):
        try:
            self._tokenizer = Tokenizer.from_str(json)
        except Exception as error:  # the library raises a bare Exception
            raise ArtifactError(f"The tokenizer cannot be read: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._max_length, self._longest_text = max_length, LONGEST_WORD * max_length

    @property
    def vocabulary(self) -> Dict[str, int]:
        """The id of each wordpiece."""
        return self._tokenizer.get_vocab()

    def read(self, text: str) -> str:
        """The beginning of a message that is read."""
        return text[: self._longest_text]

    def encode(self, text: str) -> np.ndarray:
        """Ids of one message.  # (T,) int64"""
        return np.array(self._tokenizer.encode(well_formed(self.read(text))).ids, np.int64)

    def encode_with_offsets(self, text: str) -> Tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Ids of what `read` gave, places and words of the wordpieces between the special ones, and if it is truncated.

        Returns:
            `(T + 2,)`; starts and ends in the text, `(T, 2)`; numbers of words, `(T,)`; and whether wordpieces are left
            out.
        """
        encoding = self._tokenizer.encode(well_formed(text))
        offsets = np.array(encoding.offsets[1:-1], np.int64).reshape(-1, 2)
        if not text.isascii():
            offsets = _places(text)[offsets]
        words = np.array(encoding.word_ids[1:-1], np.int64)
        return np.array(encoding.ids, np.int64), offsets, words, bool(encoding.overflowing)

    def encode_parts(self, parts: Sequence[Tuple[int, str]]) -> Tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Like `encode_with_offsets`, of the parts of a message, which no wordpiece crosses, and where they begin."""
        (first, last), room = self.encode(""), self._max_length - 2
        ids, offsets, words, size, truncated = [], [], [], 0, False
        for start, text in parts:
            if truncated or size == room:  # the other parts are not seen
                truncated = True
                break
            own_ids, own_offsets, own_words, truncated = self.encode_with_offsets(text)
            ids.append(own_ids[1:-1])
            offsets.append(own_offsets + start)
            words.append(own_words + start)  # no two parts have words of the same number
            size += len(own_words)
            truncated = truncated or size > room
        return (
            np.concatenate([[first], np.concatenate(ids)[:room], [last]]),
            np.concatenate(offsets)[:room],
            np.concatenate(words)[:room],
            truncated,
        )

    def encode_all(self, texts: Sequence[str]) -> List[np.ndarray]:
        """Ids of many messages; warns once, with the number of those that are truncated."""
        encodings = self._tokenizer.encode_batch([well_formed(self.read(text)) for text in texts])
        too_long = [len(text) > self._longest_text for text in texts]
        truncated = [own or bool(encoding.overflowing) for own, encoding in zip(too_long, encodings)]
        warn_of_long_messages(truncated, self._max_length)
        return [np.array(encoding.ids, np.int64) for encoding in encodings]

    def encode_words(self, messages: Sequence[Sequence[str]]) -> List[Words]:
        """Wordpieces of many messages that another tokenizer has split into words; warns like `encode_all`.

        Words are all that is looked at, so that a row of features belongs to a word whatever the message's text is.
        """
        read = [self._read_words(message) for message in messages]
        if len(read) == 1:  # a batch would start threads, which do not survive a fork
            encodings = [self._tokenizer.encode(read[0], is_pretokenized=True)]
        else:
            encodings = self._tokenizer.encode_batch(read, is_pretokenized=True)
        too_long = [len(words) < len(message) for words, message in zip(read, messages)]
        truncated = [own or bool(encoding.overflowing) for own, encoding in zip(too_long, encodings)]
        warn_of_long_messages(truncated, self._max_length)
        return [
            Words(
                np.array(encoding.ids, np.int64),
                np.array([-1 if word is None else word for word in encoding.word_ids], np.int64),
                len(message),
            )
            for encoding, message in zip(encodings, messages)
        ]

    def _read_words(self, words: Sequence[str]) -> List[str]:
        """As many of the words, with a blank between them, as `read` leaves of a text."""
        read, left = [], self._longest_text
        for word in words:
            if left <= 0:
                break
            read.append(well_formed(word[:left]))
            left -= len(word) + 1
        return read


def unknown_id(json_text: str) -> Optional[int]:
    """The id of the wordpiece that stands for whatever the vocabulary cannot write; None if it can write anything.

    Args:
        json_text: the `tokenizers` library's own serialisation.
    """
    model = json.loads(json_text)["model"]
    if model["type"] == "Unigram":
        return model["unk_id"]
    return model["vocab"].get(model["unk_token"])


class Words(NamedTuple):
    """A message that is given as words, in wordpieces."""

    input_ids: np.ndarray  # (T,) int64, the two special ones included
    words: np.ndarray  # (T,) int64, the word of each wordpiece; -1 for the special ones
    num_words: int  # those without any wordpiece included

    def pooled(self, hidden: np.ndarray) -> np.ndarray:
        """The mean of each word's hidden states; zeros for a word without wordpieces.

        Args:
            hidden: of each wordpiece, `(T, H)`.

        Returns:
            One row a word, `(num_words, H)`.
        """
        features = np.zeros((self.num_words, hidden.shape[1]), np.float32)
        inside = self.words >= 0
        seen, places = np.unique(self.words[inside], return_inverse=True)  # a long message has many more words
        members = places == np.arange(len(seen))[:, np.newaxis]  # (words that are seen, T)
        sums = members.astype(np.float32) @ hidden[inside]
        features[seen] = sums / members.sum(axis=1, keepdims=True).astype(np.float32)
        return features


def _places(text: str) -> np.ndarray:
    """Where each character of `well_formed(text)`, and its end, lies in the text itself.  # (n + 1,)"""
    sizes = [len(pair) for pair in _PAIR.findall(text)]
    return np.cumsum([0, *sizes])


def well_formed(text: str) -> str:
    """The text with lone surrogates, which no UTF-8 library accepts, as U+FFFD and surrogate pairs as characters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
