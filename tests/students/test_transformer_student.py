"""The student that is a BERT of few layers."""

import numpy as np
import pytest
from small_archives import DENSE, small_artifact

from rasa_compressed_bert.config import DistilledIntentClassifierConfig
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.students.transformer import training
from rasa_compressed_bert.tasks.distillation_data import DistillationData
from rasa_compressed_bert.training.objectives import SoftTargetLoss


class Fitted(Exception):
    """Raised instead of a training."""


def test_alpha_is_the_weight_of_the_labels_of_training_messages_alone(monkeypatch):
    """As in all students; what the teacher predicts for synthetic messages is no label."""
    seen = {}

    def fit(model, examples, plan, *, objective, **options):
        seen.update(labels=examples.labels["intents"], objective=objective)
        raise Fitted

    monkeypatch.setattr(training, "fit", fit)
    options = {"student": {"architecture": "transformer", "num_layers": 1}, "distillation": {"alpha": 0.5}}
    config = DistilledIntentClassifierConfig.from_dict({**options, "max_length": 32})
    texts, classes = ["oh it is hot", "it is cold", "oh oh", "hot hot"], np.array([0, 1, -1, -1], np.int32)
    data = DistillationData(("a", "b", "c"), texts, classes, np.eye(4, 3, dtype=np.float32), [], classes[:0])
    with pytest.raises(Fitted):
        training.train(data, state_of(small_artifact(shape=DENSE, int8=False)), config=config, origin=None)
    assert seen["labels"].tolist() == [0, 1, -1, -1] and isinstance(seen["objective"], SoftTargetLoss)
