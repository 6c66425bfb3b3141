"""Decodes the logits of tags to the entities of a text."""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rasa_compressed_bert.data.entities import COMMA, OUTSIDE, EntityLabel, TagScheme
from rasa_compressed_bert.data.label_counts import LabelCounts
from rasa_compressed_bert.data.tag_transitions import TagTransitions
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.listed_values import ListedValues
from rasa_compressed_bert.runtime.platt_scaling import PlattScaling
from rasa_compressed_bert.runtime.ranking import positive
from rasa_compressed_bert.tokenization.pieces import Pieces
from rasa_compressed_bert.views.view import softmax

_AROUND = ", "  # stripped from the items of a list
_MOST_RATIOS = 2**24  # pairs of an intent and a tag; they take 130 MB


class FoundEntity(NamedTuple):
    """An entity in a text.

    Attributes:
        start: its first character.
        end: the end of its last character.
        label: its type and, if there are any, role and group.
        confidence: the probability that it is right, see `EntityDecoder`.
    """

    start: int
    end: int
    label: EntityLabel
    confidence: float


class EntityDecoder:
    """Decodes the tags of a model.

    Labels that are rare with the likely intents of a message are less likely in it. To the logits of the tags of label
    `l` it adds

        min(0, sum_i p_i log(P(l | i) / P(l)))

    where `p_i` is the probability of intent `i`, and the logarithm the pointwise mutual information of `i` and `l` in
    the training messages, see `LabelCounts.log_ratios`. Only its negative part is used: what makes a label likely is
    known from the text itself.

    Then it raises the logits of tags of listed values, see `ListedValues`.

    If the best tags are not a valid sequence, the best valid one is searched for, by the sum of the logits and of the
    scores of transitions, see `TagTransitions.scores`.

    The margin of an entity, from which `PlattScaling` computes its confidence, is the smallest log-odds of the tags of
    its wordpieces.

    Args:
        entities: the manifest entry of the head: tags, `inside_words`, `comma_separated`, `transitions`; in some models
            `slope` and `intercept` of calibrated confidences, `values` of lookup tables, and `by_intent`. Older models
            have a `temperature` of the logits instead of the slope and the intercept.
        intents: the intents, in the order of their logits; empty if the model has none.

    Raises:
        ValueError: if a value of the entry is invalid.
    """

    def __init__(self, entities: Mapping[str, Any], intents: Sequence[str] = ()):
        self.scheme = TagScheme.from_dict(entities)
        self._log_ratios: Optional[np.ndarray] = None  # (I, K): the same for all tags of a label, 0 for the tag outside
        if intents and "by_intent" in entities:
            if len(intents) * self.scheme.num_tags > _MOST_RATIOS:
                raise ValueError(f"there are {len(intents)} intents, with {len(self.scheme.labels)} labels of entities")
            by_intent = LabelCounts.from_dict(entities["by_intent"], len(self.scheme.labels))
            if by_intent.counts:
                of_tags = np.repeat(by_intent.log_ratios(intents), self.scheme.tags_per_label, axis=1)
                self._log_ratios = np.pad(of_tags, ((0, 0), (1, 0)))
        transitions = TagTransitions.from_list(entities.get("transitions", ()), self.scheme)  # older models have none
        self._transitions = transitions.scores(self.scheme)
        self._temperature = positive(entities.get("temperature", 1.0))
        self._confidences = PlattScaling.read(entities) if "slope" in entities else PlattScaling()
        self._listed = ListedValues(entities["values"], self.scheme) if "values" in entities else None
        self._inside_words: bool = entities["inside_words"]
        self._comma_separated = frozenset(entities["comma_separated"])

    def decode(
        self, text: str, pieces: Pieces, logits: np.ndarray, intent_logits: Optional[np.ndarray] = None
    ) -> List[FoundEntity]:
        """The entities of a text.

        Args:
            text: the text of a message.
            pieces: its wordpieces.
            logits: the logits of the tags of its wordpieces, without the special ones, `(T, K)`.
            intent_logits: the logits of the intents of the message, `(I,)`; None if the model has none.

        Raises:
            ArtifactError: if the logits do not fit the tags of the model.
        """
        if logits.shape[1] != self.scheme.num_tags or not np.isfinite(logits).all():
            raise ArtifactError("The model's outputs are not logits of its tags: it is damaged. Train it again.")
        logits = self.adjusted(logits, intent_logits)
        if self._listed is not None:
            logits = self._listed.raised(text, pieces, logits)
        continues = None if self._inside_words else pieces.continues
        tags = self.scheme.viterbi_decode(logits, self._transitions, continues)
        spans = self.scheme.spans(tags)
        if not spans:
            return []
        inside = np.flatnonzero(tags != OUTSIDE)
        of_tags = np.zeros(len(tags))
        of_tags[inside] = _log_odds(logits[inside] / self._temperature, tags[inside])
        log_odds: List[float] = of_tags.tolist()
        starts: List[int] = pieces.starts.tolist()
        ends: List[int] = pieces.ends.tolist()
        found: List[FoundEntity] = []
        for span in spans:
            start, end = starts[span.first], ends[span.end - 1]
            if start == end or (found and start < found[-1].end):  # only a marker of a word, or part of a character
                continue
            confidence = self._confidences.probability(min(log_odds[span.first : span.end]))
            label = self.scheme.labels[span.label]
            parts = _between_commas(text, start, end) if label.entity in self._comma_separated else [(start, end)]
            found.extend(FoundEntity(*part, label, confidence) for part in parts)
        return found

    def adjusted(self, logits: np.ndarray, intent_logits: Optional[np.ndarray]) -> np.ndarray:
        """Logits of tags, lowered where their label is rare with the likely intents.  # (T, K)

        Args:
            logits: see `decode`.
            intent_logits: see `decode`.
        """
        if self._log_ratios is None or intent_logits is None:
            return logits
        expected = softmax(intent_logits) @ self._log_ratios  # (K,)
        return logits + np.minimum(expected, 0.0)


def _between_commas(text: str, start: int, end: int) -> Iterator[Tuple[int, int]]:
    """Splits a span at commas, and strips spaces and commas around its items."""
    commas = [*COMMA.finditer(text, start, end)]
    for first, last in zip([start, *(comma.end() for comma in commas)], [*(comma.start() for comma in commas), end]):
        item = text[first:last]
        first += len(item) - len(item.lstrip(_AROUND))
        if item.strip(_AROUND):
            yield first, first + len(item.strip(_AROUND))


def _log_odds(logits: np.ndarray, tags: np.ndarray) -> np.ndarray:
    """`z_t - log sum_(c != t) exp(z_c)`, the log-odds of the chosen tags `t`.  # (T,)"""
    others = logits.astype(np.float64)
    places = np.arange(len(tags)), tags
    chosen = others[places]
    others[places] = -np.inf
    largest = others.max(axis=1)
    return chosen - largest - np.log(np.exp(others - largest[:, np.newaxis]).sum(axis=1))
