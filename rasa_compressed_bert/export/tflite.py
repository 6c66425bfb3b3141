"""Converts a Keras model to TFLite with TensorFlow's converter, but with our own 8-bit quantization.

The converter's own quantization has one scale for each matrix and, for full integer models, also rounds norms and
softmax: for MiniLM, features then have a cosine similarity to fp32 of 0.97 (dynamic) and 0.75 (full integer). So the
converted float model is rewritten: a product becomes `s (x Q) + b`, with a matrix `Q` of integers and a scale `s` for
each of its columns, which is multiplied afterwards. All TFLite interpreters support this, and the columns of `x Q`,
which a full integer product rounds to 8 bits, have similar sizes. The similarities are then 0.999 and 0.99. Rows of
lookup tables have a scale each.
"""

from __future__ import annotations

import copy
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from rasa_compressed_bert.compression.quantization import Quantized, quantize_uniform
from rasa_compressed_bert.errors import ExportError

_CODES, _FLOAT, _INT8 = schema.BuiltinOperator, schema.TensorType.FLOAT32, schema.TensorType.INT8
_LOWEST, _STEPS, _TINY = -128, 255, 1e-8  # of 8-bit activations


class _Format(NamedTuple):
    """An 8-bit format, `real = step (integer - zero_point)`."""

    step: float
    zero_point: int


_PLAIN = _Format(1.0, 0)
_Formats = Dict[int, Tuple[_Format, _Format]]  # of the input and the output of a product, by the index of its result


class _Product(NamedTuple):
    """A product with a constant matrix."""

    entering: int  # index of the input tensor (..., rows)
    matrix: Quantized  # (columns, rows), with a scale for each column


def to_tflite(
    model: Callable[[tf.Tensor, tf.Tensor], List[tf.Tensor]], *, quantization: str, calibration: Sequence[np.ndarray]
) -> bytes:
    """A TFLite model with builtin operators, for one message of any length.

    Args:
        model: the forward pass, from ids and mask (B, T) int32 to the outputs.
        quantization: `none`; `dynamic_int8`, which scales the inputs of products for each wordpiece; or `static_int8`,
            with fixed ranges of the inputs and outputs of products, measured on `calibration`.
        calibration: wordpiece ids of messages, `n` arrays of `(T_i,)`; used for `static_int8` only.

    Raises:
        ExportError: if there is nothing to calibrate on.
    """
    if quantization == "static_int8" and not len(calibration):
        raise ExportError("A full integer TFLite model needs messages to calibrate on, and there are none.")
    floats = _convert(model)
    if quantization == "none":
        return floats
    rewriter = _Rewriter(floats)
    formats = _calibrate(floats, rewriter.products, calibration) if quantization == "static_int8" else {}
    return rewriter.rewritten(formats)


def _convert(model: Callable[[tf.Tensor, tf.Tensor], List[tf.Tensor]]) -> bytes:
    signature = [tf.TensorSpec([1, None], tf.int32, name=name) for name in ("input_ids", "attention_mask")]
    converter = tf.lite.TFLiteConverter(
        [tf.function(model, input_signature=signature, autograph=False).get_concrete_function()]
    )
    converter._experimental_disable_batchmatmul_unfold = True  # otherwise there is one product for each head
    return converter.convert()


