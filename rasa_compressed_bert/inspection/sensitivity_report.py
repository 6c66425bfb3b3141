"""Sensitivities as tables and heat maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from rasa_compressed_bert.config import PruningConfig, QuantizationConfig
from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.reporting.blocks import Block, Prose, Table
from rasa_compressed_bert.reporting.environment import in_words
from rasa_compressed_bert.reporting.plots import as_written, drawn
from rasa_compressed_bert.reporting.tables import markdown_table, percent, points
from rasa_compressed_bert.units import MB

SETTINGS = ("bits", "sparsity")
_TITLES = {"bits": "k-means", "sparsity": "magnitude pruning, weights set to zero"}
_SCORES = {"macro_f1": "macro F1", "accuracy": "accuracy", "f1": "F1", "exact": "exact match"}
_TICKS = (-100, -30, -10, -3, -1, 0, 1, 3)
_LEAST_PARTS, _MOST_PARTS = 5, 15  # rows of the table on a terminal
_DARK = 9.0  # points; larger changes have dark colours, which need white letters


def sensitivity_blocks(content: Mapping[str, Any], *, all_parts: Path) -> List[Block]:
    """The parts of a model that lose most by compression, the worst first, and an explanation of the figures.

    Args:
        content: see `measure_sensitivity`.
        all_parts: the file that lists all parts.
    """
    heading, *rows = sensitivity_rows(content)
    changes = np.array([[float(cell) for cell in row[2:]] for row in rows])  # rounded as shown
    worst = changes.min(axis=1)
    order = np.argsort(worst, kind="stable")
    count = min(max(int((worst < 0).sum()), _LEAST_PARTS), _MOST_PARTS)
    shown, others = order[:count], order[count:]
    table = [[*heading[:2], *_default_marked(content, heading[2:])], *(rows[place] for place in shown)]
    blocks: List[Block] = [*map(Prose, _sensitivity_legend(content)), Table(table)]
    if len(others):
        lost = -worst[others].min()
        parts = counted(len(others), "part loses", "parts lose")
        what = f"at most {lost:.1f} points" if lost > 0 else "nothing"
        blocks.append(Prose(f"{parts} {what} in any of these settings; '{all_parts}' lists all parts."))
    return blocks


def _default_marked(content: Mapping[str, Any], names: Sequence[str]) -> List[str]:
    """Headings of the columns; the default options are marked."""
    default = {"bits": QuantizationConfig().encoder_bits, "sparsity": PruningConfig().final_sparsity}
    settings = [(kind, value) for kind in SETTINGS for value in content["made_from"]["settings"][kind]]
    return [f"{name} (default)" if default[kind] == value else name for name, (kind, value) in zip(names, settings)]


def sensitivity_markdown(content: Mapping[str, Any]) -> str:
    """The same as a Markdown document, with the command, the machine and the plot `results.png`."""
    settings = content["made_from"]["settings"]
    options = [f"--{kind} {','.join(map(str, settings[kind]))}" for kind in SETTINGS]
    options += [] if settings["per_channel"] else ["--per-tensor"]
    options += [f"--max-messages {content['max_messages']}"] if content["max_messages"] else []
    given = f"--{_option(content)} {content[_option(content)]}"
    legend = "\n".join(_sensitivity_legend(content))
    return (
        f"# Sensitivity of {content['model']}\n\n{legend}\n\n"
        f"{markdown_table(sensitivity_rows(content))}\n\n![change of {_main_score(content)}](results.png)\n\n"
        f"`rasa-compressed-bert sensitivity {content['model']} {given} {' '.join(options)}`\n\n"
        f"{in_words(content)}\n"
    )


def _sensitivity_legend(content: Mapping[str, Any]) -> List[str]:
    before, unknown = content["uncompressed"], content["unknown_messages"]
    name, (first, second) = _main_score(content), sorted(before, key=lambda score: score != content["main_score"])
    scale = "each output channel" if content["made_from"]["settings"]["per_channel"] else "each matrix"
    lines = [
        f"Uncompressed: {name} {percent(before[first])}, {_SCORES[second]} {percent(before[second])} on "
        f"{_asked(content)}; each of them is {100 / content['messages']:.2g} points of {_SCORES[second]}.",
        f"Columns show the change of {name}, in percentage points, if only that part is compressed, without "
        "further training: by k-means to that many bits (a code book for each matrix, a scale for "
        f"{scale}), or by setting that share of the weights of each matrix to zero, the smallest first.",
    ]
    if _option(content) == "nlu":
        lines.append(
            "Only the network is scored: a model that also compares messages with stored ones has other scores in "
            "`benchmark` and `report`."
        )
    if unknown:
        lines.append(f"{counted(unknown, 'message has', 'messages have')} intents that the model does not know.")
    return lines


def sensitivity_rows(content: Mapping[str, Any]) -> List[List[str]]:
    """A heading, and one row per part: its weights, and the change of score in points with each setting."""
    rows = [[target["name"], f"{target['weights'] / MB:.2f}"] for target in content["targets"]]
    heading = ["part", "million weights"]
    for kind in SETTINGS:
        for value, changes in score_changes(content, kind).items():
            heading.append(setting_name(kind, value))
            for row, change in zip(rows, changes):
                row.append(points(change))
    return [heading, *rows]


def _option(content: Mapping[str, Any]) -> str:
    """The option of the command that named the test data."""
    return "questions" if "questions" in content else "nlu"


def _asked(content: Mapping[str, Any]) -> str:
    """For example `200 messages of test.yml`; with questions, `200 questions of test.json`."""
    option = _option(content)
    noun = ("question", "questions") if option == "questions" else ("message", "messages")
    return f"{counted(content['messages'], *noun)} of {content[option]}"


def _main_score(content: Mapping[str, Any]) -> str:
    return _SCORES[content["main_score"]]


def score_changes(content: Mapping[str, Any], kind: str) -> Dict[float, List[float]]:
    """For each value of bits or sparsity, the change of score of each part, in points, from the uncompressed model."""
    name = content["main_score"]
    scores = {(cell["target"], cell["value"]): cell[name] for cell in content["cells"] if cell["kind"] == kind}
    before = content["uncompressed"][name]
    return {
        value: [100 * (scores[target["name"], value] - before) for target in content["targets"]]
        for value in content["made_from"]["settings"][kind]
    }


def setting_name(kind: str, value: float) -> str:
    """`4 bits`, or `80 %` for a sparsity."""
    return f"{100 * value:g} %" if kind == "sparsity" else f"{value} bit" + "s" * (value != 1)


def plot_sensitivity(content: Mapping[str, Any], path: Path) -> None:
    """Writes a PNG: two heat maps, the parts of a model over bits and over sparsity; the colour is the change of score.

    Colours are linear up to one point and logarithmic beyond, so that small and large changes can both be seen.
    """
    from matplotlib import colors

    norm = colors.SymLogNorm(linthresh=1.0, linscale=0.3, vmin=-100.0, vmax=100.0)
    height = 2.2 + 0.2 * len(content["targets"])
    with drawn(path, nrows=1, ncols=2, sharey=True, figsize=(10, height), constrained_layout=True) as (figure, panels):
        for axes, kind in zip(panels, SETTINGS):
            image = _heat_map(axes, score_changes(content, kind), kind=kind, norm=norm)
        _name_parts(panels, content["targets"])
        bar = figure.colorbar(image, ax=panels, location="bottom", aspect=60, pad=0.01, ticks=_TICKS)
        bar.ax.set_xticklabels([f"{tick:+d}" if tick else "0" for tick in _TICKS])
        bar.ax.set_xlim(_TICKS[0], _TICKS[-1])
        bar.set_label(f"change of {_main_score(content)}, percentage points")
        before = 100 * content["uncompressed"][content["main_score"]]
        figure.suptitle(
            as_written(
                f"{content['model']}: one part compressed at a time\n"
                f"{_main_score(content)} uncompressed: {before:.1f} %, {_asked(content)}"
            )
        )


def _heat_map(axes: Any, changes: Dict[float, List[float]], *, kind: str, norm: Any) -> Any:
    values = np.array(list(changes.values())).T  # (parts, settings)
    image = axes.imshow(values, aspect="auto", cmap="RdBu", norm=norm)
    axes.set_title(_TITLES[kind], fontsize=10)
    axes.set_xticks(range(len(changes)))
    axes.set_xticklabels([setting_name(kind, value) for value in changes])
    axes.tick_params(top=True, labeltop=True, length=0, labelsize=8)
    for (row, column), change in np.ndenumerate(values):
        color = "white" if abs(change) > _DARK else "black"
        axes.text(column, row, points(change), ha="center", va="center", fontsize=7, color=color)
    return image


def _name_parts(panels: Sequence[Any], targets: Sequence[Mapping[str, Any]]) -> None:
    """Draws labels, and lines between groups of parts; in the last group, lines between layers."""
    panels[0].set_yticks(range(len(targets)))
    panels[0].set_yticklabels([target["name"] for target in targets])
    kinds = [target["group"] if target["group"] != "part" else target["name"].split(",")[0] for target in targets]
    for row in range(1, len(targets)):
        if kinds[row] != kinds[row - 1]:
            for axes in panels:
                axes.axhline(row - 0.5, color="black", linewidth=0.8)
