"""Checks that an ONNX graph takes its weights from its own artifact and reads no other file.

ONNX Runtime reads weights from any file that the graph names ("external data"). If a singular field occurs several
times, protobuf uses the last occurrence, so that a search for bytes cannot tell which file is read. So the graph is
parsed, with only those fields of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto that our graphs use. (The
library `onnx`, which knows all fields, would cost each worker 8 MB.)
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from rasa_compressed_bert.artifact.artifact import WEIGHTS
from rasa_compressed_bert.errors import ArtifactError

_LENGTH_DELIMITED = 2  # wire type of an embedded message


class _Field(NamedTuple):
    name: str
    repeated: bool = False
    message: str = ""  # the type of an embedded message


_FIELDS: Mapping[str, Mapping[int, _Field]] = {
    "ModelProto": {
        1: _Field("ir_version"),
        2: _Field("producer_name"),
        7: _Field("graph", message="GraphProto"),
        8: _Field("opset_import", repeated=True, message="OperatorSetIdProto"),
    },
    "OperatorSetIdProto": {1: _Field("domain"), 2: _Field("version")},
    "GraphProto": {
        1: _Field("node", repeated=True, message="NodeProto"),
        2: _Field("name"),
        5: _Field("initializer", repeated=True, message="TensorProto"),
        11: _Field("input", repeated=True, message="ValueInfoProto"),
        12: _Field("output", repeated=True, message="ValueInfoProto"),
    },
    "NodeProto": {
        1: _Field("input", repeated=True),
        2: _Field("output", repeated=True),
        3: _Field("name"),
        4: _Field("op_type"),
        5: _Field("attribute", repeated=True, message="AttributeProto"),
        7: _Field("domain"),
    },
    "AttributeProto": {  # no tensors and no subgraphs, which could name files too
        1: _Field("name"),
        2: _Field("f"),
        3: _Field("i"),
        4: _Field("s"),
        7: _Field("floats", repeated=True),
        8: _Field("ints", repeated=True),
        20: _Field("type"),
    },
    "TensorProto": {
        1: _Field("dims", repeated=True),
        2: _Field("data_type"),
        4: _Field("float_data", repeated=True),
        5: _Field("int32_data", repeated=True),
        7: _Field("int64_data", repeated=True),
        8: _Field("name"),
        9: _Field("raw_data"),
        13: _Field("external_data", repeated=True, message="StringStringEntryProto"),
        14: _Field("data_location"),
    },
    "StringStringEntryProto": {1: _Field("key"), 2: _Field("value")},
    "ValueInfoProto": {1: _Field("name"), 2: _Field("type", message="TypeProto")},
    "TypeProto": {1: _Field("tensor_type", message="TypeProto.Tensor")},
    "TypeProto.Tensor": {1: _Field("elem_type"), 2: _Field("shape", message="TensorShapeProto")},
    "TensorShapeProto": {1: _Field("dim", repeated=True, message="TensorShapeProto.Dimension")},
    "TensorShapeProto.Dimension": {1: _Field("dim_value"), 2: _Field("dim_param")},
}


def require_own_weights(graph: bytes, weights: Sequence[str]) -> None:
    """Refuses a graph that could make ONNX Runtime read a file.

    Args:
        graph: a serialized `ModelProto`.
        weights: names of the tensors that the engine passes to ONNX Runtime, in the order of the graph's initializers.

    Raises:
        ArtifactError: if another weight is external, or one is in another file than the weights file; if there is a
            field that our graphs do not use, or a singular field occurs twice; and if it is not a `ModelProto`.
    """
    from google.protobuf.message import DecodeError

    try:
        model = _parsed(graph, "ModelProto")
    except DecodeError as error:
        raise ArtifactError(f"The graph of the model cannot be read: {error}. Train it again.") from error
    initializers = [tensor for inner in model.get("graph", []) for tensor in inner.get("initializer", [])]
    external = [tensor for tensor in initializers if "external_data" in tensor or "data_location" in tensor]
    names = [tensor.get("name") for tensor in external]
    own = [{"key": [b"location"], "value": [WEIGHTS.encode()]}]
    if names != [[name.encode()] for name in weights] or any(tensor.get("external_data") != own for tensor in external):
        raise ArtifactError("The graph reads weights from a file outside of the model. Train it again.")


def _parsed(data: bytes, message: str) -> Dict[str, List[Any]]:
    """Parses a serialized message to the values of each field that occurs; embedded messages are parsed too."""
    values: Dict[str, List[Any]] = {}
    for number, wire_type, value in _fields(data):
        field = _FIELDS[message].get(number)
        if field is None or (field.message and wire_type != _LENGTH_DELIMITED):
            raise ArtifactError(
                f"The graph has a field that no graph of rasa_compressed_bert has: {number} of {message}."
            )
        if field.name in values and not field.repeated:
            raise ArtifactError(f"The graph has the field '{field.name}' of {message} twice: it was altered.")
        values.setdefault(field.name, []).append(_parsed(value, field.message) if field.message else value)
    return values


def _fields(data: bytes) -> List[Tuple[int, int, Any]]:
    """The number, wire type and value of each field of a serialized message, from protobuf's own parser."""
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.unknown_fields import UnknownFieldSet

    unknown = UnknownFieldSet(Empty.FromString(data))
    return [(field.field_number, field.wire_type, field.data) for field in unknown]
