"""Text to a ranking of intents: what runs once per message."""

from __future__ import annotations

from typing import List

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact
from rasa_compressed_bert.runtime.engines import open_engine, run_message
from rasa_compressed_bert.runtime.ranking import FEATURES, LOGITS, IntentRanker, Ranking, outputs_of
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer


class IntentPredictor:
    """Tokenizer, engine and confidences of one artifact.

    Args:
        artifact: of an intent classifier.
        num_threads: of the engine.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1):
        self._engine = open_engine(artifact, num_threads=num_threads)
        self._outputs = outputs_of(artifact.manifest)
        self._ranker = IntentRanker(artifact)
        self._tokenizer = WordpieceTokenizer(artifact.files[TOKENIZER].decode("utf-8"), artifact.manifest["max_length"])

    @property
    def labels(self) -> List[str]:
        """The intents, in the order of the logits."""
        return self._ranker.labels

    def predict(self, text: str) -> Ranking:
        """All intents with their confidences, best first; empty for a text without any wordpiece."""
        input_ids = self._tokenizer.encode(text)
        if len(input_ids) <= 2:
            return []
        found = dict(zip(self._outputs, run_message(self._engine, input_ids)))
        return self._ranker.rank(text, found[LOGITS], found.get(FEATURES))
