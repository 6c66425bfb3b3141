"""Retrieval of the passage with the answer, for questions of SQuAD 2.0 in their documents.

python -m benchmarks.passages --questions DATA/squad2/dev.json

The documents are cut into passages as those of a bot are. A passage is right if it contains a whole annotated answer.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from benchmarks.common.commands import command_line, exit_status, publish
from rasa_compressed_bert.data.documents import Document
from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.data.squad import read_questions
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.runtime.passage_index import PassageIndex

HERE = Path(__file__).parent
RANKS = (1, 3, 5)


def main() -> int:
    """Measures, and writes `results/passages.json` and `.md`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=Path, required=True, help="a file in the format of SQuAD 2.0")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    return exit_status(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """Measures the shares of questions whose passage is among the first ones, and milliseconds per question."""
    questions = read_questions([str(arguments.questions)], option="--questions")
    documents, places = documents_of(questions)
    started = time.perf_counter()
    index = PassageIndex.of(documents)
    indexing = time.perf_counter() - started
    ranks, seconds = [], []
    for question in questions:
        started = time.perf_counter()
        found = index.find(question.text, max(RANKS))
        seconds.append(time.perf_counter() - started)
        if question.answers:
            number, offset = places[question.document, question.passage]
            spans = [(offset + start, offset + end) for start, end in question.answers]
            right = [_has(index, passage.number, number, spans) for passage in found]
            ranks.append(right.index(True) + 1 if True in right else np.inf)
    content = {
        "command": command_line("benchmarks.passages"),
        "environment": environment(),
        "documents": len(documents),
        "passages": len(index.passages),
        "questions": len(ranks),
        "found": {str(rank): float(np.mean(np.array(ranks) <= rank)) for rank in RANKS},
        "indexing_s": indexing,
        "milliseconds": 1000 * float(np.median(seconds)),
    }
    publish("passages", content, to_markdown, folder=arguments.results)


def documents_of(questions: Sequence[Question]) -> Tuple[List[Document], Dict[Tuple[str, str], Tuple[int, int]]]:
    """The documents of questions, and the position of each passage: number of the document, and offset in its text."""
    passages: Dict[str, Dict[str, None]] = {}
    for question in questions:
        passages.setdefault(question.document, {})[question.passage] = None
    documents, places = [], {}
    for number, (name, own) in enumerate(passages.items()):
        text = ""
        for passage in own:
            places[name, passage] = (number, len(text))
            text += f"{passage}\n\n"
        documents.append(Document(name, text))
    return documents, places


def _has(index: PassageIndex, passage: int, document: int, spans: Sequence[Tuple[int, int]]) -> bool:
    own = index.passages[passage]
    return own.document == document and any(own.start <= start and end <= own.end for start, end in spans)


def to_markdown(title: str, content: Dict[str, Any]) -> str:
    rows = [["the right passage is", "questions"]]
    for rank, share in content["found"].items():
        rows.append([f"among the first {rank}" if rank != "1" else "the first one", tables.percent(share)])
    return f"""# Passages of answers

{content["questions"]} answerable questions over {content["documents"]} documents in {content["passages"]} passages;
{content["milliseconds"]:.1f} ms a question, {content["indexing_s"]:.2f} s for the index.

{tables.markdown_table(rows)}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


if __name__ == "__main__":
    sys.exit(main())
