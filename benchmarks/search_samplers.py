"""Optuna's TPE sampler, which `search` uses, compared with random search by hypervolume after equally many trials.

python -m benchmarks.search_samplers --nlu DATA/sara2019/train.yml --seeds 3 --trials 30

It uses small n-gram students, which train within seconds and share one teacher, so that many complete studies on real
data are affordable.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import optuna
from optuna._hypervolume import compute_hypervolume
from tqdm import tqdm

from benchmarks.common.commands import command_line, publish
from rasa_compressed_bert.commands.quiet import silence_libraries
from rasa_compressed_bert.components.message_io import intent_examples
from rasa_compressed_bert.components.nlu_files import load_training_data
from rasa_compressed_bert.config import DistilledIntentClassifierConfig
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.reporting.plots import drawn
from rasa_compressed_bert.search.evaluation import Evaluator
from rasa_compressed_bert.search.frontier import Point
from rasa_compressed_bert.search.goals import SCORE
from rasa_compressed_bert.search.message_task import MessageTask
from rasa_compressed_bert.search.space import read_space
from rasa_compressed_bert.search.storage import open_storage
from rasa_compressed_bert.search.study import Goal, open_study, points_of
from rasa_compressed_bert.search.trials import Sampler, search

HERE = Path(__file__).parent
COSTS = ("latency_ms", "size_mb")
SAMPLERS = ("tpe", "random")
BASE = {
    "student": {"architecture": "ngrams", "vocabulary_size": 8000, "buckets": 4000},
    "augmentation": {"n_iter": 3},
}
SPACE = {
    "student.embedding_size": {"low": 16, "high": 160, "step": 16},
    "epochs": {"low": 4, "high": 16},
    "learning_rate": {"low": 5e-4, "high": 2e-2, "log": True},
    "distillation.alpha": {"low": 0.0, "high": 0.5},
    "distillation.temperature": {"low": 1.0, "high": 4.0},
}
WORST = 2.0  # the reference point has this multiple of the baseline's costs, and half its score


def main() -> int:
    """Writes `results/search_samplers.json`, `.md` and `.png`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nlu", type=Path, required=True, metavar="TRAIN.yml")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch" / "search_samplers")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    silence_libraries()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    examples = intent_examples(load_training_data(arguments.nlu))
    task = MessageTask(examples, cache=arguments.work / "teachers")
    evaluator = Evaluator(task, DistilledIntentClassifierConfig, BASE)
    goal = Goal(read_space(SPACE, DistilledIntentClassifierConfig), COSTS, (), "samplers")
    reference = corner(evaluator.measure({}).to_dict())  # the same for all studies
    runs = []
    for seed in range(arguments.seeds):
        for sampler in SAMPLERS:
            runs.append(run(evaluator, goal, sampler, seed, arguments.trials, reference))
    content = {"command": command_line("benchmarks.search_samplers"), "runs": runs, "environment": environment()}
    publish("search_samplers", content, to_markdown, folder=arguments.results)
    plot(runs, arguments.results / "search_samplers.png")
    return 0


def run(
    evaluator: Evaluator, goal: Goal, sampler: str, seed: int, trials: int, reference: Mapping[str, float]
) -> Dict[str, Any]:
    """Runs one study, and returns the hypervolume after each of its trials."""
    volumes: List[float] = []
    with tempfile.TemporaryDirectory() as name, tqdm(total=trials, desc=f"{sampler}, seed {seed}") as bar:
        study = open_study(open_storage(f"{name}/study.log"), goal, name="samplers")

        def on_trial(done: Sequence[Any]) -> None:
            volumes.append(hypervolume(points_of(study, goal.space), goal.costs, reference))
            bar.set_postfix(hypervolume=f"{volumes[-1]:.4f}")
            bar.update()

        search(study, goal, evaluator.measure, trials=trials, sampler=Sampler(sampler, (seed,)), on_trial=on_trial)
    return {"sampler": sampler, "seed": seed, "hypervolume": volumes}


def corner(baseline: Mapping[str, float]) -> Dict[str, float]:
    """The reference point of hypervolumes, worse than useful models: half the score, and `WORST` times the costs."""
    return {SCORE: baseline[SCORE] / 2, **{cost: WORST * baseline[cost] for cost in COSTS}}


def hypervolume(points: Sequence[Point], costs: Sequence[str], reference: Mapping[str, float]) -> float:
    """The volume that the points dominate up to a reference point, with costs relative to those of the reference."""
    worst = np.array([-reference[SCORE], *(1.0 for _ in costs)])
    rows = [[-point.figures[SCORE], *(point.figures[cost] / reference[cost] for cost in costs)] for point in points]
    inside = np.array([row for row in rows if np.all(np.array(row) <= worst)])
    return float(compute_hypervolume(inside, worst)) if len(inside) else 0.0


def to_markdown(_: str, content: Dict[str, Any]) -> str:
    """A page with a row per seed, and the means."""
    runs = content["runs"]
    last = {(run["sampler"], run["seed"]): run["hypervolume"][-1] for run in runs}
    seeds = sorted({run["seed"] for run in runs})
    rows = [["seed", *SAMPLERS]]
    rows += [[str(seed), *(f"{last[sampler, seed]:.4f}" for sampler in SAMPLERS)] for seed in seeds]
    means = [np.mean([last[sampler, seed] for seed in seeds]) for sampler in SAMPLERS]
    rows.append(["mean", *(f"{mean:.4f}" for mean in means)])
    return f"""# TPE against random search

Hypervolume of score, milliseconds and megabytes after {len(runs[0]["hypervolume"])} trials each: a student of n-grams,
measured from half the score, and twice the costs, of the student as it comes.

{tables.markdown_table(rows)}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


def plot(runs: List[Dict[str, Any]], path: Path) -> None:
    """Plots hypervolume over trials, with a line per run."""
    with drawn(path, figsize=(7, 4.5)) as (figure, axes):
        for item in runs:
            colour = "tab:blue" if item["sampler"] == "tpe" else "tab:orange"
            axes.plot(range(1, len(item["hypervolume"]) + 1), item["hypervolume"], color=colour, label=item["sampler"])
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[: len(SAMPLERS)], labels[: len(SAMPLERS)])  # entries of the first seed only
        axes.set_xlabel("trials")
        axes.set_ylabel("hypervolume")
        axes.grid(True, alpha=0.3)
        figure.tight_layout()


if __name__ == "__main__":
    sys.exit(main())
