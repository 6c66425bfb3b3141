"""Encodes messages as wordpiece ids (Schuster and Nakajima 2012), with the fast `tokenizers` library."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import AbstractSet, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from tokenizers import Tokenizer

from rasa_compressed_bert.data.warnings import warn_of_long_messages
from rasa_compressed_bert.errors import ArtifactError, WeightsError
from rasa_compressed_bert.tokenization.subwords import subword_model
from rasa_compressed_bert.tokenization.subwords.limits import has_single_ends
from rasa_compressed_bert.tokenization.subwords.subword_model import SEPARATOR, SubwordModel

LONGEST_WORD = 100
"""The largest number of characters of a word; WordPiece encodes a longer one as unknown."""
JOINED = SEPARATOR
"""Prefix of a word that follows the word before it without a space, as in scripts without spaces."""
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]|.", re.DOTALL)  # a surrogate pair or any other character


class WordpieceTokenizer:
    """Encodes a whole message as the ids of its wordpieces, with the two special ones around them.

    The library gets the message unsplit: a split into words before would be redundant, and would differ from that of
    pretraining.

    Args:
        json: the `tokenizers` library's own serialisation.
        max_length: the largest number of wordpieces, including the two special ones; longer messages are truncated.
            Only the first `LONGEST_WORD * max_length` characters of a message are read, to bound the time.
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
        self._tokenizer.no_truncation()
        if not has_single_ends(self._tokenizer):
            raise ArtifactError(
                "The tokenizer adds other wordpieces than one at each end of a message. Train it again."
            )
        self._tokenizer.enable_truncation(max_length)
        self._max_length, self._longest_text = max_length, LONGEST_WORD * max_length

    @property
    def serialized(self) -> str:
        """The library's own serialisation of how messages are served: truncated, and without padding."""
        return str(self._tokenizer.to_str())

    @property
    def vocabulary(self) -> Dict[str, int]:
        """The id of each wordpiece."""
        return self._tokenizer.get_vocab()

    @property
    def words(self) -> Dict[str, int]:
        """The ids of the wordpieces that are a word or begin one, by their spelling."""
        return self._subwords.words()

    @property
    def mask(self) -> Optional[str]:
        """The mask wordpiece of masked language models; None if the vocabulary has none."""
        return self._subwords.mask

    def read(self, text: str) -> str:
        """The beginning of a message, as far as it is read."""
        return self._subwords.shortened(text[: self._longest_text], self._longest_text)

    def encode(self, text: str) -> np.ndarray:
        """The ids of one message.  # (T,) int64"""
        return np.array(self._tokenizer.encode(self._written(text)).ids, np.int64)

    def encode_with_offsets(
        self, text: str, split_points: Sequence[int] = ()
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Encodes the result of `read` with the positions of wordpieces.

        Args:
            text: the result of `read` for a message.
            split_points: positions inside words that no wordpiece crosses.

        Returns:
            Ids with the special ones, `(T + 2,)`; starts and ends of the other wordpieces in the text, `(T, 2)`;
            whether each continues the word of the one before it, `(T,)`; and whether the text is truncated.
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
        """The ids of many messages; warns once of the number of truncated messages."""
        encodings = self._tokenizer.encode_batch([self._written(text) for text in texts])
        too_long = [len(self.read(text)) < len(text) for text in texts]
        truncated = [long or bool(encoding.overflowing) for long, encoding in zip(too_long, encodings)]
        warn_of_long_messages(truncated, self._max_length)
        return [np.array(encoding.ids, np.int64) for encoding in encodings]

    def encode_words(self, messages: Sequence[Sequence[str]]) -> List[Words]:
        """Encodes many messages that another tokenizer has split into words; warns like `encode_all`.

        Only the words are used, not the original text, so that each row of features belongs to a word.

        Args:
            messages: the words of each message; `JOINED` begins a word that follows the one before it without a space.
        """
        read = [self._read_words(message) for message in messages]
        texts = ["".join(words) for words in read]
        if len(read) == 1:  # avoids threads, which do not survive a fork
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
        """As many words as `read` would keep of their text, each with the separator before it."""
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
    """The word of each wordpiece; -1 for the special ones.

    Args:
        offsets: the start and the end of each wordpiece in the text.
        text: all words, joined.
        words: the words, each with the separator before it.
    """
    ends = np.cumsum([len(word) for word in words])
    last = np.array([end - 1 for _, end in offsets], np.int64)  # a wordpiece may include the space before it
    found = np.searchsorted(ends, last, side="right")
    return np.where([start == end for start, end in offsets], -1, found)


def text_of(words: Sequence[str]) -> str:
    """Joins words to a text, see `WordpieceTokenizer.encode_words`."""
    return " ".join(words).replace(f" {JOINED}", "")


def with_separators(text: str, subwords: SubwordModel) -> str:
    """A text, well formed, with separators in runs that are too long without whitespace."""
    bounds = [0, *subwords.breaks(text), len(text)]
    return subwords.separator.join(well_formed(text[start:end]) for start, end in zip(bounds, bounds[1:]))


def unknown_id(json_text: str) -> Optional[int]:
    """The id of the unknown wordpiece; None if the vocabulary can encode any text.

    Args:
        json_text: the `tokenizers` library's own serialisation.
    """
    model = json.loads(json_text)["model"]
    if model["type"] == "Unigram":
        return model["unk_id"]
    return model["vocab"].get(model["unk_token"])


def punctuation_ids(json_text: str) -> FrozenSet[int]:
    """The ids of the wordpieces that have no letter, digit or symbol: punctuation, and the mark of a word alone.

    Args:
        json_text: the `tokenizers` library's own serialisation.
    """
    library = Tokenizer.from_str(json_text)
    subwords = subword_model(library)
    pieces = library.get_vocab(with_added_tokens=False)
    return frozenset(index for piece, index in pieces.items() if _is_punctuation(subwords.spelling(piece)))


def _is_punctuation(text: str) -> bool:
    return all(unicodedata.category(character)[0] == "P" for character in text)


def is_unknown(input_ids: np.ndarray, unknown: Optional[int], punctuation: AbstractSet[int] = frozenset()) -> bool:
    """Whether a text consists of unknown wordpieces, and of at least one, apart from punctuation.

    Args:
        input_ids: the ids of its wordpieces, with a special one on both sides, `(T,)`.
        unknown: the id of the unknown wordpiece; None if there is none.
        punctuation: see `punctuation_ids`.
    """
    if unknown is None or len(input_ids) < 3:
        return False
    first = int(input_ids[1])
    if first != unknown and first not in punctuation:  # as in nearly all messages
        return False
    return set(input_ids[1:-1].tolist()) - punctuation == {unknown}


class Words(NamedTuple):
    """A message that was given as words, encoded as wordpieces."""

    input_ids: np.ndarray  # (T,) int64, including the two special ones
    words: np.ndarray  # (T,) int64, the word of each wordpiece; -1 for the special ones
    num_words: int  # including those without any wordpiece

    def pooled(self, hidden: np.ndarray) -> np.ndarray:
        """The mean of each word's hidden states; zeros for a word without wordpieces.

        Args:
            hidden: the hidden state of each wordpiece, `(T, H)`.

        Returns:
            One row for each word, `(num_words, H)`.
        """
        features = np.zeros((self.num_words, hidden.shape[1]), np.float32)
        inside = self.words >= 0
        seen, places = np.unique(self.words[inside], return_inverse=True)  # truncated words have none
        members = places == np.arange(len(seen))[:, np.newaxis]  # (words with a wordpiece, T)
        sums = members.astype(np.float32) @ hidden[inside]
        features[seen] = sums / members.sum(axis=1, keepdims=True).astype(np.float32)
        return features


def _places(text: str) -> np.ndarray:
    """The positions in a text of the characters of `well_formed(text)`, and of their end.  # (n + 1,)"""
    sizes = [len(pair) for pair in _PAIR.findall(text)]
    return np.cumsum([0, *sizes])


def well_formed(text: str) -> str:
    """Replaces lone surrogates, which no UTF-8 library accepts, by U+FFFD, and surrogate pairs by their characters.

    `SEPARATOR` is replaced by U+FFFD too.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace(SEPARATOR, "\ufffd") if SEPARATOR in text else text
