"""LanguageModelFeaturizer and our featurizer without the rest of Rasa, in their own process.

    python -m benchmarks.common.featurizers MEASURE WEIGHTS TRAIN.yml TEST.yml RESULT.json

`latency`: one message at a time; `similarity`: cosine similarity of features; `training`: the whole training data.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from benchmarks.common.rows import LMF, QUANTIZED, featurizers
from benchmarks.common.training import training_environment
from rasa_compressed_bert.benchmark.workers import worker_environment
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.errors import CompressedBertError

ROUNDS, WARM_UP = 10, 5
_LMF_MODULE = "rasa.nlu.featurizers.dense_featurizer.lm_featurizer"


def measured(measure: str, weights: str, *, training: Path, test: Path, folder: Path) -> Dict[str, Any]:
    """Runs the function named `measure` in a new process, on all cores for `training`, else on one thread.

    Raises:
        CompressedBertError: if it fails; the reason is on standard error.
    """
    result = folder / f"{measure}.json"
    module, paths = "benchmarks.common.featurizers", map(str, (training, test, result))
    command = [sys.executable, "-m", module, measure, weights, *paths]
    environment = training_environment() if measure == "training" else worker_environment(1)
    code = subprocess.run(command, env={**environment, "RASA_MAX_CACHE_SIZE": "0"}, check=False).returncode
    if code:
        raise CompressedBertError(f"Measuring {measure} of the featurizers with {weights} failed (exit status {code}).")
    return json.loads(result.read_text(encoding="utf-8"))


def main() -> int:
    """Measures in this process, and writes the result."""
    measure, weights, training, test, result = sys.argv[1:]
    function = {"latency": latency, "similarity": similarity, "training": training_time}[measure]
    with tempfile.TemporaryDirectory() as storage:
        values = function(weights, Path(training), Path(test), storage=Path(storage))
    Path(result).write_text(json.dumps(values), encoding="utf-8")
    return 0


def latency(weights: str, training: Path, test: Path, *, storage: Path) -> Dict[str, Dict[str, float]]:
    """p50 and p95 milliseconds of `process([message])`; in a round, all components get the same part of the messages.

    Every call gets a new message, which has words and no features.
    """
    use_one_thread()
    texts = texts_of(test)
    components = {name: component(item, training, storage=storage) for name, item in featurizers(weights).items()}
    seconds: Dict[str, List[float]] = {name: [] for name in components}
    with tqdm(total=ROUNDS * len(components), unit=" rounds", desc="one message at a time") as bar:
        for start in range(ROUNDS):
            for name, featurizer in components.items():
                featurizer.process(tokenized(texts[:WARM_UP]))  # during the first ones, caches still hold another model
                for message in tokenized(texts[start::ROUNDS]):
                    begin = time.perf_counter()
                    featurizer.process([message])
                    seconds[name].append(time.perf_counter() - begin)
                bar.update()
    return {
        name: {f"p{share}_ms": 1000.0 * float(np.percentile(values, share)) for share in (50, 95)}
        for name, values in seconds.items()
    }


def similarity(weights: str, training: Path, test: Path, *, storage: Path) -> Dict[str, Any]:
    """Cosine similarity of our features to LanguageModelFeaturizer's: mean and 1st percentile.

    Our sentence feature is the first hidden state here, as LanguageModelFeaturizer's is. Messages with a word that has
    no wordpiece are left out: LanguageModelFeaturizer has no row for it.
    """
    use_one_thread()
    items, texts = featurizers(weights), texts_of(test)
    lmf = component(items[LMF], training, storage=storage)
    ours = component({**items[QUANTIZED], "pooling": "cls"}, training, storage=storage)
    pairs = [
        (features(message), features(other))
        for message, other in zip(lmf.process(tokenized(texts)), ours.process(tokenized(texts)))
    ]
    pairs = [(one, other) for one, other in pairs if one[0].shape == other[0].shape]
    cosines = [np.concatenate([_cosine(one[part], other[part]) for one, other in pairs]) for part in (0, 1)]
    return {
        name: {"rows": len(values), "mean": float(values.mean()), "percentile_1": float(np.percentile(values, 1))}
        for name, values in zip(("words", "sentence"), cosines)
    }


def training_time(weights: str, training: Path, test: Path, *, storage: Path) -> Dict[str, Any]:
    """Seconds of `process_training_data`, after a warm-up on the test data."""
    seconds: Dict[str, Any] = {}
    for name, item in featurizers(weights).items():
        featurizer, data = component(item, training, storage=storage), _training_data(training)
        featurizer.process_training_data(_training_data(test))
        begin = time.perf_counter()
        featurizer.process_training_data(data)
        seconds[name] = time.perf_counter() - begin
    return {"messages": len(data.training_examples), "seconds": seconds}


def component(item: Dict[str, Any], training: Path, *, storage: Path) -> Any:
    """Makes a component as in a trained pipeline, from its entry in a configuration; its files are in `storage`."""
    from rasa.engine.graph import ExecutionContext, GraphSchema
    from rasa.engine.storage.local_model_storage import LocalModelStorage
    from rasa.engine.storage.resource import Resource
    from rasa.shared.utils.common import class_from_module_path

    name = item["name"] if "." in item["name"] else f"{_LMF_MODULE}.{item['name']}"
    made_of = class_from_module_path(name)
    config = {**made_of.get_default_config(), **{key: value for key, value in item.items() if key != "name"}}
    context = ExecutionContext(GraphSchema({}), node_name="featurizer")
    environment_digest = (LocalModelStorage.create(storage), Resource("featurizer"), context)
    made = made_of.create(config, *environment_digest)
    if hasattr(made, "train"):  # LanguageModelFeaturizer has nothing to train
        made.train(_training_data(training))
        made = made_of.load(config, *environment_digest)
    return made


def texts_of(path: Path) -> List[str]:
    """The texts of test data."""
    return [message.text for message in load_messages(path)]


def tokenized(texts: Sequence[str]) -> List[Any]:
    """Messages with words, as after a tokenizer, and without features."""
    from rasa.shared.nlu.training_data.message import Message

    return _tokenizer().process([Message({"text": text}) for text in texts])


def features(message: Any) -> Tuple[np.ndarray, np.ndarray]:
    """The features of the words, and of the message.  # (words, H), (1, H)"""
    sequence, sentence = message.get_dense_features("text", [])
    return sequence.features, sentence.features


def _training_data(path: Path) -> Any:
    from rasa.shared.nlu.training_data.loading import load_data

    return _tokenizer().process_training_data(load_data(str(path)))


def _tokenizer() -> Any:
    from rasa.nlu.tokenizers.whitespace_tokenizer import WhitespaceTokenizer

    return WhitespaceTokenizer(WhitespaceTokenizer.get_default_config())


def use_one_thread() -> None:
    """Restricts TensorFlow, before it is used in this process, to one thread."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one * other).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))


if __name__ == "__main__":
    sys.exit(main())
