"""A second spaCy pipeline in the package of a compressed BERT.

Rasa 3 gives all spaCy components of a config.yml the first model that it loads, so a second entry there has no effect.
"""

# no `from __future__ import annotations`: spaCy reads the types of a factory's arguments
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from rasa_compressed_bert.spacy_pipeline.component import add_entity

NAME = "rasa_compressed_bert_secondary_pipeline"  # spaCy allows no dot in it
WRITES = ["doc.ents", "token.ent_type", "token.ent_iob", "token.tag", "token.pos", "token.lemma"]


@Language.factory(NAME, assigns=WRITES)
class SecondaryPipeline:
    """Adds predictions of another pipeline for the same tokens: tags, lemmas, and entities that do not overlap others.

    Args:
        nlp: the pipeline that this component belongs to.
        name: the name of the component.
        model: name or folder of the other pipeline, which must be installed too.
    """

    def __init__(self, nlp: Language, name: str, model: str):
        self._other = spacy.load(model)

    def __call__(self, doc: Doc) -> Doc:
        """Writes the other pipeline's predictions to a document."""
        words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
        other = self._other(Doc(self._other.vocab, words=words, spaces=spaces))
        for token, predicted in zip(doc, other):
            token.tag_, token.pos_, token.lemma_ = predicted.tag_, predicted.pos_, predicted.lemma_
        for entity in other.ents:
            add_entity(doc, Span(doc, entity.start, entity.end, label=entity.label_))
        return doc
