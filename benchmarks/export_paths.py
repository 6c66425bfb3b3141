"""tf2onnx and ONNX Runtime's optimizer compared with our own graph, which this measurement was the reason to choose.

    pip install tf2onnx==1.17.0
    python -m benchmarks.export_paths

Exports the same fine-tunable MiniLM (dense, and with uneven widths as after pruning) both ways, to fp32 and to
dynamic int8, and times one message of 16 wordpieces on one thread. tf2onnx gets a fixed length: with dynamic lengths
it makes a graph that ONNX Runtime refuses (a Reshape to the wrong rank). Writes `benchmarks/results/export_paths.json`.
"""

from __future__ import annotations

import functools
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import onnxruntime
import tensorflow as tf

from rasa_compressed_bert.compression.shrinking import shrink
from rasa_compressed_bert.config import QuantizationConfig
from rasa_compressed_bert.export.serving import Format, serving_artifact
from rasa_compressed_bert.models.gates import open_gates
from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.models.task_model import TaskModel
from rasa_compressed_bert.runtime.onnxruntime_engine import OnnxRuntimeEngine

RESULT = Path(__file__).parent / "results" / "export_paths.json"
CLASSES, WORDPIECES, ROUNDS = 150, 16, 500


def main() -> None:
    """Measures and writes the table."""
    checkpoint = load_pretrained("all-MiniLM-L6-v2")
    rng = np.random.default_rng(0)
    head = {
        "classifier.kernel": rng.normal(0, 0.02, (checkpoint.shape.hidden_size, CLASSES)).astype(np.float32),
        "classifier.bias": np.zeros(CLASSES, np.float32),
    }
    shape = replace(checkpoint.shape, max_position_embeddings=128)
    parameters = {**checkpoint.parameters, **head}
    parameters["embeddings.position"] = parameters["embeddings.position"][:128]
    gates = open_gates(shape)
    for index, layer in enumerate(gates):
        layer["value"][3 + index :] = 0.0
        layer["query_key"][3 + index :] = 0.0
        layer["intermediate"][400 + 64 * index :] = 0.0
    models = {"dense": (shape, parameters), "pruned unevenly": shrink(shape, parameters, gates)}
    rows = [_row(name, path, seconds) for name, model in models.items() for path, seconds in _measure(*model).items()]
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"command": "python -m benchmarks.export_paths", "rows": rows}, indent=1) + "\n")


def _row(model: str, path: str, seconds: float) -> Dict[str, Any]:
    print(f"{model:16} {path:24} {seconds * 1000:.3f} ms")
    return {"model": model, "path": path, "p50_ms": round(seconds * 1000, 3)}


def _measure(shape: Any, parameters: Any) -> Dict[str, float]:
    batch = np.random.default_rng(1).integers(1000, 2000, (1, WORDPIECES))
    times = {}
    for method in ("none", "dynamic_int8"):
        form = Format(QuantizationConfig(method=method))
        engine = OnnxRuntimeEngine(serving_artifact(ModelState(shape, parameters, ""), form, kind="test", manifest={}))
        times[f"own graph, {method}"] = _median(functools.partial(engine.run, batch, np.ones_like(batch)))
    times.update(_tf2onnx(TaskModel(shape, parameters), batch.astype(np.int32)))
    return times


def _tf2onnx(model: TaskModel, batch: np.ndarray) -> Dict[str, float]:
    import tf2onnx
    from onnxruntime.quantization import quantize_dynamic

    signature = [tf.TensorSpec(batch.shape, tf.int32, name=name) for name in ("input_ids", "attention_mask")]
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        exact, int8 = str(Path(folder) / "fp32.onnx"), str(Path(folder) / "int8.onnx")
        function = tf.function(
            lambda input_ids, attention_mask: model(input_ids, attention_mask).heads["logits"], signature
        )
        tf2onnx.convert.from_function(function, signature, opset=17, output_path=exact)
        quantize_dynamic(exact, int8, per_channel=True)
        for method, path in (("none", exact), ("dynamic_int8", int8)):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            feed = {"input_ids": batch, "attention_mask": np.ones_like(batch)}
            times[f"tf2onnx, {method}"] = _median(lambda session=session, feed=feed: session.run(None, feed))
    return times


def _median(call: Callable[[], Any]) -> float:
    for _ in range(50):
        call()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


if __name__ == "__main__":
    main()
