"""Tables and plot of `real_bots`: measured models, and the figures that the authors of HINT3 published."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence

import numpy as np

from benchmarks.common.hint3 import PLATFORMS
from benchmarks.common.names import PUBLISHED, colour_of, data_of, name_of
from benchmarks.common.plots import panel
from benchmarks.common.rows import DEFAULT
from benchmarks.common.scores import deviation, mean_and_deviation, seeds_in_words
from rasa_compressed_bert.metrics.confidences import FALLBACK_THRESHOLD
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import in_words

FIGURES = {"mcc": "MCC", "inscope_accuracy": "in-scope accuracy", "oos_recall": "out-of-scope recall"}
TRUST = {
    "out_of_scope_auroc": "AUROC",
    "calibration_error": "ECE",
    "below_threshold": f"in scope below {FALLBACK_THRESHOLD}",
}
COSTS = {"latency_p50_ms": ("p50 ms", 2), "archive_mb": ("archive MB", 1), "training_s": ("training s", 0)}


class Series(NamedTuple):
    """Figures of a model at several thresholds, for each seed; published figures of platforms have a single run."""

    name: str
    is_published: bool
    runs: Sequence[Sequence[Mapping[str, float]]]

    @property
    def thresholds(self) -> List[float]:
        """The measured thresholds in ascending order."""
        return [entry["threshold"] for entry in self.runs[0]]

    def values(self, figure: str, threshold: float) -> List[float]:
        """A figure at a threshold, for each seed; empty if it was not measured there."""
        return [entry[figure] for run in self.runs for entry in run if entry["threshold"] == threshold]

    @property
    def best_threshold(self) -> float:
        """The threshold with the highest mean MCC."""
        return max(self.thresholds, key=lambda threshold: float(np.mean(self.values("mcc", threshold))))


def all_series(content: Mapping[str, Any]) -> List[Series]:
    """The series of models in the order of the results, then of published platforms."""
    measured = [
        Series(name_of(name), False, [cell["thresholds"] for cell in cells])
        for name, cells in _by_model(content).items()
    ]
    return measured + [
        Series(f"{PLATFORMS.get(item['platform'], item['platform'])}, published", True, [item["thresholds"]])
        for item in content["published"]
    ]


def to_markdown(title: str, content: Mapping[str, Any]) -> str:
    """A page with all tables, and how the figures were measured."""
    series = all_series(content)
    by_threshold = "\n\n".join(_by_threshold(series, figure) for figure in FIGURES)
    published = """
Rows with "published" are the figures of Arora et al. (2020, arXiv 2009.13833; github.com/hellohaptik/HINT3, full
training sets): measured by them, once, on the same messages.
"""
    return f"""# {title}

{content["training_messages"]} training messages; {content["in_scope_messages"]} test messages in scope and
{content["out_of_scope_messages"]} out of scope. {seeds_in_words(content["seeds"])} A model's answers are those of
Rasa's `Agent.parse_message`. Rasa's FallbackClassifier, with its default `ambiguity_threshold`, then decides which
messages are out of scope.
{published if content["published"] else ""}
- MCC: Matthews correlation coefficient over all test messages; out of scope is one class.
- In-scope accuracy: share of the messages in scope that get the right intent and no fallback.
- Out-of-scope recall: share of the messages out of scope that get a fallback.
- {FALLBACK_THRESHOLD} is Rasa's default threshold. The best threshold is that with the highest mean MCC on these test
  messages, so it is chosen with hindsight.

{_summary(series)}

Without a fallback: AUROC of the best intent's confidence for telling messages in scope from messages out of scope;
expected calibration error (ECE) of the messages in scope; share of these whose confidence is below
{FALLBACK_THRESHOLD}; p50 milliseconds of a whole message in Rasa, one at a time on one thread; seconds of
`rasa train nlu` on all cores.

{_trust_and_costs(content)}

At each threshold:

{by_threshold}

