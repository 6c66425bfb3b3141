"""k-means of 8 to 1 bits on a trained intent model: of all weights, of the encoder, or of the embeddings.

Rasa's post of 2019 did the same with a small classifier (blog.rasa.com/compressing-bert-for-faster-prediction-2/).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from tqdm import tqdm

from benchmarks.common.names import data_of
from benchmarks.common.quantized import Dense
from benchmarks.common.scores import scores_of
from benchmarks.common.training import model_code
from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.inspection.description import describe
from rasa_compressed_bert.inspection.sensitivity_report import setting_name
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.plots import drawn
from rasa_compressed_bert.reporting.resumable import Results


class Setting(NamedTuple):
    """How a model is quantized; the names are those of the options."""

    encoder_bits: int
    embedding_bits: int
    per_channel: bool = True
    aware_training: bool = False


BITS = (8, 4, 3, 2, 1)
WHERE = {
    "all": {bits: (bits, bits) for bits in BITS},
    "encoder only": {bits: (bits, 8) for bits in BITS},
    "embeddings only": {bits: (8, bits) for bits in BITS},
}
SMALL = (2, 4)  # bits of encoder and embeddings, for which the aim is a tenth of the size
_PAIRS = [*(pair for pairs in WHERE.values() for pair in pairs.values()), SMALL]
_AWARE = [(4, 4), (3, 3), (2, 2), (1, 1), (1, 8), SMALL]
SETTINGS = tuple(  # at 8 bits all of `WHERE` is the same
    dict.fromkeys(
        [
            *(Setting(*pair, per_channel=per_channel) for per_channel in (True, False) for pair in _PAIRS),
            *(Setting(*pair, aware_training=True) for pair in _AWARE),
        ]
    )
)
_SCALES = {True: "a channel", False: "a matrix"}
_WAYS = {
    "one scale a matrix, as in the post": {"per_channel": False},
    "one scale a channel": {},
    "trained for it": {"aware_training": True},
}
_POST_LOSS = 0.016  # relative loss of the post with 2 bits
_NOTHING = 0.005  # largest difference that "the same F1" may hide, rounded to two digits
Cells = Mapping[Setting, Mapping[str, Any]]


def measure(dense: Dense, messages: Sequence[LabelledMessage], *, path: Path) -> Dict[str, Any]:
    """Scores and sizes of `dense`, and of each of `SETTINGS` in `cells`; those in `path` are not measured again."""
    words = hashlib.sha256(json.dumps(messages).encode("ascii")).hexdigest()
    results = Results(path, {}, identity={"model": dense.digest, "test messages": words, "code": model_code()})
    if "dense" not in results.content:
        results.update(dense=_measured(dense.artifact, messages))
    with tqdm(total=len(SETTINGS), initial=len(results), desc="bits", unit=" models", dynamic_ncols=True) as bar:
        for setting in SETTINGS:
            if setting._asdict() not in results:
                bar.set_postfix_str(", ".join(f"{name} {value}" for name, value in setting._asdict().items()))
                results.add({**setting._asdict(), **_outcome(dense, setting, messages)})
                bar.update()
    return results.content


def _outcome(dense: Dense, setting: Setting, messages: Sequence[LabelledMessage]) -> Dict[str, Any]:
    try:
        artifact = dense.quantized(QuantizationConfig("kmeans", **setting._asdict()))
    except ExportError as error:
        return {"refused": str(error)}
    return _measured(artifact, messages)


def _measured(artifact: Artifact, messages: Sequence[LabelledMessage]) -> Dict[str, Any]:
    """Scores of the engine, and bytes of the files: stored, and after gzip."""
    size = describe(artifact)["bytes"]
    return {**scores_of(artifact, messages), "stored": size["stored"], "archived": size["archived"]}


def to_markdown(title: str, content: Mapping[str, Any]) -> str:
    """A page with macro F1 over bits, the post's claims, and all figures of each model."""
    cells = cells_of(content)
    return f"""# {title}

k-means quantization of one trained intent model (MiniLM, fine-tuned, nothing pruned), served in 8 bits by ONNX Runtime.
"Only" leaves the other part in 8 bits. Scales: of the encoder's matrices. Trained for it: `aware_training`. Refused: by
the check of the export. Macro F1 in 32-bit floats: {tables.percent(content["dense"]["macro_f1"])}.

{tables.markdown_table(score_rows(cells))}

The claims of Rasa's post of 2019 (blog.rasa.com/compressing-bert-for-faster-prediction-2/), about a small classifier:

{chr(10).join(f"- {claim}" for claim in claims(cells, content["dense"]))}

Sizes are shares of the 32-bit model's files: as they are, and as the archive's gzip leaves them.

{tables.markdown_table(model_rows(cells, content["dense"]))}
"""


def cells_of(content: Mapping[str, Any]) -> Cells:
    """The measured cells, by setting."""
    return {Setting(*(cell[name] for name in Setting._fields)): cell for cell in content["cells"]}


def score_rows(cells: Cells) -> List[List[str]]:
    """A header, and a row for each line of the plot: macro F1 at each number of bits."""
    rows = [["quantized", "scales", "trained for it", *(setting_name("bits", bits) for bits in BITS)]]
    for options in ({}, {"per_channel": False}, {"aware_training": True}):
        for where, pairs in WHERE.items():
            settings = [Setting(*pairs[bits], **options) for bits in BITS]
            if any(setting in cells for setting in settings):
                values = [_score(cells[setting]) if setting in cells else "" for setting in settings]
                rows.append([where, _SCALES[settings[0].per_channel], _yes(settings[0].aware_training), *values])
    return rows


