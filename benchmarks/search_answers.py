"""A search over distilled answer extractors, as in SigOpt's experiment of 2020: exact match against parameters.

python -m benchmarks.search_answers --pretraining DATA/squad2/train_shifts.json --questions DATA/squad2/train.json \\
    --sample 1500 --trials 14 --splits 1 --options '{epochs: 2, unanswerable_questions: 0}'

With --pretraining, the weights are first fine-tuned on other questions, as a BERT from a hub may be that answers
questions already.

The baseline has all layers of the weights, which are a distilled BERT, as DistilBERT is in that experiment; it learns
from its own dense model with default options. The search varies the layers that a student starts with, its heads and
widths, the vocabulary, learning rate, alpha and temperature. Other options of the experiment are left out: distilled
students have no dropout here, and no layer is initialised at random. The same command resumes an interrupted study.
"""

from __future__ import annotations

import argparse
import collections
import csv
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
import yaml

from benchmarks.answers import DENSE, ROWS, measured, trained
from benchmarks.common.answer_weights import write_answer_weights
from benchmarks.common.commands import command_line, exit_status, publish
from rasa_compressed_bert.__main__ import main as run_command
from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.squad import read_questions
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.search.dotted import merged

HERE = Path(__file__).parent
BASE: Dict[str, Any] = {
    "vocabulary": "full",
    "pruning": {"layers": None, "final_sparsity": 0.0, "attention_heads": 0.0, "intermediate": 0.0},
}
SPACE: Dict[str, Any] = {
    "pruning.layers": [None, [0, 1, 2, 3, 4], [0, 1, 2, 3, 5], [0, 1, 3, 5], [0, 1, 2, 3]],
    "pruning.attention_heads": {"low": 0.0, "high": 0.8},
    "pruning.intermediate": {"low": 0.0, "high": 0.8},
    "pruning.final_sparsity": {"low": 0.0, "high": 0.6},
    "vocabulary": ["full", "trim"],
    "learning_rate": {"low": 3e-5, "high": 3e-4, "log": True},
    "distillation.alpha": {"low": 0.0, "high": 0.9},
    "distillation.temperature": {"low": 1.0, "high": 6.0},
}
PRETRAINING: Dict[str, Any] = {
    **ROWS[DENSE],
    "vocabulary": "full",
    "epochs": 1,
    "validation_split": 0.0,
    "unanswerable_questions": 0.0,
}
"""Options of --pretraining: a dense model that learns each question once."""
SEED = {
    "baseline": {"parameters": 66.3e6, "exact": 0.6707},
    "best": {"parameters": 66.36e6, "exact": 0.7055},
    "smaller_and_better": {"parameters": 65.18e6, "exact": 0.7026},
    "smallest": {"parameters": 51.40e6, "exact": 0.6682},
}
"""Published by SigOpt in 2020, for all questions of SQuAD 2.0."""
SCENARIOS = {
    "baseline": "baseline",
    "best": "same size, best score",
    "smaller_and_better": "smaller and better",
    "smallest": "smallest at the score",
    "fastest": "fastest",
}


