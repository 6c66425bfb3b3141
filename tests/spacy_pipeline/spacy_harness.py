"""Helpers of the tests of spaCy pipelines: random models as artifacts."""

from random_models import random_parameters, random_shape
from shipped_tokenizer import minilm_tokenizer

from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.data.entities import EntityLabel, TagScheme
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.spacy_pipeline.package import bert_pipeline

SHAPE = random_shape(vocab_size=30522)
SCHEME = TagScheme((EntityLabel("fruit"), EntityLabel("city", "from")))
ENTITIES = {**SCHEME.to_dict(), "temperature": 2.0, "cuts": {}, "inside_words": False, "comma_separated": []}
LABELS = ["a", "b", "faq/c"]
TEXTS = ["hello there", "An apple  from Bonn, please!", "", "  ", "\u200b", "a" * 400, "naïve 👩‍👩‍👧 İstanbul e\u0301"]


def random_artifact(*, num_classes=3, num_tags=SCHEME.num_tags, quantization="none", pooler_size=0):
    parameters = random_parameters(SHAPE, num_classes=num_classes, num_tags=num_tags, pooler_size=pooler_size)
    if not num_classes:
        parameters = {name: value for name, value in parameters.items() if not name.startswith("classifier")}
    manifest = {"labels": LABELS[:num_classes], "max_length": 40, "temperature": 2.0}
    if num_tags:
        manifest["entities"] = ENTITIES
    kind = "joint_classifier" if num_tags and num_classes else "entity_extractor" if num_tags else "intent_classifier"
    model = ModelState(SHAPE, parameters, minilm_tokenizer())
    return serving_artifact(model, Format(QuantizationConfig(method=quantization)), kind=kind, manifest=manifest)


def random_pipeline(language="en", **options):
    return bert_pipeline(random_artifact(**options), language)
