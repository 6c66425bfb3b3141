"""What compression did to a model, read from its artifact."""

from __future__ import annotations

import zlib
from itertools import zip_longest
from pathlib import Path
from typing import Any, Dict, List, Mapping

import numpy as np

from rasa_compressed_bert.artifact import archives
from rasa_compressed_bert.artifact.artifact import WEIGHTS, Artifact, read_artifact
from rasa_compressed_bert.artifact.dequantization import FORMAT
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.models.head_layer import layers_in
from rasa_compressed_bert.models.shape import EncoderShape, LayerShape, shapes_of
from rasa_compressed_bert.runtime.decoders import ANSWERS, RESPONSES
from rasa_compressed_bert.runtime.opening import as_artifact_error
from rasa_compressed_bert.runtime.passage_index import PassageIndex
from rasa_compressed_bert.training.calibration import answers_are_calibrated

_WIDTHS = ("num_attention_heads", "query_key_size", "value_size", "intermediate_size")
_NO_LAYER = LayerShape(num_attention_heads=0, query_key_size=0, value_size=0, intermediate_size=0)


def inspect_model(model: Path) -> Dict[str, Any]:
    """Describes every component of this package in an archive, a folder of archives or an artifact folder.

    Returns:
        JSON values: `archive`, `archive_bytes`, and for each of `components` what `describe` returns.

    Raises:
        CompressedBertError: if there is no model, if it has no component of this package, or if parts of a component do
            not fit each other.
    """
    if archives.is_artifact(model):
        artifact = read_artifact(model)
        size = sum(path.stat().st_size for path in model.iterdir() if path.is_file())
        return {"archive": model.name, "archive_bytes": size, "components": {model.name: describe(artifact)}}
    archive = archives.archive_path(model)
    with archives.unpacked(archive) as folder:
        found = archives.artifacts_in(folder)
    if not found:
        raise CompressedBertError(f"'{archive}' holds no component of rasa_compressed_bert.")
    components = {name: describe(artifact) for name, artifact in found.items()}
    return {"archive": archive.name, "archive_bytes": archive.stat().st_size, "components": components}


@as_artifact_error()
def describe(artifact: Artifact) -> Dict[str, Any]:
    """Sizes, widths, sparsity, bits, parity and scores of one component; sizes in bytes, sparsities as shares.

    Raises:
        ArtifactError: if its parts do not fit each other.
    """
    manifest = artifact.manifest
    report: Dict[str, Any] = {"kind": manifest["kind"]}
    if not artifact.files:
        return report
    report.update(
        intents=len(manifest.get("labels", ())),
        learnt_names=manifest.get("num_names", 0),
        entities=len({entity_type for entity_type, *_ in manifest.get("entities", {}).get("labels", ())}),
        responses=len(manifest.get(RESPONSES, {}).get("labels", ())),
        answers=_answers(artifact) if ANSWERS in manifest else None,
        max_length=manifest["max_length"],
        runtime=manifest["runtime"],
        written_by=manifest.get("written_by"),
        temperature=manifest.get("temperature") if manifest.get("labels") else None,
        teacher=manifest.get("teacher"),
        listed_values=sum(map(len, manifest.get("entities", {}).get("values", {}).values())),
        entities_calibrated=_are_entities_calibrated(manifest) if "entities" in manifest else None,
        files={name: len(data) for name, data in artifact.files.items()},
        calibrated=_is_calibrated(manifest),
        held_out=_held_out(manifest),
        weakest=(manifest.get("cross_fitted") or {}).get("weakest", []),
        confused=(manifest.get("cross_fitted") or {}).get("confused", []),
        training_scores=manifest.get("training_scores", {}),
        views=manifest.get("views"),
        out_of_scope=manifest.get("out_of_scope"),
        parity=manifest.get("parity", {}),
    )
    report.update(_compressed(artifact) if "encoder" in manifest else _student(artifact))
    return report


def _are_entities_calibrated(manifest: Mapping[str, Any]) -> bool:
    """Whether confidences of entities were calibrated; older models have a temperature instead of a slope."""
    entities = manifest["entities"]
    return "slope" in entities or ("temperature" in entities and _is_calibrated(manifest))


def _is_calibrated(manifest: Mapping[str, Any]) -> bool:
    """Whether confidences were calibrated on held-out messages; artifacts of version 2 are if they have scores.

    The scores of a student are measured on other messages than those on which its teacher was calibrated.
    """
    if ANSWERS in manifest:
        return answers_are_calibrated(manifest)
    if "calibrated" in manifest:
        return bool(manifest["calibrated"])
    if "cross_fitted" in manifest or "out_of_scope" in manifest:
        return bool(manifest.get("cross_fitted") or manifest.get("out_of_scope", {}).get("calibrated"))
    return bool(manifest.get("validation"))


def _answers(artifact: Artifact) -> Dict[str, Any]:
    """The lowest confidence of an answer, and the number of documents and passages."""
    index = PassageIndex.open(artifact)
    counts = {"documents": len(index.documents), "passages": len(index.passages)} if index else {}
    return {"threshold": artifact.manifest[ANSWERS]["threshold"], "documents": 0, "passages": 0, **counts}


def _held_out(manifest: Mapping[str, Any]) -> Dict[str, Any]:
    """Scores on messages, or questions, that a model was not trained on.

    Artifacts of version 2 have a score for each stage.
    """
    scores = {f"validation, {stage}": score for stage, score in manifest.get("validation", {}).items()}
    cross_fitted = manifest.get("cross_fitted")
    if cross_fitted:
        pooled = {"views_accuracy": cross_fitted.get("pooled_accuracy"), "models": cross_fitted["folds"]}
        scores["held out"] = {**cross_fitted["score"], **pooled, "messages": cross_fitted["messages"]}
    if manifest.get("held_out"):
        scores["held out"] = manifest["held_out"]
    return scores