def model_rows(cells: Cells, dense: Mapping[str, Any]) -> List[List[str]]:
    """A header, and a row per model."""
    heading = ["encoder bits", "embedding bits", "scales", "trained for it", "macro F1", "points", "accuracy"]
    rows = [[*heading, "stored", "archived"]]
    rows.append(["32", "32", "", "", _score(dense), "", tables.percent(dense["accuracy"]), "100 %", "100 %"])
    for setting, cell in cells.items():
        row = [str(setting.encoder_bits), str(setting.embedding_bits), _SCALES[setting.per_channel]]
        row += [_yes(setting.aware_training), _score(cell)]
        if "refused" in cell:
            rows.append([*row, "", "", "", ""])
            continue
        row += [tables.points(100 * (cell["macro_f1"] - dense["macro_f1"])), tables.percent(cell["accuracy"])]
        rows.append([*row, *(tables.percent(cell[size] / dense[size]) for size in ("stored", "archived"))])
    return rows


def claims(cells: Cells, dense: Mapping[str, Any]) -> List[str]:
    """A sentence for each of the post's claims, with the measured figures."""
    before = dense["macro_f1"]
    found = {pair: [(way, _f1(cells[Setting(*pair, **o)])) for way, o in _WAYS.items()] for pair in ((2, 2), (1, 8))}
    two = [f"{way}: {_change(f1, before)}, {_verdict(f1, before * (1 - _POST_LOSS))}" for way, f1 in found[2, 2]]
    one = [f"{way}: {_change(f1, before)}, {_verdict(f1, before - _NOTHING)}" for way, f1 in found[1, 8]]
    return [
        f"2 bits cost little (0.80 -> 0.79, {tables.percent(_POST_LOSS)} less). Here, {'; '.join(two)}.",
        f"A binary encoder with 8-bit embeddings costs nothing (less than 0.5 points). Here, {'; '.join(one)}.",
        f"Embeddings are more sensitive than the encoder. Here, {'; '.join(_more_sensitive(cells))}.",
    ]


def _more_sensitive(cells: Cells) -> List[str]:
    """Sentences that compare encoder and embeddings, each in 1 bit with the other part in 8 bits."""
    sentences = []
    for way, options in _WAYS.items():
        pair = [cells.get(Setting(*bits, **options)) for bits in ((8, 1), (1, 8))]
        if all(pair):
            embeddings, encoder = map(_f1, pair)
            words = f"{way}: 1-bit embeddings {_shown(embeddings)}, 1-bit encoder {_shown(encoder)}"
            sentences.append(f"{words}, {_verdict(encoder, embeddings)}")
    return sentences


def _f1(cell: Mapping[str, Any]) -> Optional[float]:
    return cell.get("macro_f1")


def _change(f1: Optional[float], before: float) -> str:
    """A change of F1, such as `0.940 -> 0.930 (1.1 % less)`."""
    if f1 is None:
        return f"{before:.3f} -> {_shown(f1)}"
    return f"{before:.3f} -> {f1:.3f} ({tables.percent(abs(1 - f1 / before))} {'less' if f1 <= before else 'more'})"


def _verdict(f1: Optional[float], least: Optional[float]) -> str:
    if f1 is None or least is None:
        return "unknown"
    return "holds" if f1 >= least else "does not hold"


def _shown(f1: Optional[float]) -> str:
    return "refused" if f1 is None else f"{f1:.3f}"


def _score(cell: Mapping[str, Any]) -> str:
    return "refused" if "refused" in cell else tables.percent(cell["macro_f1"])


def _yes(value: bool) -> str:
    return "yes" if value else ""


def plot(content: Mapping[str, Any], path: Path, *, title: str) -> None:
    """Writes a PNG: macro F1 over bits."""

    cells = cells_of(content)
    lines = {where: {bits: Setting(*pairs[bits]) for bits in BITS} for where, pairs in WHERE.items()}
    lines["all, trained for it"] = {bits: Setting(bits, bits, aware_training=True) for bits in BITS}
    with drawn(path, figsize=(8, 5)) as (figure, axes):
        for label, settings in lines.items():
            scores_of = {bits: _f1(cells.get(setting, {})) for bits, setting in settings.items()}
            shown = {bits: 100 * f1 for bits, f1 in scores_of.items() if f1 is not None}
            axes.plot(list(shown), list(shown.values()), marker="o", label=label)
        axes.axhline(100 * content["dense"]["macro_f1"], color="black", linestyle=":", label="32-bit floats")
        axes.set_xscale("log", base=2)
        axes.set_xticks(BITS)
        axes.set_xticklabels(BITS)
        axes.minorticks_off()
        axes.set_xlabel("bits of a weight (k-means, one scale a channel)")
        axes.set_ylabel("macro F1, %")
        axes.set_title(f"{data_of(title)}: macro F1 of a fine-tuned BERT with few bits a weight")
        axes.grid(True, alpha=0.3)
        axes.legend()
        figure.tight_layout()
