"""Every quantization method in every runtime: whole messages through Rasa, and the engines alone.

python -m benchmarks.common.runtimes RESULT.json ARCHIVE...

measures the engines of archives in its own process, on one thread each, in turns.
"""

from __future__ import annotations

import functools
import json
import logging
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from benchmarks.common.names import data_of
from benchmarks.common.plots import panel
from benchmarks.common.quantized import Dense, artifact_in
from benchmarks.common.training import digest_of, libraries, model_code
from rasa_compressed_bert.benchmark.comparison import compare_models
from rasa_compressed_bert.benchmark.latency import in_turns
from rasa_compressed_bert.benchmark.report import comparison_rows, latency_label, legend
from rasa_compressed_bert.benchmark.workers import worker_environment
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.data.example import LabelledMessage
from rasa_compressed_bert.errors import CompressedBertError, ExportError
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.trade_off import plain_ticks
from rasa_compressed_bert.runtime.engines import open_engine

logger = logging.getLogger("benchmarks")
METHODS = {
    "none": QuantizationConfig("none"),
    "dynamic_int8": QuantizationConfig("dynamic_int8"),
    "dynamic_int8 per tensor": QuantizationConfig("dynamic_int8", per_channel=False),
    "static_int8": QuantizationConfig("static_int8"),
    "static_int8 aware": QuantizationConfig("static_int8", aware_training=True),
    "kmeans 4/4": QuantizationConfig("kmeans", encoder_bits=4, embedding_bits=4),
    "kmeans 2/4 aware": QuantizationConfig("kmeans", encoder_bits=2, embedding_bits=4, aware_training=True),
}
RUNTIMES = ("onnxruntime", "tflite", "tensorflow")
WORDPIECES = 16


def measure(dense: Dense, messages: Sequence[LabelledMessage], *, folder: Path) -> Dict[str, Any]:
    """Makes the archives that this code has not made in `folder` yet, and measures all of them in one run.

    Returns:
        `results`: for each the result of `compare_models`, its method and runtime, the `parity` of its export, and
        milliseconds of the engine alone (`engine_p50_ms`); `refused`: why some were not exported.
    """
    folder = folder / digest_of([dense.digest, model_code(), libraries()])
    folder.mkdir(parents=True, exist_ok=True)
    archives, refused = _archives(dense, folder)
    engines = _engines_alone(list(archives.values()), folder / "engines.json")
    results = compare_models({_label(*key): archive for key, archive in archives.items()}, messages)
    for result, (method, runtime), archive in zip(results, archives, archives.values()):
        result.update(method=method, runtime=runtime, engine_p50_ms=engines[str(archive)])
        result["parity"] = artifact_in(archive).manifest["parity"]
    return {"tflite_interpreter": tflite_interpreter(), "results": results, "refused": refused}


def _label(method: str, runtime: str) -> str:
    return f"{method}, {runtime}"


def _archives(dense: Dense, folder: Path) -> Tuple[Dict[Tuple[str, str], Path], Dict[str, str]]:
    """Archives by method and runtime, and the reasons why some were refused."""
    archives, refused = {}, {}
    pairs = [(method, runtime) for method in METHODS for runtime in RUNTIMES]
    with tqdm(total=len(pairs), desc="runtimes", unit=" models", dynamic_ncols=True) as bar:
        for method, runtime in pairs:
            bar.set_postfix_str(_label(method, runtime))
            archive = folder / f"{method.replace(' ', '_').replace('/', '-')}_{runtime}.tar.gz"
            try:
                if not archive.is_file():
                    dense.archived(dense.quantized(METHODS[method], runtime=runtime), archive)
                archives[method, runtime] = archive
            except ExportError as error:
                refused[_label(method, runtime)] = str(error)
            bar.update()
    return archives, refused


def _engines_alone(archives: Sequence[Path], result: Path) -> Dict[str, float]:
    """p50 milliseconds by archive."""
    command = [sys.executable, "-m", "benchmarks.common.runtimes", *map(str, (result, *archives))]
    logger.info("the engines alone")
    code = subprocess.run(command, env=worker_environment(1), check=False).returncode
    if code:
        raise CompressedBertError(f"Measuring the engines alone failed (exit status {code}).")
    return json.loads(result.read_text(encoding="utf-8"))