def _calibrate(floats: bytes, products: Dict[int, _Product], calibration: Sequence[np.ndarray]) -> _Formats:
    interpreter = tf.lite.Interpreter(model_content=floats, experimental_preserve_all_tensors=True)
    ids, mask = (entry["index"] for entry in interpreter.get_input_details())
    matrices = {result: product.matrix.values.T.astype(np.float32) for result, product in products.items()}
    extremes = {result: np.zeros((2, 2)) for result in products}  # of inputs and of outputs: smallest, largest
    for message in calibration:
        values = np.asarray(message, np.int32)[np.newaxis]  # (1, T)
        interpreter.resize_tensor_input(ids, values.shape)
        interpreter.resize_tensor_input(mask, values.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(ids, values)
        interpreter.set_tensor(mask, np.ones_like(values))
        interpreter.invoke()
        for result, product in products.items():
            entering = interpreter.get_tensor(product.entering)
            for seen, x in zip(extremes[result], (entering, entering @ matrices[result])):
                seen[:] = min(seen[0], x.min()), max(seen[1], x.max())
    formats = {}
    for result, (entering, leaving) in extremes.items():
        finest = _format(*entering, finest=_TINY)
        formats[result] = finest, _format(*leaving, finest=finest.step)  # outputs are multiples of this step
    return formats


def _format(low: float, high: float, *, finest: float) -> _Format:
    step = max((high - low) / _STEPS, finest)
    return _Format(step, int(np.clip(np.rint(_LOWEST - low / step), _LOWEST, _LOWEST + _STEPS)))


class _Rewriter:
    """Rewrites the operators of a float TFLite model; tensors are identified by their indices.

    Attributes:
        products: products with a constant matrix, by the index of the result.
    """

    def __init__(self, floats: bytes):
        self._model = flatbuffer_utils.convert_bytearray_to_object(bytearray(floats))
        self._graph = self._model.subgraphs[0]
        self._operators: List[schema.OperatorT] = []
        self._rounded: Dict[int, int] = {}  # the input of several products is quantized once
        self._look_ups: Dict[int, Quantized] = {}
        self.products: Dict[int, _Product] = {}
        for operator in self._graph.operators:
            code = self._model.operatorCodes[operator.opcodeIndex].builtinCode
            if code == _CODES.FULLY_CONNECTED:
                matrix = self._constant(operator.inputs[1])
                if matrix is not None:
                    quantized = quantize_uniform(matrix, axis=1)
                    self.products[operator.outputs[0]] = _Product(operator.inputs[0], quantized)
            elif code == _CODES.GATHER:
                table = self._constant(operator.inputs[0])
                if table is not None and operator.builtinOptions.axis == 0:  # biases for positions stay in floats
                    self._look_ups[operator.outputs[0]] = quantize_uniform(table, axis=1)

    def rewritten(self, formats: _Formats) -> bytes:
        """The model with 8-bit matrices and tables, and with 8-bit activations where there are formats for them."""
        for operator in self._graph.operators:
            result = operator.outputs[0]
            if result in self.products:
                self._multiply(operator, self.products[result].matrix, formats.get(result))
            elif result in self._look_ups:
                self._look_up(operator, self._look_ups[result])
            else:
                self._operators.append(operator)
        self._graph.operators = self._operators
        self._forget_unused()
        return flatbuffer_utils.convert_object_to_bytearray(self._model)

    def _multiply(
        self, operator: schema.OperatorT, matrix: Quantized, formats: Optional[Tuple[_Format, _Format]]
    ) -> None:
        (x, table, bias), result, options = operator.inputs, operator.outputs[0], operator.builtinOptions
        offset = self._constant(bias) if bias >= 0 else np.zeros(len(matrix.values), np.float32)
        integers = self._tensor(table, values=matrix.values, form=_PLAIN)
        scale = self._tensor(table, values=matrix.scale[:, 0])
        product = self._tensor(result)
        if formats is None:
            options.asymmetricQuantizeInputs = True
            shifted = self._tensor(table, values=offset / matrix.scale[:, 0])  # s (x Q + b / s) saves an operator
            self._add(_CODES.FULLY_CONNECTED, [x, integers, shifted], product, options=options, version=9)
            self._add(_CODES.MUL, [product, scale], result, options=schema.MulOptionsT())
            return
        if x not in self._rounded:
            self._rounded[x] = self._tensor(x, form=formats[0])
            self._add(_CODES.QUANTIZE, [x], self._rounded[x])
        adding = schema.AddOptionsT()  # added after the product, whose 8-bit range should not have to include b / s
        adding.fusedActivationFunction, options.fusedActivationFunction = options.fusedActivationFunction, 0
        leaving, scaled = self._tensor(result, form=formats[1]), self._tensor(result)
        self._add(_CODES.FULLY_CONNECTED, [self._rounded[x], integers], leaving, options=options, version=4)
        self._add(_CODES.DEQUANTIZE, [leaving], product, version=2)
        self._add(_CODES.MUL, [product, scale], scaled, options=schema.MulOptionsT())
        self._add(_CODES.ADD, [scaled, self._tensor(table, values=offset)], result, options=adding)

    def _look_up(self, operator: schema.OperatorT, table: Quantized) -> None:
        (floats, numbers), result, options = operator.inputs, operator.outputs[0], operator.builtinOptions
        integers = self._tensor(floats, values=table.values, form=_PLAIN)
        scales = self._tensor(floats, values=table.scale)
        rounded, scale, product = self._tensor(result, form=_PLAIN), self._tensor(result, width=1), self._tensor(result)
        self._add(_CODES.GATHER, [integers, numbers], rounded, options=options, version=2)
        self._add(_CODES.GATHER, [scales, numbers], scale, options=options)
        self._add(_CODES.DEQUANTIZE, [rounded], product, version=2)
        self._add(_CODES.MUL, [product, scale], result, options=schema.MulOptionsT())

    def _constant(self, number: int) -> Optional[np.ndarray]:
        """The values of a constant float tensor; None for any other tensor."""
        tensor = self._graph.tensors[number]
        data = self._model.buffers[tensor.buffer].data
        if data is None or tensor.type != _FLOAT:
            return None
        return np.frombuffer(data, np.float32).reshape(tensor.shape)

    def _tensor(
        self,
        like: int,
        *,
        values: Optional[np.ndarray] = None,
        form: Optional[_Format] = None,
        width: Optional[int] = None,
    ) -> int:
        """Adds a tensor with the shape of another one, of `values` or with a last axis `width`; 8-bit with a format."""
        tensor = copy.copy(self._graph.tensors[like])
        tensor.type, tensor.quantization = _FLOAT, None
        if form is not None:
            tensor.type, tensor.quantization = _INT8, schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [form.step], [form.zero_point]
        if values is not None:
            tensor.shape, tensor.buffer = list(values.shape), len(self._model.buffers)
            self._model.buffers.append(schema.BufferT())
            self._model.buffers[-1].data = np.frombuffer(values.tobytes(), np.uint8)
        if width is not None:
            tensor.shape, tensor.shapeSignature = [*tensor.shape[:-1], width], [*tensor.shapeSignature[:-1], width]
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _add(self, code: int, inputs: List[int], output: int, *, options: Any = None, version: int = 1) -> None:
        """Appends an operator with one result."""
        operator = schema.OperatorT()
        operator.inputs, operator.outputs = inputs, [output]
        operator.opcodeIndex = self._code_index(code, version)
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        self._operators.append(operator)

    def _code_index(self, code: int, version: int) -> int:
        for index, known in enumerate(self._model.operatorCodes):
            if (known.builtinCode, known.version) == (code, version):
                return index
        added = schema.OperatorCodeT()
        added.builtinCode = added.deprecatedBuiltinCode = code
        added.version = version
        self._model.operatorCodes.append(added)
        return len(self._model.operatorCodes) - 1

    def _forget_unused(self) -> None:
        """Removes float constants that no operator uses any more."""
        used = {number for operator in self._operators for number in operator.inputs}
        kept = {self._graph.tensors[number].buffer for number in used}
        kept.update(entry.buffer for entry in self._model.metadata)
        for number, tensor in enumerate(self._graph.tensors):
            tensor.buffer = tensor.buffer if number in used else 0
        for number, buffer in enumerate(self._model.buffers):
            buffer.data = buffer.data if number in kept else None
