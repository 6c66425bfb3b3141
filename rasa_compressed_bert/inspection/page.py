"""A trained model as one HTML page, for the person who decides about it."""

from __future__ import annotations

import datetime
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rasa_compressed_bert import __version__
from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.inspection.advice import advice
from rasa_compressed_bert.inspection.evaluation import Evaluation
from rasa_compressed_bert.inspection.report import inspection_blocks
from rasa_compressed_bert.reporting.blocks import Block, Table
from rasa_compressed_bert.reporting.environment import in_words
from rasa_compressed_bert.reporting.tables import percent
from rasa_compressed_bert.training.scores import before_and_after
from rasa_compressed_bert.units import MB

_TEMPLATE = "report.html.jinja"
_LONGEST = 300  # characters of a message
_WIDTHS = {"num_attention_heads": "attention heads", "intermediate_size": "neurons"}
_KINDS = {
    "intent_classifier": "Finds the intent of a message.",
    "entity_extractor": "Finds entities in a message.",
    "joint_classifier": "Finds the intent of a message and the entities in it.",
    "featurizer": "Computes features for the components after it; it predicts nothing itself.",
    "answer_extractor": "Answers questions from documents.",
}
_RUNTIMES = {"onnxruntime": "ONNX Runtime", "tflite": "TensorFlow Lite", "tensorflow": "TensorFlow"}
_SCORES = {"macro_f1": "Macro F1", "accuracy": "Accuracy", "entity_f1": "Entity F1"}


def report_page(
    description: Mapping[str, Any],
    evaluation: Evaluation,
    *,
    nlu: str,
    out_of_scope: str,
    environment: Mapping[str, Any],
) -> str:
    """The page; it loads nothing, and every name and message in it is escaped.

    Args:
        description: as `inspect_model` returns it; components with `latency` show milliseconds before and after.
        evaluation: of the same model.
        nlu: name of the file with the test messages.
        out_of_scope: name of the file with messages out of scope; empty without one.
        environment: the machine and the versions, as `reporting.environment` returns them.
    """
    templates = Environment(
        loader=PackageLoader("rasa_compressed_bert.inspection"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(percent=percent, counted=counted, shortened=_shortened, code=_code)
    return templates.get_template(_TEMPLATE).render(
        archive=description["archive"],
        megabytes=description["archive_bytes"] / MB,
        components=[_component(name, one) for name, one in description["components"].items()],
        evaluation=evaluation,
        steps=advice(description, evaluation, tested_scope=bool(out_of_scope)),
        details=[(type(block).__name__, block) for block in inspection_blocks(description) if not _is_of_layers(block)],
        nlu=nlu,
        out_of_scope=out_of_scope,
        machine=in_words(environment),
        version=__version__,
        date=datetime.date.today().isoformat(),
    )


def _is_of_layers(block: Block) -> bool:
    """Whether a block is the table of layers, which the page shows elsewhere."""
    return isinstance(block, Table) and block.rows[0][0] == "layer"


def _component(name: str, component: Mapping[str, Any]) -> Dict[str, Any]:
    """The values of a component that the page shows."""
    shown: Dict[str, Any] = {
        "name": name,
        "summary": _summary(component),
        "scores": _scores(component.get("training_scores", {})),
        "held_out": _held_out(component.get("held_out", {})),
        "before_mb": None,
        "now_mb": None,
        "before_ms": None,
        "now_ms": None,
        "layers": [],
        "sparsity": component.get("sparsity"),
    }
    if "bytes" in component:
        shown["now_mb"] = component["bytes"]["archived"] / MB
    if "layers" in component:
        shown["before_mb"] = component["bytes"]["dense_fp32"] / MB
        shown["layers"] = [_layer(layer) for layer in component["layers"]]
    if "latency" in component:
        milliseconds = component["latency"]["p50_ms"]
        shown.update(before_ms=milliseconds["dense_fp32"], now_ms=milliseconds["now"])
    return shown


def _summary(component: Mapping[str, Any]) -> List[str]:
    """A description of a component, in sentences."""
    sentences = [_KINDS.get(component["kind"], component["kind"])]
    if "runtime" not in component:
        return [*sentences, "It is not trained: there was no training data for it."]
    learnt = {"intents": component["intents"], "types of entities": component["entities"]}
    learnt["responses"] = component["responses"]
    counts = [f"{count} {name}" for name, count in learnt.items() if count]
    if counts:
        sentences.append(f"It knows {', '.join(counts)}.")
    if "student" in component:
        sentences.append(f"A student ({component['student']['architecture']}) that learnt from a larger model.")
    elif "layers" in component:
        made = "A pretrained BERT:" if component["kind"] == "featurizer" else "A BERT fine-tuned from"
        sentences.append(f"{made} {component['model_weights'] or 'unnamed weights'}.")
        if component["sparsity"]:
            sentences.append(f"{percent(component['sparsity'])} of the weights of its encoder are pruned.")
    method = component["quantization"].get("method", "none")
    sentences.append("Its weights are not quantized." if method == "none" else f"Its weights are quantized ({method}).")
    return [*sentences, f"It runs in {_RUNTIMES.get(component['runtime'], component['runtime'])}."]


def _scores(stages: Mapping[str, Mapping[str, Any]]) -> List[Tuple[str, float, float]]:
    """Scores on the training messages: name, before compression, after it."""
    compared = before_and_after(stages)
    if compared is None:
        return []
    before, now = compared
    return [
        (name, before[key], now[key])
        for key, name in _SCORES.items()
        if before.get(key) is not None and now.get(key) is not None
    ]


def _held_out(scores: Mapping[str, Mapping[str, Any]]) -> List[Tuple[str, float]]:
    """Scores on held-out training messages, before compression."""
    found = scores.get("held out", {})
    return [(name, found[key]) for key, name in _SCORES.items() if found.get(key) is not None]


def _layer(layer: Mapping[str, Any]) -> Dict[str, Any]:
    """Widths before and after compression, and the share that is left."""
    widths: List[Sequence[Any]] = []
    for key, name in _WIDTHS.items():
        before, now = layer[key]
        widths.append((name, before, now, now / before if before else 0.0))
    return {"widths": widths, "pruned": layer["sparsity"]}


def _code(text: str) -> Markup:
    """HTML with options and commands between backticks as code; all text is escaped."""
    parts = enumerate(text.split("`"))
    return Markup("").join(Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in parts)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
