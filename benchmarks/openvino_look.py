"""OpenVINO compared with ONNX Runtime, one message on one thread, to decide whether to support it.

    pip install openvino==2026.4.1
    python -m benchmarks.openvino_look

OpenVINO reads our graphs, contrib operators included, once they hold their weights: it takes `DynamicQuantizeMatMul`
for a product with int8 weights and quantizes activations itself, in groups of 32 numbers by default (128 is measured
too). Its models are first saved in its own format, and nothing is padded. A *static* model is compiled
for one length: messages of other lengths need padding, or models of their own. Random weights are as fast as trained
ones. Every time is the lowest p50 of several passes, and in a pass the models take turns.
Writes `benchmarks/results/openvino_look.json` and `.md`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import logging
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import onnx

from benchmarks.common.commands import publish
from rasa_compressed_bert.artifact.artifact import GRAPH, WEIGHTS, Artifact, read_artifact, write_artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.benchmark.latency import in_turns
from rasa_compressed_bert.benchmark.measuring import resident_mb
from rasa_compressed_bert.benchmark.random_models import bert_base_shape, evenly_pruned, minilm_shape, random_artifact
from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.reporting import tables
from rasa_compressed_bert.reporting.environment import environment, in_words
from rasa_compressed_bert.runtime.onnxruntime_engine import OnnxRuntimeEngine
from rasa_compressed_bert.units import MB

logger = logging.getLogger("benchmarks")
RESULTS = Path(__file__).parent / "results"
COMMAND = "python -m benchmarks.openvino_look"
LENGTHS = (8, 16, 32, 64, 128)  # wordpieces
MIXED = "5 to 31"  # wordpieces: messages of mixed lengths, each of another length than the one before
MODELS = {
    "MiniLM's shape": minilm_shape(),
    "MiniLM's shape, pruned to 40 %": evenly_pruned(minilm_shape(), 0.6),
    "BERT-base's shape": bert_base_shape(),
}
EXACT, INT8 = "onnxruntime fp32", "onnxruntime int8"
OPTIONS: Dict[str, Dict[str, Any]] = {  # options of OpenVINO's CPU plugin
    "openvino fp32": {"INFERENCE_PRECISION_HINT": "f32"},
    "openvino bf16": {"INFERENCE_PRECISION_HINT": "bf16"},
    "openvino int8": {"INFERENCE_PRECISION_HINT": "f32"},
    "openvino int8/128": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 128},
}
STATIC = ("openvino bf16", "openvino int8/128")  # also measured as models of one length
ONE_THREAD = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1}
Run = Callable[[np.ndarray], np.ndarray]  # (1, T) to (1, C)


def main() -> int:
    """Measures, and writes openvino_look.json and .md."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if importlib.util.find_spec("openvino") is None:
        logger.error("OpenVINO is not installed: pip install openvino==2026.4.1")
        return 1
    content: Dict[str, Any] = {"command": COMMAND, "environment": environment(), "models": {}}
    content["environment"]["versions"]["openvino"] = metadata.version("openvino")
    content["installed_mb"] = {name: installed_mb(name) for name in ("onnxruntime", "openvino")}
    for name, shape in MODELS.items():
        logger.info(name)
        with tempfile.TemporaryDirectory() as folder:
            content["models"][name] = measure(shape, Path(folder))
    publish("openvino_look", content, to_markdown, folder=RESULTS)
    return 0


def measure(shape: EncoderShape, folder: Path) -> List[Dict[str, Any]]:
    """All figures of one shape, with one row per runtime and number format."""
    sizes = save_models(shape, folder)
    names = [EXACT, INT8, *OPTIONS]
    rows = {name: {"runtime": name, "size_mb": sizes[name], **in_fresh_process(folder, name)} for name in names}
    rows.update({f"{name}, static": {"runtime": f"{name}, static"} for name in STATIC})
    runs = {name: open_model(folder, name) for name in names}
    rng = np.random.default_rng(0)
    messages = [rng.integers(1000, shape.vocab_size, (1, length)) for length in rng.integers(5, 32, 40)]
    errors = {name: [relative_error(runs[name](ids), runs[EXACT](ids)) for ids in messages] for name in names}
    turns = {name: taking_turns(run, messages) for name, run in runs.items()}
    times = {MIXED: quietest(turns, shape, len(messages))}
    for length in LENGTHS:
        ids = rng.integers(1000, shape.vocab_size, (1, length))
        static = {f"{name}, static": open_model(folder, name, length) for name in STATIC}
        calls = {name: functools.partial(run, ids) for name, run in {**runs, **static}.items()}
        times[str(length)] = quietest(calls, shape)
    for name, row in rows.items():
        row["p50_ms"] = {length: values[name] for length, values in times.items() if name in values}
        row["ratio"] = {length: value / times[length][INT8] for length, value in row["p50_ms"].items()}
        row["error"] = float(np.median(errors[name])) if name in errors else None
    return list(rows.values())


def save_models(shape: EncoderShape, folder: Path) -> Dict[str, float]:
    """Writes our artifacts, and the same graphs in OpenVINO's format; returns MB of the files of each runtime."""
    import openvino

    sizes = {}
    for name in (EXACT, INT8):
        artifact, number_format = random_artifact(shape, int8=name == INT8), name.split()[1]
        write_artifact(artifact, folder / number_format)
        path = folder / number_format / "openvino.xml"
        openvino.save_model(openvino.Core().read_model(with_weights(artifact)), path, compress_to_fp16=False)
        sizes[name] = artifact.size / MB
        size = sum(file.stat().st_size for file in (path, path.with_suffix(".bin"))) / MB
        sizes.update({other: size for other in OPTIONS if weights_of(other) == number_format})
    return sizes


