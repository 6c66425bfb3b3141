"""Tables and plot of `languages`: for a data set in one language, or for models tested on other languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from benchmarks.common.names import colour_of, name_of
from benchmarks.common.plots import panel
from benchmarks.common.rasa_tokenizers import JIEBA, WHITESPACE
from benchmarks.common.rows import BOTH, LMF, MULTILINGUAL_WEIGHTS, model_name
from benchmarks.common.scores import mean_and_deviation, reused_in_words, seeds_in_words
from rasa_compressed_bert.benchmark.report import groups_in_words
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import in_words

SCORES = {"accuracy": "intent accuracy", "entity_f1": "entity F1"}
COSTS = {
    "latency_p50_ms": ("p50 ms", 2),
    "archive_mb": ("archive MB", 1),
    "memory_mb": ("memory MB", 0),
    "load_s": ("load s", 2),
    "training_s": ("training s", 0),
}
Cells = Sequence[Mapping[str, Any]]


def to_markdown(title: str, content: Mapping[str, Any]) -> str:
    """A page with the tables of a data set, and how the figures were measured."""
    cells = _cells(content)
    older = reused_in_words(cells, [name_of(cell["model"]) for cell in cells])
    parts = [f"# {title}", _introduction(content), older, groups_in_words(cells)]
    if "data" in content:
        parts += [_messages(content["data"]), tables.markdown_table(_models(content["data"]["results"]))]
    else:
        parts += [_languages_in_words(content["cross_lingual"]), _languages(content["cross_lingual"])]
    parts.append(f"Made by `{content['command']}` on {in_words(content['environment'])}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _introduction(content: Mapping[str, Any]) -> str:
    lines = f"""Multilingual models have the weights `{MULTILINGUAL_WEIGHTS}`, our other models the English default
weights. {seeds_in_words(content["seeds"])}
All models are measured in one run, one message at a time, one thread. p50: milliseconds of a whole
message through Rasa's Agent.parse_message; memory: what the model adds to a worker's resident memory after all
messages, on top of Rasa's own modules; load: on top of Rasa's own imports; training: the whole `rasa train nlu`, on all
cores."""
    if not any(LMF in name_of(cell["model"]) for cell in _cells(content)):
        return lines
    lines += f" The archive of {LMF} + DIET is without the BERT weights, which must be installed beside it."
    if not content["lmf_error"]:
        return lines
    return f"""{lines}

{LMF} cannot load `{MULTILINGUAL_WEIGHTS}`, whose tokenizer is not a WordPiece one:
`{content["lmf_error"]}`. So it has the English default weights."""


def _cells(content: Mapping[str, Any]) -> Cells:
    """The results of all models, in all languages."""
    if "data" in content:
        return list(content["data"]["results"])
    return [cell for found in content["cross_lingual"]["results"].values() for cell in found]


def summary(data_sets: Sequence[Mapping[str, Any]]) -> List[List[str]]:
    """Intent accuracy and entity F1 of each model on several data sets.

    Args:
        data_sets: the entries `data` of the results.
    """
    series = list(dict.fromkeys(series_of(cell) for data in data_sets for cell in data["results"]))
    rows = [["data", "training messages", *map(name_of, series)]]
    for data in data_sets:
        by_series = {series_of(cells[0]): cells for cells in _by_row(data["results"])}
        rows.append(
            [data["name"], str(data["training_messages"]), *(_scores(by_series.get(name, ())) for name in series)]
        )
    return rows


def _scores(cells: Cells) -> str:
    figures = [[cell.get(key) for cell in cells] for key in SCORES]
    return " / ".join(mean_and_deviation(values) for values in figures if values and None not in values)


def series_of(cell: Mapping[str, Any]) -> str:
    """The model's name, which is the same on data with entities and without."""
    return model_name(str(cell["row"]).replace(BOTH, ""))


def _messages(data: Mapping[str, Any]) -> str:
    sentence = f"{data['training_messages']} training messages, {data['test_messages']} test messages."
    if data["tokenizer"] == JIEBA:
        return f"{sentence} Rasa's own rows have {JIEBA} instead of {WHITESPACE}."
    if data["is_chinese"]:
        return f"{sentence} Rasa's own rows have {WHITESPACE}, which does not segment Chinese: jieba was not installed."
    return sentence


