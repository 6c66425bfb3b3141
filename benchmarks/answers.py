"""Answer extractors on SQuAD 2.0, each question on its own passage: exact match, F1 and milliseconds.

python -m benchmarks.answers --train DATA/squad2/train.json DATA/squad2/train_shifts.json --test DATA/squad2/dev.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import yaml

from benchmarks.common.commands import command_line, exit_status, publish
from benchmarks.common.training import digest_of, file_digest, libraries, model_code
from rasa_compressed_bert.artifact.artifact import Artifact, read_artifact, write_artifact
from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.data.squad import read_questions
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.runtime.answer_predictor import AnswerPredictor
from rasa_compressed_bert.runtime.timing import quietest_median
from rasa_compressed_bert.tasks.answer_data import questions_for
from rasa_compressed_bert.tasks.answer_measuring import ServedAnswers
from rasa_compressed_bert.tasks.answer_training import compress_extractor, prepare_further, train_or_finetune
from rasa_compressed_bert.units import MB

HERE = Path(__file__).parent
DENSE = "dense"
ROWS: Dict[str, Dict[str, Any]] = {
    DENSE: {"pruning": {"method": "none"}, "quantization": {"method": "none"}},
    "dense_int8": {"pruning": {"method": "none"}},
    "pruned_int8": {"pruning": {"final_sparsity": 0.6}},
}
LABELS = {DENSE: "dense", "dense_int8": "dense, int8", "pruned_int8": "60 % pruned, int8"}
WORDS, TIMED = 150, 20


def main() -> int:
    """Trains and measures, and writes `results/answers.json` and `.md`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="training questions")
    parser.add_argument("--test", type=Path, required=True, help="test questions")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--options", type=yaml.safe_load, default={}, help="further options of all rows, as YAML")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument(
        "--work", type=Path, default=HERE / "results" / "scratch" / "answers", help="folder of trained models"
    )
    arguments = parser.parse_args()
    return exit_status(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """Trains the rows for which there is no model, measures all, and writes the table.

    The dense model is trained once; the other rows compress it, which takes less time than training each from the
    beginning.
    """
    questions = read_questions([str(arguments.test)], option="--test")
    content = {"command": command_line("benchmarks.answers"), "environment": environment(), "rows": {}}
    data = {"training_data": [str(path) for path in arguments.train]}
    options = {name: {**data, **row, **arguments.options} for name, row in ROWS.items()}
    dense = trained(arguments.work / DENSE, options[DENSE])
    for name in arguments.rows:
        row = dense if name == DENSE else trained(arguments.work / name, options[name], dense["artifact"])
        content["rows"][name] = measured(row, questions)
    publish("answers", content, to_markdown, folder=arguments.results)


def trained(folder: Path, options: Dict[str, Any], dense: Optional[Artifact] = None) -> Dict[str, Any]:
    """The artifact of a row, and the seconds of its training, or of compressing the dense model if that is given.

    A model that was trained before with the same data, options, code and libraries is reused.
    """
    data = [file_digest(Path(path)) for path in options["training_data"]]
    folder = folder / digest_of([options, data, model_code(), libraries()])
    timing = folder / "training_s.json"
    if not timing.exists():
        config = BertAnswerExtractorConfig.from_dict(options)
        started = time.perf_counter()
        artifact = compressed(dense, config) if dense else train_or_finetune(config, None)
        write_artifact(artifact, folder / "artifact")
        timing.write_text(json.dumps(time.perf_counter() - started), encoding="utf-8")
    return {"artifact": read_artifact(folder / "artifact"), "training_s": json.loads(timing.read_text())}


def compressed(dense: Artifact, config: BertAnswerExtractorConfig) -> Artifact:
    """Compresses the dense model, which is the teacher of a pruned one."""
    questions = questions_for(config)
    return compress_extractor(prepare_further(questions.learnt, config, dense), questions.held_out, config)


def measured(model: Dict[str, Any], questions: Sequence[Question]) -> Dict[str, Any]:
    """Scores on all questions, and milliseconds of a question on a passage of 150 words."""
    artifact: Artifact = model["artifact"]
    predictor = AnswerPredictor(artifact)
    passages = passages_of(questions, WORDS)
    asked = [(question.text, passages[place % len(passages)]) for place, question in enumerate(questions[:TIMED])]
    return {
        "test": ServedAnswers.of(artifact, questions).scores(predictor.decoder),
        "held_out": artifact.manifest["held_out"],
        "threshold": predictor.decoder.threshold,
        "milliseconds": quietest_median(lambda pair: predictor.read(*pair), asked, rounds=5),
        "archived_mb": artifact.archived_size / MB,
        "training_s": model["training_s"],
        "parity": artifact.manifest["parity"],
    }


def passages_of(questions: Sequence[Question], words: int) -> List[str]:
    """Passages with exactly the given number of words, cut from longer ones."""
    passages = dict.fromkeys(question.passage for question in questions)
    cut = [" ".join(passage.split()[:words]) for passage in passages if len(passage.split()) >= words]
    return cut or list(passages)


def to_markdown(title: str, content: Dict[str, Any]) -> str:
    head = ["model", "exact", "F1", "exact, answerable", "exact, unanswerable", f"ms, {WORDS} words", "MB"]
    rows = [head]
    for name, row in content["rows"].items():
        test = row["test"]
        shares = [test.get(key, 0.0) for key in ("exact", "f1", "answerable_exact", "unanswerable_exact")]
        figures = [f"{row['milliseconds']:.1f}", f"{row['archived_mb']:.1f}"]
        rows.append([LABELS[name], *map(tables.percent, shares), *figures])
    return f"""# Answers

Questions in their own passages, one thread.

{tables.markdown_table(rows)}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


if __name__ == "__main__":
    sys.exit(main())