def with_weights(artifact: Artifact) -> bytes:
    """The artifact's graph with its weights included."""
    model, tensors = onnx.load_from_string(artifact.files[GRAPH]), tensors_from_bytes(artifact.files[WEIGHTS])
    for initializer in model.graph.initializer:
        if initializer.name in tensors:
            initializer.CopyFrom(onnx.numpy_helper.from_array(tensors[initializer.name], initializer.name))
    return model.SerializeToString()


def weights_of(name: str) -> str:
    """The folder of the weights that a runtime reads; bf16 is converted from fp32 when the model is loaded."""
    return "int8" if "int8" in name else "fp32"


def open_model(folder: Path, name: str, length: Optional[int] = None) -> Run:
    """A function that runs one message on one thread of a runtime; with `length`, OpenVINO compiles for this length."""
    path = folder / weights_of(name)
    if name not in OPTIONS:
        engine = OnnxRuntimeEngine(read_artifact(path), num_threads=1)
        return lambda ids: engine.run(ids, np.ones_like(ids))
    import openvino

    core = openvino.Core()
    model = core.read_model(path / "openvino.xml")
    if length:
        model.reshape({parameter.any_name: [1, length] for parameter in model.inputs})
    request = core.compile_model(model, "CPU", {**ONE_THREAD, **OPTIONS[name]}).create_infer_request()
    return lambda ids: request.infer({"input_ids": ids, "attention_mask": np.ones_like(ids)}, share_inputs=True)[0]


def in_fresh_process(folder: Path, name: str) -> Dict[str, float]:
    """Runs `footprint` in a new process, in which the library is not loaded yet."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(footprint, folder, name).result()


def footprint(folder: Path, name: str) -> Dict[str, float]:
    """Seconds of import and load, milliseconds of the first message of a length, and MB of resident memory added."""
    memory, start = resident_mb(), time.perf_counter()
    importlib.import_module(name.split()[0])
    imported = time.perf_counter()
    run = open_model(folder, name)
    loaded, first = time.perf_counter(), []
    for length in range(5, 32):
        for _ in range(3):
            run(np.full((1, 4), 1000))
        before = time.perf_counter()
        run(np.full((1, length), 1000))
        first.append(time.perf_counter() - before)
    return {
        "import_s": imported - start,
        "load_s": loaded - imported,
        "new_length_ms": 1000.0 * float(np.median(first)),
        "memory_mb": resident_mb() - memory,
    }


def taking_turns(run: Run, messages: List[np.ndarray]) -> Callable[[], Any]:
    """A call that takes the next message each time."""
    endless = itertools.cycle(messages)
    return lambda: run(next(endless))


def quietest(calls: Dict[str, Callable[[], Any]], shape: EncoderShape, repeats: int = 6) -> Dict[str, float]:
    """The lowest median milliseconds of several passes, which are more for small models."""
    passes = 4 if shape.hidden_size > minilm_shape().hidden_size else 16
    times = [in_turns(calls, rounds=1, repeats=repeats) for _ in range(passes)]
    return {name: min(values[name] for values in times) for name in calls}


def relative_error(logits: np.ndarray, exact: np.ndarray) -> float:
    """`|y - y'| / |y'|`"""
    return float(np.linalg.norm(logits - exact) / np.linalg.norm(exact))


def installed_mb(distribution: str) -> float:
    """MB of a distribution's files."""
    paths = (Path(file.locate()) for file in metadata.files(distribution) or ())
    return sum(path.stat().st_size for path in paths if path.is_file()) / MB


def to_markdown(_: str, content: Dict[str, Any]) -> str:
    """A page with a table per shape."""
    sizes = ", ".join(f"{name} {size:.0f} MB" for name, size in content["installed_mb"].items())
    parts = [
        "# OpenVINO beside ONNX Runtime",
        "p50 of one message, one thread, models in turns, the quietest of several passes; in brackets, times that of "
        f"{INT8}. static: compiled for this length alone. {MIXED}: mixed lengths "
        "(wordpieces), after all of them were seen. new length: the first message of its length. error: of the logits, "
        "against onnxruntime fp32. memory: what library, model and messages add to a process. int8/128: activations "
        f"scaled in groups of 128 instead of 32. Installed: {sizes}.",
    ]
    for name, rows in content["models"].items():
        parts += [f"## {name}", tables.markdown_table(_table(rows))]
    parts.append(f"Made by `{content['command']}` on {in_words(content['environment'])}.")
    return "\n\n".join(parts) + "\n"


def _table(rows: List[Dict[str, Any]]) -> List[List[str]]:
    lengths = [*map(str, LENGTHS), MIXED]
    table = [["ms at", *lengths, "new length", "error", "load s", "memory MB", "size MB"]]
    for row in rows:
        times, ratios = row["p50_ms"], row["ratio"]
        cells = [f"{times[key]:.2f} ({ratios[key]:.2f})" if key in times else "" for key in lengths]
        if "load_s" in row:
            cells += [f"{row['new_length_ms']:.2f}", tables.percent(row["error"]), f"{row['load_s']:.2f}"]
            cells += [f"{row['memory_mb']:.0f}", f"{row['size_mb']:.0f}"]
        table.append([row["runtime"], *cells, *[""] * (len(table[0]) - 1 - len(cells))])
    return table


if __name__ == "__main__":
    sys.exit(main())
