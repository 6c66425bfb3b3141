"""Our featurizer compared with Rasa's LanguageModelFeaturizer on the same weights: alone, and before DIET.

python -m benchmarks.run_featurizer --data snips=DATA/snips --data sara2019=DATA/sara2019
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from benchmarks.bert_base_shape import save_random_bert
from benchmarks.common.commands import command_line, named_folder, publish, run_all, work_folder
from benchmarks.common.datasets import prepare, write_nlu
from benchmarks.common.featurizers import measured
from benchmarks.common.names import named
from benchmarks.common.pages import plot_models
from benchmarks.common.rows import LMF, QUANTIZED, featurizer_config, featurizers
from benchmarks.common.scores import mean_and_deviation
from benchmarks.common.training import train_row
from rasa_compressed_bert.benchmark.comparison import compare_models
from rasa_compressed_bert.benchmark.report import comparison_rows, legend
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words

logger = logging.getLogger("benchmarks")
HERE = Path(__file__).parent
MINILM, BERT_BASE = "all-MiniLM-L6-v2", "BERT-base's shape, random"
LABELS = {LMF: "lmf_diet", QUANTIZED: "quantized_diet"}
_SCORES = {"accuracy": "accuracy", "macro_f1": "macro F1", "entity_f1": "entity F1"}


def main() -> int:
    """Measures both featurizers on each data set in one run, and writes the results."""
    return run_all(_arguments(), run_data_set)


def run_data_set(name: str, source: Path, *, arguments: argparse.Namespace) -> None:
    """Measures one data set, and writes `featurizer_<name>.json`, `.md` and `.png` to the folder of results."""
    title = f"featurizer_{name}"
    work = work_folder(arguments, title)
    whole, _ = prepare(source, work / "whole", sample=0, entities=True)
    sample, test = prepare(source, work / "data", sample=arguments.sample, entities=True)
    messages = load_messages(test, arguments.max_messages, entities=True)
    write_nlu(messages, test)
    content = {
        "data": name,
        "training_messages": len(load_messages(sample)),
        "test_messages": len(messages),
        "command": command_line("benchmarks.run_featurizer"),
        "environment": environment(),
        "alone": measure_alone(sample, test, work=work),
        "training": measured("training", MINILM, training=whole, test=test, folder=work),
        "results": measure_diet(sample, messages, work=work, epochs=arguments.diet_epochs, seeds=arguments.seeds),
    }
    write_results(title, content, folder=arguments.results)


def measure_alone(training: Path, test: Path, *, work: Path) -> List[Dict[str, Any]]:
    """Latency of each component, with MiniLM and with BERT-base's shape; with MiniLM also similarity of features."""
    results = []
    with tempfile.TemporaryDirectory() as random_bert:
        save_random_bert(Path(random_bert), hidden_size=768, layers=12, heads=12, intermediate_size=3072)
        for name, weights in ((MINILM, MINILM), (BERT_BASE, random_bert)):
            logger.info(f"{name}: the components alone")
            result = {"weights": name, **measured("latency", weights, training=training, test=test, folder=work)}
            results.append({**result, "ratio": result[LMF]["p50_ms"] / result[QUANTIZED]["p50_ms"]})
    results[0]["similarity"] = measured("similarity", MINILM, training=training, test=test, folder=work)
    return results


def measure_diet(
    training: Path, messages: List[LabelledMessage], *, work: Path, epochs: int, seeds: int
) -> List[Dict[str, Any]]:
    """DIET trained with either featurizer, with the same MiniLM weights and the same seeds."""
    trained = {}
    for seed in range(42, 42 + seeds):
        for name, item in featurizers(MINILM).items():
            label = f"{LABELS[name]}_{seed}"
            logger.info(f"training {label}")
            config = featurizer_config(item, diet_epochs=epochs, seed=seed)
            trained[label] = train_row(work / label, config, training)
    archives = {label: work / label / "model.tar.gz" for label in trained}
    results = compare_models(archives, messages, threads=1)
    for result in results:
        row = trained[result["model"]]
        result.update(training_s=row["training_s"], training_command=row["command"])
        result["pipeline"] = [
            {**item, "model_weights": MINILM} if "model_weights" in item else item for item in row["config"]["pipeline"]
        ]
    return results