def main() -> int:
    """Measures engines in this process, with one thread for each library."""
    result, *archives = sys.argv[1:]
    artifacts = {archive: artifact_in(Path(archive)) for archive in archives}
    vocabulary = min(artifact.manifest["encoder"]["vocab_size"] for artifact in artifacts.values())
    input_ids = np.random.default_rng(0).integers(vocabulary, size=(1, WORDPIECES))
    calls = {
        archive: functools.partial(open_engine(artifact).run, input_ids, np.ones_like(input_ids))
        for archive, artifact in artifacts.items()
    }
    Path(result).write_text(json.dumps(in_turns(calls)), encoding="utf-8")
    return 0


def tflite_interpreter() -> str:
    """The name of the interpreter that runs TFLite models here: LiteRT's, which is faster, or TensorFlow's own."""
    try:
        return f"ai-edge-litert {metadata.version('ai-edge-litert')}"
    except metadata.PackageNotFoundError:
        return "TensorFlow's own (ai-edge-litert is not installed)"


def to_markdown(title: str, content: Mapping[str, Any]) -> str:
    """A page with the table, and how its figures compare with the aims."""
    results = content["results"]
    rows = comparison_rows(results)
    rows[0].append("engine ms")
    for row, result in zip(rows[1:], results):
        row.append(f"{result['engine_p50_ms']:.2f}")
    refused = [f"- {label}: {reason}" for label, reason in content["refused"].items()]
    return f"""# {title}

One intent model (MiniLM, fine-tuned, nothing pruned) in every format, for every runtime; one thread, one message at a
time, in turns. kmeans: bits of encoder / embeddings. Aware: trained for its format. Per tensor: one scale a matrix.
TensorFlow computes in 32-bit floats, whatever the format. TFLite's interpreter: {content["tflite_interpreter"]}.
engine: milliseconds (p50) of the engine alone, a message of {WORDPIECES} wordpieces.
{legend(results)}

{tables.markdown_table(rows)}

{chr(10).join(f"- {sentence}" for sentence in sentences(results))}
{chr(10).join(["", "Refused by the check of the export:", "", *refused, ""]) if refused else ""}"""


def sentences(results: Sequence[Mapping[str, Any]]) -> List[str]:
    """Sentences that compare sizes with the aims, and engines with TensorFlow, as far as they were measured."""
    found = {(result["method"], result["runtime"]): result for result in results}
    said = []
    for method, most in (("dynamic_int8", "27 %"), ("kmeans 2/4 aware", "10 %")):
        pair = [found.get((name, "onnxruntime")) for name in (method, "none")]
        if all(pair):
            share = pair[0]["archive_mb"] / pair[1]["archive_mb"]
            said.append(f"Archive with {method}: {tables.percent(share)} of that in 32-bit floats (promised: {most}).")
    floats = found.get(("none", "tensorflow"))
    for (method, runtime), result in found.items():
        if floats and method in ("none", "dynamic_int8") and runtime != "tensorflow":
            ratio = result["engine_p50_ms"] / floats["engine_p50_ms"]
            said.append(f"Engine alone, {method}, {runtime}: {ratio:.2f} times TensorFlow's time in 32-bit floats.")
    return said


def plot(content: Mapping[str, Any], path: Path, *, title: str) -> None:
    """Writes a PNG: macro F1 over milliseconds per message, with a colour per runtime and a marker per method.

    Models that were timed after the first group are hollow.
    """
    colours, markers = dict(zip(RUNTIMES, ("C0", "C1", "C2"))), dict(zip(METHODS, "osD^vP*"))
    labels = (latency_label(content["results"]), "macro F1, %")
    with panel(
        path, title=f"{data_of(title)}: one model in every runtime and quantization", labels=labels, size=(9, 5)
    ) as axes:
        for result in content["results"]:
            colour, is_later = colours[result["runtime"]], result.get("group", 0) > 0
            style = {"edgecolors": colour, "facecolors": "none" if is_later else colour}
            place = result["latency_p50_ms"], 100 * result["macro_f1"]
            axes.scatter(*place, s=45, marker=markers[result["method"]], **style)
        for runtime, colour in colours.items():
            axes.scatter([], [], color=colour, label=runtime)
        for method, marker in markers.items():
            axes.scatter([], [], color="grey", marker=marker, label=method)
        if any(result.get("group", 0) for result in content["results"]):
            axes.scatter([], [], edgecolors="grey", facecolors="none", label="hollow: timed later")
        axes.set_xscale("log")
        plain_ticks(axes.xaxis)


if __name__ == "__main__":
    sys.exit(main())
