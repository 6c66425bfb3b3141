"""Logistic regression on features of pretrained weights that are not fine-tuned."""

from __future__ import annotations

from typing import Dict, Sequence

from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.metrics.intents import intent_scores
from rasa_compressed_bert.models.task_model import FEATURES, TaskModel
from rasa_compressed_bert.tasks.start import start_from_pretrained
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.loop import predict_inputs

C = 20.0
"""Inverse strength of the L2 regularisation."""
_MAX_ITERATIONS = 1000


def frozen_scores(
    training: Sequence[Example], test: Sequence[Example], config: PrunedBertIntentClassifierConfig
) -> Dict[str, float]:
    """Accuracy and macro F1 of logistic regression on L2-normalised means of the last hidden states.

    Args:
        training: messages to fit the regression to.
        test: messages to score.
        config: options, with the weights and the tokenization of messages.
    """
    start = start_from_pretrained(config, [example.text for example in training])
    tokenizer = WordpieceTokenizer(start.tokenizer, config.max_length)
    model = TaskModel(start.shape, start.parameters)
    train_features, test_features = (
        normalize(predict_inputs(model, FEATURES, tokenizer.encode_all([example.text for example in examples])))
        for examples in (training, test)
    )
    regression = LogisticRegression(C=C, max_iter=_MAX_ITERATIONS)
    regression.fit(train_features, [example.intent for example in training])
    return intent_scores([example.intent for example in test], regression.predict(test_features).tolist())
