"""The former name of the factory `secondary_pipeline.NAME`: packages that were made with it still load."""

from spacy.language import Language

from rasa_compressed_bert.spacy_pipeline.secondary_pipeline import WRITES, SecondaryPipeline


@Language.factory("beside", assigns=WRITES)
class Beside(SecondaryPipeline):
    """A `SecondaryPipeline`."""