def main() -> int:
    """Searches, measures the choices on other articles, and writes `results/TITLE.json` and `.md`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=Path, nargs="+", required=True, help="files in the format of SQuAD 2.0")
    parser.add_argument(
        "--pretraining", type=Path, nargs="+", help="questions to fine-tune the weights on before the study"
    )
    parser.add_argument(
        "--pretraining-options", type=yaml.safe_load, default={}, help="further options of --pretraining, as YAML"
    )
    parser.add_argument(
        "--sample", type=int, default=4000, help="about how many of --questions, whole passages at random; 0: all"
    )
    parser.add_argument(
        "--test", type=Path, help="questions on other articles, to test models trained on the whole sample"
    )
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--timeout", type=int, help="seconds after which no trial is started")
    parser.add_argument("--splits", type=int, default=1, help="number of splits to choose on, and as many to report on")
    parser.add_argument("--threshold", default="exact >= 0.5")
    parser.add_argument("--options", type=yaml.safe_load, default={}, help="further options of all models, as YAML")
    parser.add_argument("--space", type=yaml.safe_load, default=SPACE, help="the search space, as YAML")
    parser.add_argument("--title", default="search_answers", help="name of the results without its ending")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch" / "search_answers")
    arguments = parser.parse_args()
    return exit_status(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """Runs the study, and tests its choices on the test questions."""
    work, base = arguments.work, {**BASE, **arguments.options}
    work.mkdir(parents=True, exist_ok=True)
    if arguments.pretraining:
        data = {"training_data": [str(path) for path in arguments.pretraining]}
        options = {**PRETRAINING, **data, **arguments.pretraining_options}
        base["model_weights"] = str(fine_tuned_weights(work / "pretraining", options))
    questions = work / "questions.json"
    counts = write_sample(arguments.questions, questions, arguments.sample)
    pipeline = [{"name": "rasa_compressed_bert.BertAnswerExtractor", **base}]
    (work / "config.yml").write_text(yaml.safe_dump({"recipe": "default.v1", "language": "en", "pipeline": pipeline}))
    (work / "space.yml").write_text(yaml.safe_dump({"search": arguments.space}))
    search(work, arguments)
    found = json.loads((work / "study" / "pareto.json").read_text(encoding="utf-8"))
    content = {
        "command": command_line("benchmarks.search_answers"),
        "environment": environment(),
        "questions": counts,
        "pretraining": len(read_questions(list(map(str, arguments.pretraining or ())), option="--pretraining")),
        "splits": arguments.splits,
        "trials": outcomes(work / "study" / "trials.csv"),
        "picked": found["picked"],
        "options": {str(point["trial"]): point["options"] for point in found["pareto"] if point["trial"] >= 0},
        "reported": found["reported"],
        "test": on_test(found, {**base, "training_data": [str(questions)]}, arguments) if arguments.test else {},
    }
    publish(arguments.title, content, to_markdown, folder=arguments.results)


def fine_tuned_weights(folder: Path, options: Dict[str, Any]) -> Path:
    """The folder of weights after they were fine-tuned on questions with these options; trains them once."""
    artifact = trained(folder, options)["artifact"]
    weights = folder / "weights"
    write_answer_weights(state_of(artifact), BertAnswerExtractorConfig.from_dict(options).model_weights, weights)
    return weights


def write_sample(files: Sequence[Path], path: Path, most: int) -> Dict[str, int]:
    """Writes a random sample of passages with all their questions, and returns their numbers.

    Args:
        files: in the format of SQuAD 2.0.
        path: path of the sample.
        most: approximate number of questions; 0 for all.
    """
    paragraphs = [
        (document.get("title", ""), paragraph)
        for file in files
        for document in json.loads(file.read_text(encoding="utf-8"))["data"]
        for paragraph in document["paragraphs"]
    ]
    documents: Dict[str, List[Any]] = collections.defaultdict(list)
    count = 0
    for place in np.random.default_rng(0).permutation(len(paragraphs)):
        if most and count >= most:
            break
        title, paragraph = paragraphs[place]
        documents[title].append(paragraph)
        count += len(paragraph["qas"])
    data = [{"title": title, "paragraphs": own} for title, own in documents.items()]
    path.write_text(json.dumps({"data": data}), encoding="utf-8")
    questions = read_questions([str(path)], option="--questions")
    unanswerable = sum(not question.answers for question in questions)
    return {"all": len(questions), "unanswerable": unanswerable, "passages": sum(map(len, documents.values()))}


def search(work: Path, arguments: argparse.Namespace) -> None:
    """Runs the command `search` as a user does, and resumes an existing study."""
    study = work / "study"
    words = {
        **{"--questions": work / "questions.json", "--config": work / "config.yml", "--space": work / "space.yml"},
        **{"--minimize": "parameters", "--threshold": arguments.threshold, "--trials": arguments.trials},
        **{"--splits": arguments.splits, "--out": study},
    }
    if arguments.timeout:
        words["--timeout"] = arguments.timeout
    resumed = ["--resume"] if (study / "journal.log").is_file() else []
    status = run_command(["search", *(str(word) for pair in words.items() for word in pair), *resumed])
    if status:
        raise CompressedBertError(f"search ended with status {status}; the same command goes on.")


def outcomes(path: Path) -> Dict[str, int]:
    """The number of trials in each final state."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missed = sum(row["reason"].startswith("misses") for row in rows)
    states = collections.Counter(row["state"].lower() for row in rows if row["state"] != "BASELINE")
    return {**states, "below the threshold": missed}


