"""The head of the entities: a linear layer that tags each wordpiece."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Tuple, cast

import numpy as np
import tensorflow as tf

from rasa_compressed_bert.compression.distillation import over_wordpieces
from rasa_compressed_bert.config import BertOptions, EntityConfig
from rasa_compressed_bert.data.entities import MOST_LABELS, EntitySpan, TagScheme, TagSpan, entity_labels, word_starts
from rasa_compressed_bert.data.example import Example, intent_labels
from rasa_compressed_bert.data.label_counts import LabelCounts
from rasa_compressed_bert.data.tag_transitions import TagTransitions
from rasa_compressed_bert.data.warnings import warn_of_lost_entities
from rasa_compressed_bert.errors import DataError
from rasa_compressed_bert.heads.comma_lists import comma_separated, still_separated
from rasa_compressed_bert.heads.measured_entities import HeldOutEntities, MeasuredEntities
from rasa_compressed_bert.models.head_layer import HALFWAY_TAGGER, TAGGER, HeadLayer
from rasa_compressed_bert.runtime.decoders import ENTITIES
from rasa_compressed_bert.runtime.entity_decoder import EntityDecoder
from rasa_compressed_bert.runtime.ranking import LOGITS
from rasa_compressed_bert.tokenization.pieces import Pieces, SplitPoints, align_entities, split_points_for
from rasa_compressed_bert.training.batches import NO_LABEL, Labels
from rasa_compressed_bert.training.head import ElementLoss, Fold, Head, Rows
from rasa_compressed_bert.training.linear_probe import linear_probe
from rasa_compressed_bert.training.scores import Score, labelled_rows, negative_log_likelihood

_PROBED_MESSAGES, _PROBED_WORDPIECES = 2000, 60_000  # limits for hidden states in memory, for MiniLM 4.6 kB each


@dataclass(frozen=True)
class EntityHead(Head):
    """The entities of messages.

    Attributes:
        scheme: the tags of wordpieces.
        split_points: split points of the words in which annotations begin or end.
        inside_words: whether an entity may begin or end between the wordpieces of a word.
        comma_separated: types whose entities end at a comma, so that a list is several entities.
        by_intent: which labels the messages of each intent have; None in a model without intents.
        transitions: which tags of words follow each other; empty before `fitted`.
        values: values of lookup tables, normalised, by type; see `ListedValues`.
        loss_weight: weight of its loss.
        layer: its linear layer; in a model with intents, one that reads the hidden states halfway through the encoder.
    """

    scheme: TagScheme
    split_points: SplitPoints = field(default_factory=dict)
    inside_words: bool = False
    comma_separated: Tuple[str, ...] = ()
    by_intent: Optional[LabelCounts] = None
    transitions: TagTransitions = TagTransitions()
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    loss_weight: float = 1.0
    layer: HeadLayer = TAGGER

    name = ENTITIES
    label_phrase = "an entity"
    learns_filled = True

    @property
    def parity_entry(self) -> Optional[str]:
        return "tags"

    @classmethod
    def is_asked_for(cls, config: BertOptions) -> bool:
        return config.learns_entities

    @classmethod
    def learnt_from(
        cls, examples: Sequence[Example], config: BertOptions, tokenizer: str, *, before: Optional[Head] = None
    ) -> Optional[EntityHead]:
        entities = [example.entities for example in examples]
        known = entity_labels(span for spans in entities for span in spans)
        if not known or not isinstance(config, EntityConfig):
            return None
        if len(known) > MOST_LABELS:
            raise DataError(f"Entities have {len(known)} types, roles and groups; at most {MOST_LABELS} can be learnt.")
        texts = [example.text for example in examples]
        separated = comma_separated(known, texts, entities, config)
        split_points = split_points_for(texts, entities, tokenizer, before=before.split_points if before else {})
        scheme = TagScheme(known, config.BILOU_flag)
        head = cls(scheme, split_points, comma_separated=separated, loss_weight=config.entity_loss_weight)
        if not config.learns_intents:
            return head
        return replace(head, by_intent=LabelCounts.of(examples, known), layer=HALFWAY_TAGGER)

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Optional[EntityHead]:
        entities = manifest.get("entities")
        if entities is None:
            return None
        scheme, separated = TagScheme.from_dict(entities), tuple(entities["comma_separated"])
        counts = entities.get("by_intent")
        by_intent = None if counts is None else LabelCounts.from_dict(counts, len(scheme.labels))
        transitions = TagTransitions.from_list(entities.get("transitions", ()), scheme)
        layer = HALFWAY_TAGGER if entities.get("layer") == HALFWAY_TAGGER.name else TAGGER
        cuts, inside, values = entities["cuts"], entities["inside_words"], entities.get("values", {})
        return cls(scheme, cuts, inside, separated, by_intent, transitions, values, layer=layer)

    def to_manifest(self, measured: Optional[MeasuredEntities]) -> Dict[str, Any]:
        entities = {
            **self.scheme.to_dict(),
            "cuts": {word: list(places) for word, places in self.split_points.items()},
            "inside_words": self.inside_words,
            "comma_separated": list(self.comma_separated),
            "layer": self.layer.name,
            "transitions": self.transitions.to_list(),
        }
        if measured is not None and measured.entity_confidences is not None:
            entities.update(measured.entity_confidences._asdict())
        if self.values:
            entities["values"] = {kind: list(own) for kind, own in self.values.items()}
        if self.by_intent is not None:
            entities["by_intent"] = self.by_intent.to_dict()
        return {"entities": entities}

    def continued(self, now: Head) -> EntityHead:
        """This head, with what `now` learnt from its annotations, but only the comma-separated types that both have."""
        now = cast(EntityHead, now)
        separated = tuple(name for name in self.comma_separated if name in now.comma_separated)
        return replace(
            self,
            split_points=now.split_points,
            comma_separated=separated,
            by_intent=now.by_intent,
            loss_weight=now.loss_weight,
        )

    @property
    def label_names(self) -> Sequence[str]:
        """Type, role and group of each label, as unambiguous names."""
        parts = ("", ", role ", ", group ")
        labels = self.scheme.labels
        return ["".join(f"{part}{value}" for part, value in zip(parts, label) if value) for label in labels]

    @property
    def size(self) -> int:
        return self.scheme.num_tags

    def encode(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> List[np.ndarray]:
        """Tags `(T + 2,)` of each message: unknown for special wordpieces, for entities whose end is truncated, and for
        messages without annotations.
        """
        tags: List[np.ndarray] = []
        for example, message in zip(examples, pieces):
            spans, remains, _ = self._aligned(example, message)
            inner = self.scheme.tags(spans, len(message.starts))
            for span in remains:
                inner[span.first : span.end] = NO_LABEL
            if not example.annotated:
                inner[:] = NO_LABEL
            tags.append(np.concatenate([[NO_LABEL], inner, [NO_LABEL]]).astype(np.int32))
        return tags

    def fitted(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> EntityHead:
        """The head, with transitions, and `inside_words` if an entity of the examples begins or ends inside a word."""
        spans = [self._aligned(example, message)[0] for example, message in zip(examples, pieces)]
        inside = self.inside_words or any(
            place < len(message.continues) and bool(message.continues[place])
            for own, message in zip(spans, pieces)
            for span in own
            for place in (span.first, span.end)
        )
        tags = [
            self.scheme.tags_of_words(
                own, word_starts(len(message.starts), None if inside else message.continues)
            ).tolist()
            for own, example, message in zip(spans, examples, pieces)
            if example.annotated
        ]
        return replace(self, inside_words=inside, transitions=TagTransitions.of(tags, self.scheme))

    def warn(self, examples: Sequence[Example], pieces: Sequence[Pieces]) -> None:
        """Warns of entities without wordpieces."""
        lost = [
            (example.text[span.start : span.end], span.entity)
            for example, message in zip(examples, pieces)
            for span in self._aligned(example, message)[2]
        ]
        warn_of_lost_entities(lost)

    def _aligned(self, example: Example, message: Pieces) -> Tuple[List[TagSpan], List[TagSpan], List[EntitySpan]]:
        """See `align_entities`."""
        index = {label: position for position, label in enumerate(self.scheme.labels)}
        return align_entities(example.entities, message, index)

    def with_known(
        self, values: Mapping[str, Sequence[str]], listed: Mapping[str, Sequence[str]], *, config: BertOptions
    ) -> EntityHead:
        separated = still_separated(self.comma_separated, values, cast(EntityConfig, config))
        return replace(self, values=listed, comma_separated=separated)

    def without_annotations(
        self, examples: Sequence[Example], hidden: Collection[int], tokenizer: str, *, config: BertOptions
    ) -> EntityHead:
        """The head without what it learnt from the annotations of the hidden examples: split points, inside of words,
        commas in entities, the labels of each intent, and transitions, which are empty.
        """
        texts = [example.text for example in examples]
        known = [() if place in hidden else example.entities for place, example in enumerate(examples)]
        split_points = split_points_for(texts, known, tokenizer, before={})
        separated = comma_separated(self.scheme.labels, texts, known, cast(EntityConfig, config))
        seen = [example for place, example in enumerate(examples) if place not in hidden]
        by_intent = self.by_intent and LabelCounts.of(seen, self.scheme.labels)
        return replace(
            self,
            split_points=split_points,
            inside_words=False,
            comma_separated=separated,
            by_intent=by_intent,
            transitions=TagTransitions(),
        )

    def losses(
        self, logits: tf.Tensor, labels: tf.Tensor, loss: ElementLoss, soft_targets: Optional[tf.Tensor]
    ) -> tf.Tensor:
        """The mean loss of the wordpieces of each message that have a tag.  # (B,)"""
        of_tags = loss.labelled(logits, tf.maximum(labels, 0), soft_targets)
        return self.loss_weight * over_wordpieces(of_tags, tf.cast(labels >= 0, tf.float32))

    def score(self, logits: Rows, labels: Labels, continues: Optional[Sequence[np.ndarray]]) -> Score:
        rows, tags = labelled_rows(logits, labels, width=self.size)
        loss = negative_log_likelihood(rows, tags) if len(tags) else 0.0
        return Score(loss, {"entity_f1": self._entity_f1(logits, labels, continues)})

    def _entity_f1(self, logits: Rows, labels: Labels, continues: Optional[Sequence[np.ndarray]]) -> float:
        """`2 right / (annotated + found)` over all spans; 1 if there are none and none are found."""
        right, total, transitions = 0, 0, self.transitions.scores(self.scheme)
        for index, (rows, tags) in enumerate(zip(logits, labels)):
            text = tags >= 0
            if not text.any():
                continue
            inside = None if self.inside_words or continues is None else continues[index][text[1:-1]]
            found = set(self.scheme.spans(self.scheme.viterbi_decode(rows[text], transitions, inside)))
            annotated = set(self.scheme.spans(tags[text]))
            right, total = right + len(annotated & found), total + len(annotated) + len(found)
        return 2 * right / total if total else 1.0

    def probe(self, inputs: Rows, labels: Labels, *, seed: int) -> Tuple[np.ndarray, np.ndarray]:
        rows, tags = labelled_rows(inputs, labels, width=inputs[0].shape[1])
        return linear_probe(rows, tags, self.size, seed=seed)

    def places_to_probe(self, lengths: Sequence[int], *, seed: int) -> np.ndarray:
        places = np.random.default_rng(seed).permutation(len(lengths))[:_PROBED_MESSAGES]
        ends = np.cumsum(np.asarray(lengths)[places])
        return places[: max(1, int(np.searchsorted(ends, _PROBED_WORDPIECES, side="right")))]

    def observe(self, fold: Fold) -> HeldOutEntities:
        decoder = EntityDecoder(self.to_manifest(None)["entities"], intent_labels(fold.examples))
        tag_logits, intent_logits = fold.predictions[self.layer.output], fold.predictions.get(LOGITS)
        logits = [
            decoder.adjusted(rows, None if intent_logits is None else intent_logits[number])
            for number, rows in enumerate(tag_logits)
        ]
        examples = [fold.examples[place] for place in fold.held_out]
        found = [
            decoder.decode(example.text, fold.pieces[place], rows[1:-1])
            for place, example, rows in zip(fold.held_out, examples, logits)
        ]
        tags = [fold.encoded.labels[self.name][place] for place in fold.held_out]
        return HeldOutEntities(tags, logits, [example.entities for example in examples], found)

    def measure(self, observed: Sequence[HeldOutEntities]) -> MeasuredEntities:
        return MeasuredEntities.of(observed, num_tags=self.size)

    @classmethod
    def measured_from(cls, values: Mapping[str, Any]) -> MeasuredEntities:
        return MeasuredEntities.from_dict(values)
