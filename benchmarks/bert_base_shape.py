"""BERT-base's shape with random weights: milliseconds and megabytes, the engine alone and whole messages in Rasa.

python -m benchmarks.bert_base_shape

Random weights are as fast as trained ones, so nothing has to be downloaded or trained for hours. Whole messages are
parsed with real Rasa archives: LanguageModelFeaturizer with DIET, trained for one epoch on a few messages; and our
classifier, trained on a tiny BERT, with its artifact replaced by a random one of BERT-base's shape, pruned to 30 % and
in int8.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from benchmarks.common.commands import publish
from benchmarks.common.datasets import floor_messages, stratified_sample, write_nlu
from benchmarks.common.names import name_of, named
from benchmarks.common.rows import OURS, language_model_featurizer, row_config
from benchmarks.common.training import train_row
from rasa_compressed_bert.artifact.archives import artifacts_in, unpacked
from rasa_compressed_bert.artifact.artifact import TOKENIZER, Artifact, write_artifact
from rasa_compressed_bert.benchmark.comparison import compare_models
from rasa_compressed_bert.benchmark.latency import call_of, in_turns
from rasa_compressed_bert.benchmark.random_models import bert_base_shape, evenly_pruned, random_artifact
from rasa_compressed_bert.benchmark.report import comparison_rows, legend
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.config import OutOfScopeConfig
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.models.pretrained import local_folder
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.tasks.view_stage import with_views
from rasa_compressed_bert.training.voting import UNMEASURED
from rasa_compressed_bert.units import MB

logger = logging.getLogger("benchmarks")
HERE = Path(__file__).parent
NLU = HERE.parent / "example_bot" / "data" / "nlu.yml"
LENGTHS = (8, 16, 32, 64, 128)  # wordpieces
SPARSITY = 0.7


def main() -> int:
    """Measures, and writes bert_base_shape.json and .md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument(
        "--max-messages", type=int, default=200, help="number of messages of the example bot that are parsed"
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument(
        "--engine-only", action="store_true", help="measure only the engine, not whole messages in Rasa"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    content: Dict[str, Any] = {"command": "python -m benchmarks.bert_base_shape", "environment": environment()}
    content["engine"] = measure_engines(arguments.rounds)
    content["messages"] = [] if arguments.engine_only else measure_messages(arguments.max_messages)
    publish("bert_base_shape", content, to_markdown, folder=arguments.results)
    return 0


def measure_engines(rounds: int) -> List[Dict[str, Any]]:
    """p50 milliseconds of one message in our ONNX Runtime engine, on one thread, at each of `LENGTHS`."""
    dense = bert_base_shape()
    pruned = evenly_pruned(dense, SPARSITY)
    artifacts = {
        "dense fp32": random_artifact(dense, int8=False),
        "dense int8": random_artifact(dense, int8=True),
        "pruned int8": random_artifact(pruned, int8=True),
    }
    results = [
        {"model": name, "size_mb": artifact.size / MB, "sparsity": 0.0, "p50_ms": {}}
        for name, artifact in artifacts.items()
    ]
    results[-1]["sparsity"] = 1.0 - pruned.encoder_size() / dense.encoder_size()
    results[-1]["layer"] = pruned.to_dict()["layers"][0]
    rng = np.random.default_rng(0)
    for length in LENGTHS:
        logger.info(f"engine, {length} wordpieces")
        input_ids = rng.integers(1000, dense.vocab_size, (1, length))
        calls = {name: call_of(artifact, input_ids) for name, artifact in artifacts.items()}
        times = in_turns(calls, rounds=rounds, repeats=10)
        for result in results:
            result["p50_ms"][str(length)] = times[result["model"]]
    return results


def measure_messages(max_messages: int) -> List[Dict[str, Any]]:
    """Whole messages through `Agent.parse_message`: Rasa alone, LanguageModelFeaturizer with DIET, our classifier."""
    messages = load_messages(NLU)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_nlu(stratified_sample(messages, 64), work / "train.yml")
        write_nlu(floor_messages(messages), work / "keyword.yml")
        save_random_bert(work / "bert_base", hidden_size=768, layers=12, heads=12, intermediate_size=3072)
        save_random_bert(work / "tiny", hidden_size=32, layers=2, heads=2, intermediate_size=64)
        models = {"keyword": work / "keyword", "lmf_diet": work / "lmf_diet", "pruned int8": work / "ours"}
        logger.info("training three Rasa models on a few messages")
        train_row(models["keyword"], row_config("keyword"), work / "keyword.yml")
        train_row(models["lmf_diet"], _config(_lmf_diet(work / "bert_base")), work / "train.yml")
        train_row(models["pruned int8"], _config([_ours(work / "tiny")]), work / "train.yml")
        archives = {label: folder / "model.tar.gz" for label, folder in models.items()}
        replace_encoder(archives["pruned int8"], work / "swapped.tar.gz", load_messages(work / "train.yml"))
        archives["pruned int8"] = work / "swapped.tar.gz"
        results = compare_models(archives, load_messages(NLU, max_messages), threads=1)
    meaningless = ("accuracy", "macro_f1", "calibration_error")  # the weights are random
    return [{key: value for key, value in result.items() if key not in meaningless} for result in results]


def save_random_bert(folder: Path, *, hidden_size: int, layers: int, heads: int, intermediate_size: int) -> None:
    """Writes a BERT with random weights and BERT's own vocabulary, in the format of `save_pretrained`."""
    import transformers

    config = transformers.BertConfig(
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate_size,
    )
    model = transformers.TFBertModel(config)
    model(np.array([[101, 102]]))
    model.save_pretrained(folder, safe_serialization=True)
    vocabulary = folder / "vocab.txt"
    shutil.copyfile(
        str(local_folder("all-MiniLM-L6-v2") / "vocab.txt"), str(vocabulary)
    )  # the vocabulary of bert-base-uncased
    transformers.BertTokenizerFast(vocab_file=str(vocabulary), do_lower_case=True).save_pretrained(folder)


def replace_encoder(archive: Path, target: Path, messages: Sequence[LabelledMessage]) -> None:
    """Copies a trained archive with its model replaced by a random one of BERT-base's shape, pruned and in int8.

    The views of a message are fitted to the random model, as they take time too.

    Args:
        archive: an archive with one classifier.
        target: where to write.
        messages: the messages that the classifier was trained on.
    """
    texts = [message.text for message in messages]
    with unpacked(archive) as folder:
        for name, trained in artifacts_in(folder).items():
            manifest = trained.manifest
            shape = evenly_pruned(bert_base_shape(max_position_embeddings=manifest["max_length"]), SPARSITY)
            random = random_artifact(shape, int8=True, classes=len(manifest["labels"]))
            files = {**random.files, TOKENIZER: trained.files[TOKENIZER]}
            swapped = Artifact({**manifest, **random.manifest}, files)
            classes = np.array([manifest["labels"].index(message.intent) for message in messages])
            swapped = with_views(swapped, texts, classes, OutOfScopeConfig(), voting=UNMEASURED, seed=0)
            write_artifact(swapped, folder / "components" / name)
        with tarfile.open(target, "w:gz") as tar:
            tar.add(folder, arcname="")


def to_markdown(_: str, content: Dict[str, Any]) -> str:
    """A page with both tables, and how they were measured."""
    engine = [["engine alone", "size MB", "sparsity", *(f"{length} wordpieces" for length in LENGTHS)]]
    for result in content["engine"]:
        times = [f"{result['p50_ms'][str(length)]:.2f} ms" for length in LENGTHS]
        engine.append([result["model"], f"{result['size_mb']:.0f}", tables.percent(result["sparsity"]), *times])
    parts = ["# BERT-base's shape, random weights", "One thread, one message at a time, p50, models in turns."]
    parts.append(tables.markdown_table(engine))
    if content["messages"]:
        parts += [
            f"Whole messages in Rasa. {legend(content['messages'])}",
            tables.markdown_table(comparison_rows(named(content["messages"]))),
        ]
        p50 = {result["model"]: result["latency_p50_ms"] for result in content["messages"]}
        times = p50["lmf_diet"] / p50["pruned int8"]
        parts.append(f"{name_of('lmf_diet')} takes {times:.0f} times as long as pruned int8.")
    parts.append(f"Made by `{content['command']}` on {in_words(content['environment'])}.")
    return "\n\n".join(parts) + "\n"


def _config(pipeline: List[Dict[str, Any]]) -> Dict[str, Any]:
    return {"recipe": "default.v1", "assistant_id": "benchmark", "language": "en", "pipeline": pipeline}


def _lmf_diet(folder: Path) -> List[Dict[str, Any]]:
    diet = {"name": "DIETClassifier", "epochs": 1, "constrain_similarities": True}
    return [{"name": "WhitespaceTokenizer"}, language_model_featurizer(str(folder)), diet]


def _ours(folder: Path) -> Dict[str, Any]:
    return {"name": OURS, "model_weights": str(folder), "epochs": 1}


if __name__ == "__main__":
    sys.exit(main())
