"""A small artifact with random weights, and Rasa model archives of it."""

import json
import tarfile

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, VIEWS, Artifact, write_artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.benchmark.random_models import random_artifact
from rasa_compressed_bert.models.shape import EncoderShape, LayerShape
from rasa_compressed_bert.training.view_fitting import Observations, fit_views
from rasa_compressed_bert.views import decision

NODE = "train_rasa_compressed_bert.PrunedBertIntentClassifier0"
DENSE = EncoderShape(9, 16, 32, 8, 1e-12, "gelu", (LayerShape(2, 8, 8, 32),) * 2)
PRUNED = EncoderShape(9, 16, 32, 8, 1e-12, "gelu", (LayerShape(1, 8, 8, 8), LayerShape(0, 0, 0, 16)))
SCORES = {"macro_f1": 0.9, "accuracy": 0.92, "loss": 0.3}
CROSS_FITTED = {"messages": 40, "folds": 2, "score": {**SCORES, "macro_f1": 0.71}, "pooled_accuracy": 0.83}
OUT_OF_SCOPE = {
    **{"detector": "neighbours", "stored_messages": 39, "in_scope_recall": 0.95},
    **{"compared_messages": 38, "calibrated": True},
}


def word_tokenizer():
    """The JSON of a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "oh", "it", "is", "hot", "cold"]
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer.to_str().encode("utf-8")


def small_views():
    """The manifest entry and the tensors of two views of three intents."""
    texts = ["oh it is hot", "it is cold", "oh oh", "hot hot"]
    messages = Observations(texts, np.array([0, 1, 2, 0]), np.zeros((4, 3), np.float32), None)
    weights = {"classifier": 0.5, "characters": 0.5}
    return decision.stored(fit_views(messages, 3, seed=0), weights, decision.ConfidenceMap(1.25, 0.42, 0.1, 0.3))


def small_artifact(*, shape=PRUNED, int8=True, method="neuron"):
    """The artifact of a trained model, but with random weights."""
    random = random_artifact(shape, int8=int8, classes=3)
    views, tensors = small_views()
    manifest = {
        **random.manifest,
        "labels": ["a", "b", "c"],
        "max_length": 32,
        "temperature": 1.5,
        "dense_encoder": DENSE.to_dict(),
        "cross_fitted": CROSS_FITTED,
        "training_scores": {"dense": SCORES, "pruned": {**SCORES, "macro_f1": 0.88}},
        "views": views,
        "out_of_scope": OUT_OF_SCOPE,
        "parity": {"messages": 10, "changed": 0, "decisively_changed": 0, "distance": 0.01, "accuracy": 0.9},
        "config": {"model_weights": "some/folder/tiny", "pruning": {"method": method}},
    }
    return Artifact(manifest, {**random.files, TOKENIZER: word_tokenizer(), VIEWS: tensors_to_bytes(tensors)})


def write_archive(path, components, *, nlu=True):
    """Writes a Rasa model archive with these artifacts."""
    folder = path.parent / f"{path.name}_content"
    (folder / "components" / "domain_provider").mkdir(parents=True)
    (folder / "components" / "domain_provider" / "domain.yml").write_text("intents: []\n")
    (folder / "metadata.json").write_text(json.dumps({"nlu_target": "run" if nlu else None}))
    for name, artifact in components.items():
        write_artifact(artifact, folder / "components" / name)
    with tarfile.open(str(path), "w:gz") as tar:
        tar.add(str(folder), arcname="")
    return path
