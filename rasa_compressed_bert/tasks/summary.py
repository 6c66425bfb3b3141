"""The summary at the end of a training, in lines of at most 80 columns for terminals and logs."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from typing import Any, Dict, List, Mapping, Sequence, Set

import numpy as np

from rasa_compressed_bert.artifact.artifact import WEIGHTS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.data.example import Example, evenly_spaced, normal_form
from rasa_compressed_bert.data.warnings import quoted
from rasa_compressed_bert.models.shape import shapes_of
from rasa_compressed_bert.runtime.predictors import open_predictor
from rasa_compressed_bert.runtime.timing import quietest_median
from rasa_compressed_bert.training.scores import FINETUNED, before_and_after
from rasa_compressed_bert.units import MB

_WIDTH, _NAMES = 80, 18
_TIMED, _ROUNDS = 30, 5
_SHOWN = 3
_SCORES = {
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    "entity_f1": "entity F1",
    "responses_accuracy": "accuracy of responses",
}


def summary(artifact: Artifact, examples: Sequence[Example], *, component: str, num_threads: int) -> str:
    """Describes a trained artifact in lines of at most 80 columns; all but the first are indented.

    Args:
        artifact: the artifact, as it is saved.
        examples: the training messages, in the order of training.
        component: the name of the component.
        num_threads: the number of threads with which the latency is measured; 0 for all cores.
    """
    manifest = artifact.manifest
    facts: Dict[str, List[str]] = {
        "score": [_held_out(manifest)],
        "compression": _before_and_after(manifest),
        "size": [_size(artifact)],
        "speed": [_speed(artifact, examples, num_threads)],
        "pruned": _pruned(artifact),
        "format": _format(manifest),
        "out of scope": _out_of_scope(manifest),
        "weakest intents": _weakest(manifest),
        "most confused": _confused(manifest, examples),
        "training data": _data(examples),
        "next": [
            "rasa-compressed-bert inspect models",
            "rasa test nlu --nlu TEST.yml",
        ],
    }
    lines = [f"{component} is trained."]
    for name, texts in facts.items():
        for number, text in enumerate(texts):
            lines += _wrapped("" if number else name, text)
    return "\n".join(lines)


def _wrapped(name: str, text: str) -> List[str]:
    start = f"  {name}".ljust(_NAMES)
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * _NAMES, break_on_hyphens=False)


def _percent(score: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {100 * score[key]:.1f} %" for key, name in _SCORES.items() if score.get(key) is not None)


def _held_out(manifest: Mapping[str, Any]) -> str:
    """The score on held-out messages, and how it was estimated."""
    found, student = manifest.get("cross_fitted"), manifest.get("validation", {}).get("student")
    kind = "synthetic or unlabelled messages" if "student" in manifest else "messages"
    if student:
        return f"{_percent(student)} against the teacher's intents, on held-out {kind}"
    if not found:
        return f"not estimated: no {kind} were held out"
    models = counted(found["folds"], "model", "models")
    messages = counted(found["messages"], "message", "messages")
    first = " in the first training" if _is_trained_further(manifest) else ""
    return (
        f"{_percent(found['score'])}, before compression; cross-fitted{first}: {models} tested on {messages} that "
        "they were not trained on"
    )


def _is_trained_further(manifest: Mapping[str, Any]) -> bool:
    """Whether messages were held out in an earlier training, whose data or their order may be different."""
    return FINETUNED in manifest.get("training_scores", {})


def _before_and_after(manifest: Mapping[str, Any]) -> List[str]:
    """Scores on the training messages before and after compression; they measure only what compression changed.

    A model that is trained further is compressed already; what that training changed may be lost when it is rounded.
    """
    scores = manifest.get("training_scores", {})
    further = (scores[FINETUNED], scores["final"]) if {FINETUNED, "final"} <= set(scores) else None
    stages = further or before_and_after(scores)
    if stages is None:
        return []
    before, after = stages
    changes = [
        f"{name} {100 * before[key]:.1f} -> {100 * after[key]:.1f} %"
        for key, name in _SCORES.items()
        if before.get(key) is not None and after.get(key) is not None
    ]
    return [f"{', '.join(changes)}, on the training messages"] if changes else []


def _size(artifact: Artifact) -> str:
    size = f"{artifact.size / MB:.1f} MB"
    if "dense_encoder" not in artifact.manifest:
        return size
    dense, _ = shapes_of(artifact.manifest)
    before = 4 * sum(int(np.prod(shape)) for shape in dense.parameter_shapes().values())
    return f"{size}; the encoder before compression: {before / MB:.1f} MB"


def _speed(artifact: Artifact, examples: Sequence[Example], num_threads: int) -> str:
    predict = open_predictor(artifact, num_threads=num_threads).predict
    texts = [examples[place].text for place in evenly_spaced(len(examples), _TIMED)]
    milliseconds = quietest_median(predict, texts, rounds=_ROUNDS)
    messages = counted(len(texts), "training message", "training messages")
    return f"{milliseconds:.2f} ms per message, without Rasa (median of {messages}, {_threads(num_threads)})"


def _threads(count: int) -> str:
    return counted(count, "thread", "threads") if count else "all cores"


def _pruned(artifact: Artifact) -> List[str]:
    manifest = artifact.manifest
    pruning = manifest.get("config", {}).get("pruning", {})
    if pruning.get("method", "none") == "none" or "encoder" not in manifest:
        return []
    dense, now = (shape.encoder_size() for shape in shapes_of(manifest))
    what = "of the encoder's weights are removed"
    if pruning["method"] == "weight":
        tensors = tensors_from_bytes(artifact.files[WEIGHTS])
        kernels = (name for name in tensors if name.startswith("layers.") and name.endswith(".kernel"))
        what = "of the encoder's weights are zero" + (" or removed" if now < dense else "")
        now = sum(int(np.count_nonzero(tensors[name])) for name in kernels)
    share = 1.0 - now / dense
    budget = manifest.get("budget")
    chosen = f", chosen for the budget: {budget['why']}" if budget else ""
    return [f"{100 * share:.0f} % {what} ({pruning['method']} pruning{chosen})"]


def _format(manifest: Mapping[str, Any]) -> List[str]:
    method = manifest.get("quantization", {}).get("method")
    return [f"{method}, {manifest['runtime']}"] if method else []


def _out_of_scope(manifest: Mapping[str, Any]) -> List[str]:
    found, views = manifest.get("out_of_scope"), manifest.get("views")
    if not found or not views:
        return []
    calibrated = "" if found["calibrated"] else "; not calibrated, as no training messages were held out"
    stored = counted(found["stored_messages"], "training message is", "training messages are")
    return [
        f"confidence below {views['confidence']['threshold']:g}; {100 * found['in_scope_recall']:.0f} % of the "
        f"training messages reach it{calibrated}; {stored} stored to compare with"
    ]


def _weakest(manifest: Mapping[str, Any]) -> List[str]:
    found = (manifest.get("cross_fitted") or {}).get("weakest", ())
    return [
        f"{one['intent']}: F1 {100 * one['f1']:.0f} % on {counted(one['messages'], 'message', 'messages')}"
        for one in found[:_SHOWN]
    ]


def _confused(manifest: Mapping[str, Any], examples: Sequence[Example]) -> List[str]:
    found = (manifest.get("cross_fitted") or {}).get("confused", ())
    return [
        f"{one['intent']} taken for {one['predicted']} {counted(one['messages'], 'time', 'times')}"
        + ("" if _is_trained_further(manifest) else f", as {quoted(examples[one['example']].text)}")
        for one in found[:_SHOWN]
    ]


def _data(examples: Sequence[Example]) -> List[str]:
    """The number of messages, and of those that contradict or repeat others."""
    intents: Dict[str, List[str]] = defaultdict(list)
    for example in examples:
        if example.full_intent is not None:
            intents[normal_form(example.text)].append(example.full_intent)
    several: List[Set[str]] = [set(own) for own in intents.values()]
    contradictory = sum(len(own) > 1 for own in several)
    repeated = sum(len(own) - len(set(own)) for own in intents.values())
    parts = [counted(len(examples), "message", "messages")]
    if contradictory:
        parts.append(f"{contradictory} with several intents")
    if repeated:
        parts.append(f"{repeated} more than once")
    return [", ".join(parts)]