def on_test(found: Dict[str, Any], base: Dict[str, Any], arguments: argparse.Namespace) -> Dict[str, Any]:
    """Scores of the baseline and the choices on other articles, each trained once on the whole sample."""
    questions = read_questions([str(arguments.test)], option="--test")
    options = {point["trial"]: point["options"] for point in found["pareto"]}
    numbers = {"baseline": -1, **{name: number for name, number in found["picked"].items() if number is not None}}
    models = {}
    for number in sorted(set(numbers.values())):
        model = trained(arguments.work / "models" / str(number), merged(base, options.get(number, {})))
        models[number] = measured(model, questions)
    return {name: models[number] for name, number in numbers.items()}


def to_markdown(_: str, content: Dict[str, Any]) -> str:
    """A page with SigOpt's table of scenarios, our results, and explanations."""
    reported, counts, test = content["reported"], content["questions"], content["test"]
    compared = ["parameters, million", "exact, %", "parameters", "points"]
    rows = [["scenario", *compared, "F1, %", "ms", "MB", *(f"seed: {name}" for name in compared)]]
    for name, title in SCENARIOS.items():
        own = reported.get(name)
        further = [_percent(own["f1"]), f"{own['latency_ms']:.1f}", f"{own['size_mb']:.1f}"] if own else [""] * 3
        rows.append([title, *changes(reported, name), *further, *changes(SEED, name)])
    trials = ", ".join(f"{count} {state}" for state, count in content["trials"].items())
    picked = [["scenario", "trial", "options"]]
    for name, number in content["picked"].items():
        options = content["options"].get(str(number), {}) if number is not None else {}
        values = ", ".join(f"`{key}: {_short(value)}`" for key, value in options.items())
        picked.append(
            [SCENARIOS[name], "none" if number is None else "baseline" if number < 0 else str(number), values]
        )
    parts = [
        "# Search over answer extractors",
        f"{counts['all']} questions, {counts['unanswerable']} of them unanswerable, on {counts['passages']} passages. "
        f"{_pretrained(content['pretraining'])}"
        f"Trials: {trials}. Scores are of {_splits(content['splits'])} that neither the search nor the choice saw.",
        tables.markdown_table(rows),
        "Changes are relative to the baseline. The seed's figures are published: SQuAD 2.0 as a whole, DistilBERT. "
        "Scores of answerable and of unanswerable questions:",
        tables.markdown_table(apart(reported)),
    ]
    if test:
        parts += [
            "Trained on all of these questions, on others, on other articles:",
            tables.markdown_table(tested(test)),
        ]
    parts += [tables.markdown_table(picked), f"Made by `{content['command']}` on {in_words(content['environment'])}."]
    return "\n\n".join(parts) + "\n"


def changes(figures: Dict[str, Any], name: str) -> List[str]:
    """Parameters and exact match, and both relative to the baseline; empty if there is no model for the scenario."""
    own, base = figures.get(name), figures["baseline"]
    if not own:
        return [""] * 4
    cells = [f"{own['parameters'] / 1e6:.2f}", _percent(own["exact"])]
    if name == "baseline":
        return [*cells, "", ""]
    share, points = own["parameters"] / base["parameters"] - 1, own["exact"] - base["exact"]
    return [*cells, f"{100 * share:+.1f} %", f"{100 * points:+.2f}"]


APART = {"answerable_exact": "exact, answerable", "answerable_f1": "F1, answerable"}
APART.update({"unanswerable_exact": "exact, unanswerable", "unanswerable_f1": "F1, unanswerable"})


def apart(reported: Dict[str, Any]) -> List[List[str]]:
    """A table of scores on answerable and on unanswerable questions."""
    rows = [["scenario", *(f"{name}, %" for name in APART.values())]]
    for name, own in reported.items():
        if own:
            scores = [own.get(key) for key in APART]
            rows.append([SCENARIOS[name], *("" if score is None else _percent(score) for score in scores)])
    return rows


def tested(test: Dict[str, Any]) -> List[List[str]]:
    """A table of scores on the test questions, and milliseconds of a question on a passage of 150 words."""
    rows = [["scenario", "exact, %", "F1, %", "ms, 150 words", "MB"]]
    for name, own in test.items():
        scores = [_percent(own["test"][key]) for key in ("exact", "f1")]
        rows.append([SCENARIOS[name], *scores, f"{own['milliseconds']:.1f}", f"{own['archived_mb']:.1f}"])
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _pretrained(count: int) -> str:
    return f"The weights had been fine-tuned on {count} other questions. " if count else ""


def _splits(count: int) -> str:
    return "a split" if count == 1 else f"{count} splits"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else json.dumps(value)


if __name__ == "__main__":
    sys.exit(main())
