"""The former name of the factory `secondary_pipeline.NAME`, kept so that older packages still load."""

from spacy.language import Language

from rasa_compressed_bert.spacy_pipeline.secondary_pipeline import WRITES, SecondaryPipeline


@Language.factory("beside", assigns=WRITES)
class Beside(SecondaryPipeline):
    """`SecondaryPipeline` under its former name."""