def mean_scores(results: List[Dict[str, Any]]) -> List[List[str]]:
    """Mean and sample standard deviation over seeds of scores with each featurizer, in per cent, and differences.

    Entity F1 is empty on data without entities.
    """
    measured_scores = {key: name for key, name in _SCORES.items() if all(row.get(key) is not None for row in results)}
    rows = [["DIET on", *measured_scores.values()]]
    means = []
    for name, label in LABELS.items():
        own = [result for result in results if result["model"].startswith(label)]
        scores = [[result[key] for result in own] for key in measured_scores]
        means.append(100.0 * np.mean(scores, axis=1))
        rows.append([name, *map(mean_and_deviation, scores)])
    rows.append(["difference", *(f"{difference:+.1f}" for difference in means[1] - means[0])])
    return rows


def write_results(title: str, content: Dict[str, Any], *, folder: Path) -> None:
    """Writes the JSON, Markdown and PNG files."""
    publish(title, content, to_markdown, folder=folder)
    plot(content, folder / f"{title}.png", title=title)


def plot(content: Dict[str, Any], path: Path, *, title: str) -> None:
    """Writes a PNG: DIET with either featurizer."""
    plot_models(title, content["results"], path)


def to_markdown(title: str, content: Dict[str, Any]) -> str:
    """A page with the tables, and how they were measured."""
    alone = [["weights", f"{LMF} p50 ms", "p95 ms", "ours p50 ms", "p95 ms", "times faster"]]
    for result in content["alone"]:
        times = [f"{result[name][key]:.2f}" for name in (LMF, QUANTIZED) for key in ("p50_ms", "p95_ms")]
        alone.append([result["weights"], *times, f"{result['ratio']:.1f}"])
    near = content["alone"][0]["similarity"]
    seconds = content["training"]["seconds"]
    return f"""# {title}

The components alone: `process` of one message, one thread, {content["test_messages"]} test messages, in turns.

{tables.markdown_table(alone)}

Cosine similarity of our features to {LMF}'s, {MINILM}: words {_similarity(near["words"])}; sentence
(`pooling: cls`) {_similarity(near["sentence"])}.

`process_training_data` of {content["training"]["messages"]} messages on all cores: {LMF} {seconds[LMF]:.1f} s, ours
{seconds[QUANTIZED]:.1f} s, {seconds[LMF] / seconds[QUANTIZED]:.1f} times faster.

DIET on either, {content["training_messages"]} training messages, {content["test_messages"]} test messages: mean and
sample standard deviation of the seeds that the names below end with; a single seed has none.

{tables.markdown_table(mean_scores(content["results"]))}

One thread, one message at a time.
{legend(content["results"])} entity F1: micro F1 of entities with the right start, end and type. training:
seconds of the whole `rasa train nlu`, on all cores.

{tables.markdown_table(comparison_rows(named(content["results"])))}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


def _similarity(values: Dict[str, float]) -> str:
    return f"{values['mean']:.4f} on average, 1st percentile {values['percentile_1']:.4f}, {values['rows']} rows"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", action="append", type=named_folder, required=True, help="[NAME=]DIR with train.yml and test.yml"
    )
    parser.add_argument("--sample", type=int, default=2000, help="stratified training sample of DIET; 0 for all")
    parser.add_argument("--diet-epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings of DIET with each featurizer")
    parser.add_argument(
        "--max-messages", type=int, default=0, help="size of a random sample of the test messages; 0 for all"
    )
    parser.add_argument("--fresh", action="store_true", help="train everything again")
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of models")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