def _models(results: Cells) -> List[List[str]]:
    scores = {key: name for key, name in SCORES.items() if any(cell.get(key) is not None for cell in results)}
    rows = [["model", *scores.values(), *(name for name, _ in COSTS.values())]]
    for cells in _by_row(results):
        row = [name_of(cells[0]["model"])]
        for key in scores:
            values = [cell.get(key) for cell in cells]
            row.append("" if None in values else mean_and_deviation(values, unit=" %"))
        for key, (_, digits) in COSTS.items():
            row.append(mean_and_deviation([cell[key] for cell in cells], digits=digits, scale=1.0))
        rows.append(row)
    return rows


def _languages_in_words(data: Mapping[str, Any]) -> str:
    own = f"`{data['trained_language']}`"
    return f"""Trained on {data["training_messages"]} messages in {own}, intents alone, and asked in each language.
Full-vocabulary models have `vocabulary: full`. Intent accuracy; the mean is over the languages other than {own}."""


def _languages(data: Mapping[str, Any]) -> str:
    by_language = {language: _by_row(results) for language, results in data["results"].items()}
    others = [language for language in by_language if language != data["trained_language"]]
    models = next(iter(by_language.values()))
    rows = [["asked in", "test messages", *(name_of(cells[0]["model"]) for cells in models)]]
    for language, found in by_language.items():
        scores = [mean_and_deviation([cell["accuracy"] for cell in cells], unit=" %") for cells in found]
        rows.append([language, str(data["test_messages"][language]), *scores])
    mean = [f"mean of {len(others)}", ""]
    for index in range(len(models)):
        by_seed = zip(*([cell["accuracy"] for cell in by_language[language][index]] for language in others))
        mean.append(mean_and_deviation([float(np.mean(values)) for values in by_seed], unit=" %"))
    costs = _models(data["results"][others[0]])
    heading = [costs[0][0], *costs[0][2:]]
    table = [heading, *([row[0], *row[2:]] for row in costs[1:])]
    return f"{tables.markdown_table([*rows, mean])}\n\nMeasured on `{others[0]}`:\n\n{tables.markdown_table(table)}"


def _by_row(results: Cells) -> List[Cells]:
    rows = dict.fromkeys(cell["row"] for cell in results)
    return [[cell for cell in results if cell["row"] == row] for row in rows]


def results_in(folder: Path, title: str) -> List[Dict[str, Any]]:
    """The results of all data sets in a folder, by name.

    Args:
        folder: the folder of results.
        title: the beginning of their file names.
    """
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{title}_*.json"))]


def plot_all(folder: Path, *, title: str) -> None:
    """Writes `<title>.png`: intent accuracy of each model, for each data set and each language asked in another one."""
    groups: Dict[str, Dict[str, float]] = {}
    for content in results_in(folder, title):
        if "data" in content:
            groups[content["data"]["name"]] = _accuracies(content["data"]["results"])
        else:
            for language, found in content["cross_lingual"]["results"].items():
                groups[f"{content['cross_lingual']['name']} {language}"] = _accuracies(found)
    series = list(dict.fromkeys(name for accuracies in groups.values() for name in accuracies))
    width = 0.8 / len(series)
    size = (max(8.0, 4 + 0.7 * len(groups)), 5.0)
    labels = ("data", "intent accuracy, %")
    with panel(
        folder / f"{title}.png", title="Intent accuracy, data in several languages", labels=labels, size=size
    ) as axes:
        for index, name in enumerate(series):
            places = [place for place, accuracies in enumerate(groups.values()) if name in accuracies]
            heights = [accuracies[name] for accuracies in groups.values() if name in accuracies]
            offset = (index - (len(series) - 1) / 2) * width
            shown = name_of(name)
            axes.bar(np.array(places) + offset, heights, width, label=shown, color=colour_of(shown, index))
        axes.set_xticks(range(len(groups)), list(groups), rotation=30, ha="right")
        axes.set_axisbelow(True)


def _accuracies(results: Cells) -> Dict[str, float]:
    return {
        series_of(cells[0]): 100.0 * float(np.mean([cell["accuracy"] for cell in cells])) for cells in _by_row(results)
    }
