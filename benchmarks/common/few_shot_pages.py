"""Table and plot of `few_shot`: measured models and published accuracies."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping, Sequence

import numpy as np

from benchmarks.common.frozen import C
from benchmarks.common.names import PUBLISHED, colour_of, data_of, name_of
from benchmarks.common.plots import panel
from benchmarks.common.scores import deviation, mean_and_deviation, seeds_in_words
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import in_words

FROZEN = "frozen"
SCORES = {"accuracy": "accuracy", "macro_f1": "macro F1"}


def to_markdown(title: str, content: Mapping[str, Any]) -> str:
    """A page with the table, and how the figures were measured."""
    shots = sorted({cell["shots"] for cell in content["results"]})
    table = [["model", *(f"{count}-shot {name}" for count in shots for name in SCORES.values())]]
    for name in dict.fromkeys(cell["model"] for cell in content["results"]):
        own = [_of(content["results"], name, count) for count in shots]
        cells = [
            mean_and_deviation([cell[key] for cell in cs], unit=" %") if cs else "" for cs in own for key in SCORES
        ]
        table.append([name_of(name), *cells])
    for name in dict.fromkeys(item["model"] for item in content["published"]):
        own = [_of(content["published"], name, count) for count in shots]
        table.append([_published(name), *(text for cs in own for text in (_percent(cs), ""))])
    messages = ", ".join(f"{_messages(content, count)} with {count} shots" for count in shots)
    drawn_shots = " and ".join(map(str, content["drawn"]))
    chosen = f" With {drawn_shots} shots, each seed draws its own training messages." if drawn_shots else ""
    published = """
Rows with "published" are accuracies that papers report (github.com/jianguoz/Few-Shot-Intent-Detection; on RoBERTa-base,
lower-cased text, the whole test set). ICDA trains on more messages, which a large language model wrote.
"""
    return f"""# {title}

k-shot: k training messages of each intent. Training messages: {messages}; {content["test_messages"]} test messages.
{seeds_in_words(content["seeds"])} Logistic regression (C = {C:g}) is on L2-normalised mean-pooled features
of all-MiniLM-L6-v2 and has no random seed. All other models are scored as they are served.{chosen}
{published if content["published"] else ""}
{tables.markdown_table(table)}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


def plot(content: Mapping[str, Any], path: Path, *, title: str) -> None:
    """Writes a PNG: accuracy over the number of shots; published figures are dashed, bars are standard deviations."""
    shots = sorted({cell["shots"] for cell in content["results"]})
    names = dict.fromkeys((key, cell["model"]) for key in ("results", "published") for cell in content[key])
    labels = ("training messages of each intent", "accuracy, %")
    heading = f"{data_of(title)}: accuracy with few messages of each intent"
    measured = sum(key == "results" for key, _ in names)
    with panel(path, title=heading, labels=labels, size=(9, 4.5)) as axes:
        for index, (key, name) in enumerate(names):
            published = PUBLISHED[(index - measured) % len(PUBLISHED)]
            points = {count: [100.0 * cell["accuracy"] for cell in _of(content[key], name, count)] for count in shots}
            points = {count: values for count, values in points.items() if values}
            axes.errorbar(
                [shots.index(count) for count in points],
                [np.mean(values) for values in points.values()],
                yerr=[deviation(values) for values in points.values()],
                fmt="x--" if key == "published" else "o-",
                color=published if key == "published" else colour_of(name_of(name), index),
                capsize=3,
                label=_published(name) if key == "published" else name_of(name),
            )
        axes.set_xticks(range(len(shots)))
        axes.set_xticklabels([str(count) for count in shots])


def _of(cells: Sequence[Mapping[str, Any]], model: str, shots: int) -> List[Mapping[str, Any]]:
    return [cell for cell in cells if (cell["model"], cell["shots"]) == (model, shots)]


def _messages(content: Mapping[str, Any], shots: int) -> int:
    return next(cell["training_messages"] for cell in content["results"] if cell["shots"] == shots)


def _percent(cells: Sequence[Mapping[str, Any]]) -> str:
    return tables.percent(cells[0]["accuracy"]) if cells else ""


def _published(model: str) -> str:
    return f"{model}, published"
