"""A small artifact with random weights, and archives around it, written here."""

import json
import tarfile

from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact, write_artifact
from rasa_compressed_bert.benchmark.random_models import random_artifact
from rasa_compressed_bert.models.shape import EncoderShape, LayerShape

NODE = "train_rasa_compressed_bert.PrunedBertIntentClassifier0"
DENSE = EncoderShape(9, 16, 32, 8, 1e-12, "gelu", (LayerShape(2, 8, 8, 32),) * 2)
PRUNED = EncoderShape(9, 16, 32, 8, 1e-12, "gelu", (LayerShape(1, 8, 8, 8), LayerShape(0, 0, 0, 16)))
SCORES = {"macro_f1": 0.9, "accuracy": 0.92, "loss": 0.3}


def word_tokenizer():
    """A tokenizer of whole words, as JSON."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "oh", "it", "is", "hot", "cold"]
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer.to_str().encode("utf-8")


def small_artifact(*, shape=PRUNED, int8=True, method="neuron"):
    """What training leaves, with weights that know nothing."""
    random = random_artifact(shape, int8=int8, classes=3)
    manifest = {
        **random.manifest,
        "labels": ["a", "b", "c"],
        "max_length": 32,
        "temperature": 1.5,
        "dense_encoder": DENSE.to_dict(),
        "validation": {"dense": SCORES, "pruned": {**SCORES, "macro_f1": 0.88}},
        "parity": {"messages": 10, "changed": 0, "decisively_changed": 0, "distance": 0.01, "accuracy": 0.9},
        "config": {"model_weights": "some/folder/tiny", "pruning": {"method": method}},
    }
    return Artifact(manifest, {**random.files, TOKENIZER: word_tokenizer()})


def write_archive(path, components, *, nlu=True):
    """A Rasa archive with these artifacts, as Rasa packs it."""
    folder = path.parent / f"{path.name}_content"
    (folder / "components" / "domain_provider").mkdir(parents=True)
    (folder / "components" / "domain_provider" / "domain.yml").write_text("intents: []\n")
    (folder / "metadata.json").write_text(json.dumps({"nlu_target": "run" if nlu else None}))
    for name, artifact in components.items():
        write_artifact(artifact, folder / "components" / name)
    with tarfile.open(str(path), "w:gz") as tar:
        tar.add(str(folder), arcname="")
    return path
