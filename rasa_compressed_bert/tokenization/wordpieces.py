"""Messages as wordpiece ids (Schuster and Nakajima 2012), by the fast `tokenizers` library."""

from __future__ import annotations

import json
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from tokenizers import Tokenizer

from rasa_compressed_bert.data.warnings import warn_of_long_messages
from rasa_compressed_bert.errors import ArtifactError, WeightsError
from rasa_compressed_bert.tokenization.subwords import subword_model
from rasa_compressed_bert.tokenization.subwords.subword_model import SEPARATOR, SubwordModel

LONGEST_WORD = 100
"""Characters; WordPiece takes a longer word for unknown."""
JOINED = SEPARATOR
"""Begins a word that follows the word before it without a blank, as in scripts without blanks."""
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]|.", re.DOTALL)  # two surrogates that are one character, or any other


class WordpieceTokenizer:
    """Turns a whole message into the ids of its wordpieces, with the two special ones around them.

    The message is given to the library as it is: splitting it into words first would be done twice and would not agree
    with the way in which the weights were pretrained.

    Args:
        json: the `tokenizers` library's own serialisation.
        max_length: wordpieces kept, the two special ones included; the end of a longer message is cut. Of a message
            `LONGEST_WORD` times as many characters are read, so that a longer one costs no more.
    """

    def __init__(self, json: str, max_length: int):
        try:
            self._tokenizer = Tokenizer.from_str(json)
            self._subwords = subword_model(self._tokenizer)
        except WeightsError as error:
            raise ArtifactError(str(error)) from error
        except Exception as error:  # the library raises a bare Exception
            raise ArtifactError(f"The tokenizer cannot be read: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._max_length, self._longest_text = max_length, LONGEST_WORD * max_length

    @property
    def vocabulary(self) -> Dict[str, int]:
        """The id of each wordpiece."""
        return self._tokenizer.get_vocab()

    @property
    def words(self) -> Dict[str, int]:
        """The ids of the wordpieces that are a word or begin one, by what they write."""
        return self._subwords.words()

    @property
    def mask(self) -> Optional[str]:
        """The wordpiece that stands for a word that is left out; None of a vocabulary without one."""
        return self._subwords.mask

    def read(self, text: str) -> str:
        """The beginning of a message that is read."""
        return self._subwords.shortened(text[: self._longest_text], self._longest_text)

    def encode(self, text: str) -> np.ndarray:
        """Ids of one message.  # (T,) int64"""
        return np.array(self._tokenizer.encode(self._written(text)).ids, np.int64)

    def encode_with_offsets(
        self, text: str, split_points: Sequence[int] = ()
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Ids of what `read` gave, where the wordpieces between the special ones lie, and if some are left out.

        Args:
            text: of a message.
            split_points: places in it, inside of words, that no wordpiece crosses.

        Returns:
            `(T + 2,)`; starts and ends in the text, `(T, 2)`; whether a wordpiece continues the word of the one before
            it, `(T,)`; and whether wordpieces are left out.
        """
        places = sorted({*split_points, *self._subwords.breaks(text)})
        bounds = [0, *places, len(text)]
        parts = [text[start:end] for start, end in zip(bounds, bounds[1:])]
        joined = self._subwords.separator.join(map(well_formed, parts))
        written = self._subwords.written(joined)
        encoding = self._tokenizer.encode(written)
        offsets = encoding.offsets[1:-1]
        if places or len(written) > len(joined) or not text.isascii():
            before = np.zeros(len(written) - len(joined), np.int64)
            original = np.concatenate([before, *(_places(part) + start for part, start in zip(parts, bounds))]).tolist()
            offsets = [(original[start], original[end]) for start, end in offsets]
        starts, ends, continues = self._subwords.places(
            text, encoding.tokens[1:-1], offsets, words=encoding.word_ids[1:-1], split_points=split_points
        )
        bounds_of_pieces = np.array([starts, ends], np.int64).T
        return np.array(encoding.ids, np.int64), bounds_of_pieces, np.array(continues, bool), bool(encoding.overflowing)

    def _written(self, text: str) -> str:
        return self._subwords.written(with_separators(self.read(text), self._subwords))

    def encode_all(self, texts: Sequence[str]) -> List[np.ndarray]:
        """Ids of many messages; warns once, with the number of those that are truncated."""
        encodings = self._tokenizer.encode_batch([self._written(text) for text in texts])
        too_long = [len(self.read(text)) < len(text) for text in texts]
        truncated = [long or bool(encoding.overflowing) for long, encoding in zip(too_long, encodings)]
        warn_of_long_messages(truncated, self._max_length)
        return [np.array(encoding.ids, np.int64) for encoding in encodings]

    def encode_words(self, messages: Sequence[Sequence[str]]) -> List[Words]:
        """Wordpieces of many messages that another tokenizer has split into words; warns like `encode_all`.

        Words are all that is looked at, so that a row of features belongs to a word whatever the message's text is.

        Args:
            messages: their words; `JOINED` begins those that follow the word before them without a blank.
        """
        read = [self._read_words(message) for message in messages]
        texts = ["".join(words) for words in read]
        if len(read) == 1:  # a batch would start threads, which do not survive a fork
            encodings = [self._tokenizer.encode(texts[0])]
        else:
            encodings = self._tokenizer.encode_batch(texts)
        too_long = [len(words) < len(message) for words, message in zip(read, messages)]
        truncated = [long or bool(encoding.overflowing) for long, encoding in zip(too_long, encodings)]
        warn_of_long_messages(truncated, self._max_length)
        return [
            Words(np.array(encoding.ids, np.int64), _words(encoding.offsets, text, words), len(message))
            for encoding, text, words, message in zip(encodings, texts, read, messages)
        ]

    def _read_words(self, words: Sequence[str]) -> List[str]:
        """As many of the words as `read` leaves of a text, each with what parts it from the one before it."""
        read: List[str] = []
        left = self._longest_text
        for word in words:
            if left <= 0:
                break
            before = self._subwords.separator if word.startswith(JOINED) else " "
            own = word[len(JOINED) :] if word.startswith(JOINED) else word
            first = self._subwords.shortened(own[:left], left)
            written = with_separators(first, self._subwords)
            read.append(before + written if read else self._subwords.written(written))
            left = 0 if len(first) < len(own) else left - self._subwords.normalized_length(first) - 1
        return read


def _words(offsets: Sequence[Tuple[int, int]], text: str, words: Sequence[str]) -> np.ndarray:
    """The word of each wordpiece; -1 of the special ones.

    Args:
        offsets: of the wordpieces in the text.
        text: all words, one after the other.
        words: with what parts each from the one before it.
    """
    ends = np.cumsum([len(word) for word in words])
    last = np.array([end - 1 for _, end in offsets], np.int64)  # a wordpiece may have the blank before it
    found = np.searchsorted(ends, last, side="right")
    return np.where([start == end for start, end in offsets], -1, found)


def text_of(words: Sequence[str]) -> str:
    """The text of words, see `WordpieceTokenizer.encode_words`."""
    return " ".join(words).replace(f" {JOINED}", "")


def with_separators(text: str, subwords: SubwordModel) -> str:
    """A text, well formed, with separators in what is too long without a blank."""
    bounds = [0, *subwords.breaks(text), len(text)]
    return subwords.separator.join(well_formed(text[start:end]) for start, end in zip(bounds, bounds[1:]))


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
    """The text with lone surrogates, which no UTF-8 library accepts, as U+FFFD and surrogate pairs as characters.

    `SEPARATOR` is U+FFFD as well.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace(SEPARATOR, "\ufffd") if SEPARATOR in text else text
