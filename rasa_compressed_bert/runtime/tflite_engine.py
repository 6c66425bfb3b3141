"""Serving with a TFLite interpreter on a CPU."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any, List, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TFLITE_MODEL, Artifact
from rasa_compressed_bert.errors import ArtifactError, RuntimeMissingError

logger = logging.getLogger(__name__)
# offsets of fields in the tables of a model's flatbuffer: first of the model itself
_OPERATORS, _BUFFERS, _OTHER_FILES = 6, 12, (20, 22)
_OUTSIDE = (6, 8)  # of a buffer: its position after the flatbuffer, for models of over 2 GB
_OLD_NUMBER, _NAME, _NUMBER = 4, 6, 10  # of an operator
_CUSTOM = 32  # number of all custom operators
_MOST_TABLES = 100_000  # a model has some hundred for each layer, but a list may repeat a table any number of times
_SHOWN, _CHARACTERS = 3, 40  # number of names in an error, and characters of each


class TfliteEngine:
    """Runs an artifact's TFLite model, one message at a time; safe to call from several threads, which take turns.

    Args:
        artifact: an artifact with a TFLite model, which contains its weights.
        num_threads: the number of threads of one call; 0 means all cores.

    Raises:
        RuntimeMissingError: if no interpreter is installed.
        ArtifactError: if the interpreter refuses the model.
    """

    def __init__(self, artifact: Artifact, *, num_threads: int = 1):
        interpreter = _interpreter()
        _require_harmless(artifact.files[TFLITE_MODEL])
        try:
            self._interpreter = interpreter(
                model_content=artifact.files[TFLITE_MODEL], num_threads=num_threads or os.cpu_count() or 1
            )
            inputs = {entry["name"]: entry["index"] for entry in self._interpreter.get_input_details()}
            self._ids, self._mask = inputs["input_ids"], inputs["attention_mask"]
            outputs = {entry["name"]: entry["index"] for entry in self._interpreter.get_output_details()}
            self._outputs = [outputs[name] for name in sorted(outputs)]
        except (ValueError, RuntimeError, KeyError) as error:
            raise ArtifactError(f"The TFLite interpreter cannot load the model: {error}") from error
        self._length = 0
        self._lock = threading.Lock()

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> List[np.ndarray]:
        """The outputs of the model for a batch; those of padding are 0.

        Args:
            input_ids: `(B, T)` int64.
            attention_mask: `(B, T)` int64, 1 for a wordpiece, 0 for padding.

        Raises:
            ArtifactError: if the model fails, for example on ids of another model's tokenizer.
        """
        ids, masks = input_ids.astype(np.int32), attention_mask.astype(np.int32)
        lengths = [int(np.flatnonzero(mask).max(initial=0)) + 1 for mask in masks]
        try:
            with self._lock:
                rows = [self._run(row[:length], mask[:length]) for row, mask, length in zip(ids, masks, lengths)]
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(f"The TFLite interpreter cannot run the model: {error}") from error
        return [_together(output, ids.shape[1]) for output in zip(*rows)]

    def _run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> List[np.ndarray]:
        if len(input_ids) != self._length:
            self._length = 0  # in case the interpreter refuses the new length
            self._interpreter.resize_tensor_input(self._ids, (1, len(input_ids)))
            self._interpreter.resize_tensor_input(self._mask, (1, len(input_ids)))
            self._interpreter.allocate_tensors()
            self._length = len(input_ids)
        self._interpreter.set_tensor(self._ids, input_ids[np.newaxis])
        self._interpreter.set_tensor(self._mask, attention_mask[np.newaxis])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output)[0] for output in self._outputs]


def _together(rows: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Stacks an output of several messages: (C,) to (B, C), and those of wordpieces (T_i, H), padded, to (B, T, H)."""
    if rows[0].ndim == 1:
        return np.stack(rows)
    padded = np.zeros((len(rows), length, rows[0].shape[1]), np.float32)
    for whole, row in zip(padded, rows):
        whole[: len(row)] = row
    return padded


def _require_harmless(model: bytes) -> None:
    """Refuses custom operators, including TensorFlow's, and weights outside of the flatbuffer (files, offsets).

    Some custom operators read and write files, others end the process; with an offset whose sum with a size overflows,
    TFLite reads arbitrary memory. A model is a flatbuffer, a table with fields that list the operators that it uses,
    its weights ("buffers"), and other files that it reads ("external buffers").

    Raises:
        ArtifactError: if there is one, or if the model cannot be parsed.
    """
    from flatbuffers import encode, table
    from flatbuffers import number_types as types

    try:
        root = table.Table(model, encode.Get(types.UOffsetTFlags.packer_type, model, 0))
        elsewhere = any(root.Offset(field) for field in _OTHER_FILES)
        operators, buffers = (_tables(root, field) for field in (_OPERATORS, _BUFFERS))
        elsewhere = elsewhere or any(own.Offset(field) for own in buffers for field in _OUTSIDE)
        named = [own for own in operators if own.Offset(_NAME)]
        names = [own.String(own.Offset(_NAME) + own.Pos)[:_CHARACTERS] for own in named[:_SHOWN]]
        numbers = [
            own.Get(kind, own.Offset(field) + own.Pos)
            for field, kind in ((_NUMBER, types.Int32Flags), (_OLD_NUMBER, types.Int8Flags))
            for own in operators
            if own.Offset(field)
        ]
    except Exception as error:  # anything may happen if it is not a flatbuffer
        raise ArtifactError(f"The TFLite model cannot be read: {type(error).__name__}: {error}") from error
    if elsewhere:
        raise ArtifactError("The TFLite model reads weights from a file outside of the model. Train it again.")
    if names or _CUSTOM in numbers:
        shown = ", ".join(name.decode("utf-8", "replace") for name in names)
        raise ArtifactError(
            f"The TFLite model has operators that no model of rasa_compressed_bert has: {shown or 'custom'}."
        )


def _tables(root: Any, field: int) -> List[Any]:
    """The tables in a list field of a model."""
    listed = root.Offset(field)
    if not listed:
        return []
    begin, count = root.Vector(listed), root.VectorLen(listed)
    if count > _MOST_TABLES:
        raise ValueError(f"it lists {count} tables")
    return [type(root)(root.Bytes, root.Indirect(place)) for place in range(begin, begin + 4 * count, 4)]


def _interpreter() -> Any:
    """The interpreter of LiteRT or, if that is not installed, of TensorFlow."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tensorflow.lite.python.interpreter import Interpreter
        except ImportError as error:
            raise RuntimeMissingError("The runtime 'tflite' is not installed: pip install ai-edge-litert") from error
        logger.warning(
            "TensorFlow's own TFLite interpreter is many times slower than LiteRT: pip install ai-edge-litert"
        )
    return Interpreter