Made by `{content["command"]}` on {in_words(content["environment"])}.
"""


def _summary(series: Sequence[Series]) -> str:
    heading = [f"{name} at {FALLBACK_THRESHOLD}" for name in FIGURES.values()]
    table = [["model", *heading, "best threshold", *(f"{name} there" for name in FIGURES.values())]]
    for item in series:
        default, best = (
            [_written(figure, item.values(figure, threshold)) for figure in FIGURES]
            for threshold in (FALLBACK_THRESHOLD, item.best_threshold)
        )
        table.append([item.name, *default, f"{item.best_threshold:.1f}", *best])
    return tables.markdown_table(table)


def _trust_and_costs(content: Mapping[str, Any]) -> str:
    table = [["measured here", *TRUST.values(), *(name for name, _ in COSTS.values())]]
    for name, cells in _by_model(content).items():
        row = [name_of(name)]
        row += [mean_and_deviation([cell[key] for cell in cells], unit=" %") for key in TRUST]
        row += [
            mean_and_deviation([cell[key] for cell in cells], digits=digits, scale=1.0)
            for key, (_, digits) in COSTS.items()
        ]
        table.append(row)
    return tables.markdown_table(table)


def _by_threshold(series: Sequence[Series], figure: str) -> str:
    """A table of one figure, whose name is the header of the first column, by which pages find the table."""
    thresholds = sorted({threshold for item in series for threshold in item.thresholds})
    table = [[FIGURES[figure], *(f"{threshold:.1f}" for threshold in thresholds)]]
    table += [
        [item.name, *(_written(figure, item.values(figure, threshold)) for threshold in thresholds)] for item in series
    ]
    return tables.markdown_table(table)


def _written(figure: str, values: Sequence[float]) -> str:
    if not values:
        return ""
    return mean_and_deviation(values, digits=3, scale=1.0) if figure == "mcc" else mean_and_deviation(values, unit=" %")


def _by_model(content: Mapping[str, Any]) -> Dict[str, List[Mapping[str, Any]]]:
    names = dict.fromkeys(cell["model"] for cell in content["results"])
    return {name: [cell for cell in content["results"] if cell["model"] == name] for name in names}


def plot(content: Mapping[str, Any], path: Path, *, title: str) -> None:
    """Writes a PNG: MCC against the threshold; published platforms are dashed, bands are standard deviations."""
    labels = ("threshold of the fallback", "MCC over all test messages")
    series = all_series(content)
    with panel(path, title=_headline(title, series), labels=labels, size=(11, 5)) as axes:
        for index, item in enumerate(series):
            published = index - sum(not other.is_published for other in series)
            colour = PUBLISHED[published % len(PUBLISHED)] if item.is_published else colour_of(item.name, index)
            values = [item.values("mcc", threshold) for threshold in item.thresholds]
            means = np.array([np.mean(runs) for runs in values])
            style = "--" if item.is_published else "-"
            axes.plot(item.thresholds, means, style, color=colour, marker="o", markersize=4, label=item.name)
            if len(item.runs) > 1:
                deviations = np.array([deviation(runs) for runs in values])
                axes.fill_between(item.thresholds, means - deviations, means + deviations, color=colour, alpha=0.2)
        axes.axvline(FALLBACK_THRESHOLD, color="grey", linewidth=0.8, linestyle=":", label="Rasa's default threshold")


def _headline(title: str, series: Sequence[Series]) -> str:
    """The title of the plot: MCC of our default and of Rasa's at Rasa's default threshold, if both were measured."""
    scores = [
        f"{item.name} {np.mean(item.values('mcc', FALLBACK_THRESHOLD)):.2f}"
        for item in series
        if item.name in (name_of(DEFAULT), name_of("diet"))
    ]
    at_default = [f"at Rasa's default threshold: {', '.join(scores)}"] if scores else []
    return "\n".join([f"{data_of(title)}: MCC at each threshold of the fallback", *at_default])