def _student(artifact: Artifact) -> Dict[str, Any]:
    """Architecture and sizes of a student that is not a BERT."""
    manifest = artifact.manifest
    tensors = tensors_from_bytes(artifact.files[WEIGHTS]) if WEIGHTS in artifact.files else {}
    values = [value for name, value in tensors.items() if not name.endswith(FORMAT)]
    return {
        "student": {name: value for name, value in manifest["student"].items() if value is not None},
        "quantization": manifest.get("quantization", {}),
        "parameters": sum(value.size for value in values) or None,  # unknown for spaCy's models
        "bytes": {"stored": artifact.size, "archived": artifact.archived_size},
    }


def _compressed(artifact: Artifact) -> Dict[str, Any]:
    """Sizes, layers and bits of an encoder, before and after compression."""
    manifest = artifact.manifest
    dense, now = shapes_of(manifest)
    tensors = tensors_from_bytes(artifact.files[WEIGHTS])
    config = manifest.get("config", {})
    return {
        "model_weights": Path(config.get("model_weights", "")).name,
        "pruning": config.get("pruning", {}),
        "budget": manifest.get("budget"),
        "quantization": {**manifest["quantization"], **_bits(tensors)},
        **_sizes(dense, tensors, artifact=artifact),
        **_encoder(dense, now, tensors=tensors, by_weight=config.get("pruning", {}).get("method") == "weight"),
    }


def _sizes(dense: EncoderShape, tensors: Mapping[str, np.ndarray], *, artifact: Artifact) -> Dict[str, Any]:
    """Parameters and bytes before and after, both with the head; `archived` is the size after gzip."""
    values = {name: value for name, value in tensors.items() if not name.endswith(FORMAT)}
    before = sum(int(np.prod(shape)) for shape in dense.parameter_shapes().values())
    before += (dense.hidden_size + 1) * (dense.hidden_size if "pooler.bias" in values else 0)
    for layer in layers_in(values):  # only features of messages are pruned
        rows = len(values[layer.kernel]) if layer.per_wordpiece else dense.hidden_size
        before += (rows + 1) * values[layer.bias].size
    embeddings = [tensors[name].tobytes() for name in tensors if name.startswith("embeddings.")]
    tables = (size for name, size in dense.parameter_shapes().items() if name.startswith("embeddings."))
    dense_embeddings = sum(int(np.prod(size)) for size in tables)
    archived, archived_embeddings = artifact.archived_size, sum(map(_gzip_size, embeddings))
    return {
        "parameters": {
            "dense": before,
            "now": sum(value.size for value in values.values()),
            "non_zero": sum(int(np.count_nonzero(value)) for value in values.values()),
        },
        "bytes": {"dense_fp32": 4 * before, "stored": artifact.size, "archived": archived},
        "embeddings": {
            "dense_fp32": 4 * dense_embeddings,
            "stored": sum(map(len, embeddings)),
            "archived": archived_embeddings,
            "share_of_dense": dense_embeddings / before,
            "share_of_archived": archived_embeddings / archived,
        },
    }


def _gzip_size(data: bytes) -> int:
    return len(zlib.compress(data, 6))


def _encoder(
    dense: EncoderShape, now: EncoderShape, *, tensors: Mapping[str, np.ndarray], by_weight: bool
) -> Dict[str, Any]:
    """Widths and sparsity of each layer, and the total sparsity; layers that the student lacks come last."""
    layers: List[Dict[str, Any]] = []
    kept_weights = 0
    for index, (before, after) in enumerate(zip_longest(dense.layers, now.layers, fillvalue=_NO_LAYER)):
        size, kept = _layer_size(before, dense.hidden_size), _layer_size(after, now.hidden_size)
        if by_weight:
            kernels = (name for name in tensors if name.startswith(f"layers.{index}.") and name.endswith(".kernel"))
            kept = sum(int(np.count_nonzero(tensors[name])) for name in kernels)
        kept_weights += kept
        widths = {width: [getattr(before, width), getattr(after, width)] for width in _WIDTHS}
        layers.append({**widths, "weights": [size, kept], "sparsity": 1.0 - kept / size if size else 0.0})
    total = dense.encoder_size()
    sparsity = 1.0 - kept_weights / total if total else 0.0
    fewer = now.encoder_size() < total
    zero = "zero or removed weights" if fewer else "zero weights"
    return {"layers": layers, "sparsity": sparsity, "sparsity_is": zero if by_weight else "removed weights"}


def _layer_size(layer: LayerShape, hidden_size: int) -> int:
    return sum(rows * columns for rows, columns in layer.kernel_shapes(hidden_size).values())


def _bits(tensors: Mapping[str, np.ndarray]) -> Dict[str, Any]:
    """Bits per weight of the encoder and of the embeddings."""
    kernels = [tensor for name, tensor in tensors.items() if name.startswith("layers.") and name.endswith(".kernel")]
    return {
        "encoder_bits": max(map(_used_bits, kernels), default=None),
        "embedding_bits": _used_bits(tensors["embeddings.word"]) if "embeddings.word" in tensors else None,
    }


def _used_bits(tensor: np.ndarray) -> int:
    """Bits per value: of a float its width, of integers as many as their distinct values need."""
    if tensor.dtype.kind == "f":
        return 8 * tensor.itemsize
    distinct = np.count_nonzero(np.bincount(tensor.view(np.uint8).ravel(), minlength=1))
    return max(1, (distinct - 1).bit_length())
