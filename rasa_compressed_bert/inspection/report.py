"""The description of a model as text and tables."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.reporting.blocks import Block, Facts, Heading, Prose, Table
from rasa_compressed_bert.reporting.tables import percent
from rasa_compressed_bert.training.calibration import MIN_EXAMPLES
from rasa_compressed_bert.training.scores import before_and_after
from rasa_compressed_bert.units import MB

_SCORES = {
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    "entity_f1": "entity F1",
    "responses_macro_f1": "macro F1 of responses",
    "responses_accuracy": "accuracy of responses",
    "views_accuracy": "accuracy of all views",
    "answer_exact": "exact match",
    "answer_f1": "F1 of answers",
    "exact": "exact match",
    "f1": "F1",
    "answerable_exact": "exact match of answerable questions",
    "answerable_f1": "F1 of answerable questions",
    "unanswerable_exact": "unanswerable questions without an answer",
}
_ALSO_SHOWN = {"unanswerable_f1"}  # equals `unanswerable_exact`, which is shown


def inspection_blocks(report: Mapping[str, Any]) -> List[Block]:
    """All components of a model, with a heading."""
    blocks: List[Block] = [Heading(f"{report['archive']}: {report['archive_bytes'] / MB:.1f} MB")]
    for name, component in report["components"].items():
        blocks.append(Heading(f"{name} ({component['kind']})"))
        if "layers" in component:
            blocks += [*_before_and_after(component), _layers(component), Facts(_details(component))]
        elif "student" in component:
            blocks.append(Facts(_student(component)))
        else:
            blocks.append(Prose("Untrained: there was no training data for it."))
    return blocks


def _before_and_after(component: Mapping[str, Any]) -> List[Block]:
    """Sizes and scores before and after compression."""
    size, parameters = component["bytes"], component["parameters"]
    weights = [sum(layer["weights"][side] for layer in component["layers"]) for side in (0, 1)]
    rows = [
        ["", "before", "now", "change"],
        ["size in the archive, MB", *_pair(size["dense_fp32"] / MB, size["archived"] / MB, digits=1)],
        ["size unpacked, MB", *_pair(size["dense_fp32"] / MB, size["stored"] / MB, digits=1)],
        ["parameters, million", *_pair(parameters["dense"] / MB, parameters["now"] / MB, digits=2)],
        ["encoder weights, million", *_pair(weights[0] / MB, weights[1] / MB, digits=2)],
    ]
    latency = component.get("latency")
    if latency:
        now = latency["p50_ms"]["now"]
        rows.append(["latency, ms (fp32 before)", *_pair(latency["p50_ms"]["dense_fp32"], now, digits=2)])
        rows.append(["latency, ms (int8 before)", *_pair(latency["p50_ms"]["dense_int8"], now, digits=2)])
    before, after = before_and_after(component["training_scores"]) or ({}, {})
    shared = {key: name for key, name in _SCORES.items() if None not in (before.get(key), after.get(key))}
    for key, name in shared.items():
        change = f"{100 * (after[key] - before[key]):+.1f}"
        scores = [f"{100 * stage[key]:.1f}" for stage in (before, after)]
        rows.append([f"{name}, training {_asked(component)}, %", *scores, change])
    trained = _outputs(component) or component["answers"]
    dense = "dense fine-tuned model in 32-bit floats, head included" if trained else "encoder in floats"
    legend = [f"before: the {dense}; now: the files of this component, which the archive compresses with gzip."]
    if shared:
        legend.append("Scores: of the model before its export; parity says what the export changed.")
    if latency:
        legend.append(
            f"latency: the model alone, p50, one thread, one message of {latency['wordpieces']} wordpieces; the models "
            f"before have random weights of the same shape and run in ONNX Runtime. With the tokenizer, now: "
            f"{latency['p50_ms']['now_with_tokenizer']:.2f} ms."
        )
    return [Table(rows), Prose(" ".join(legend))]


def _asked(component: Mapping[str, Any]) -> str:
    """What scores are measured on."""
    return "questions" if component["answers"] else "messages"


def _layers(component: Mapping[str, Any]) -> Table:
    rows = [["layer", "heads", "query/key size", "value size", "neurons", "pruned"]]
    for index, layer in enumerate(component["layers"]):
        widths = [
            f"{layer[key][0]} -> {layer[key][1]}"
            for key in ("num_attention_heads", "query_key_size", "value_size", "intermediate_size")
        ]
        rows.append([str(index), *widths, percent(layer["sparsity"])])
    rows.append(["all", "", "", "", "", percent(component["sparsity"])])
    return Table(rows)


def _student(component: Mapping[str, Any]) -> Dict[str, str]:
    student, teacher, size = component["student"], component["teacher"], component["bytes"]
    options = ", ".join(f"{name} {value}" for name, value in student.items() if name != "architecture")
    values = {
        "student": f"{student['architecture']}, {options}; {_outputs(component)}messages of up to "
        f"{component['max_length']} " + ("words" if component["runtime"] == "spacy" else "wordpieces"),
        "learnt from": f"{teacher['training_messages']} training messages and {teacher['other_messages']} others",
        "size": f"{size['archived'] / MB:.2f} MB in the archive, {size['stored'] / MB:.2f} MB unpacked",
    }
    if component["parameters"] is not None:
        values["parameters"] = f"{component['parameters'] / MB:.2f} million" + _of_teacher(component)
    if component["quantization"]:
        values["quantization"] = component["quantization"]["method"]
    return {**values, **_common_details(component)}


def _outputs(component: Mapping[str, Any]) -> str:
    """How many intents, entities and responses a model predicts."""
    counts = {name: component[name] for name in ("intents", "entities", "responses") if component[name]}
    return "".join(f"{count} {name}, " for name, count in counts.items())


def _of_teacher(component: Mapping[str, Any]) -> str:
    parameters = component["teacher"]["parameters"]
    return f", the teacher's {parameters / MB:.2f} million" if parameters else ""


def _details(component: Mapping[str, Any]) -> Dict[str, str]:
    embeddings = component["embeddings"]
    values = {
        "weights": (f"{component['model_weights']}, " if component["model_weights"] else "")
        + _outputs(component)
        + f"messages of up to {component['max_length']} wordpieces",
        "quantization": _format(component["quantization"]),
        "embeddings": f"{embeddings['archived'] / MB:.1f} MB, {percent(embeddings['share_of_archived'])} of all "
        f"(before: {embeddings['dense_fp32'] / MB:.1f} MB, {percent(embeddings['share_of_dense'])})",
    }
    if component["pruning"]:
        values["pruning"] = (
            f"{component['pruning']['method']}, sparsity {percent(component['sparsity'])} ({component['sparsity_is']})"
        )
    if component["budget"]:
        values["budget"] = f"{percent(component['budget']['chosen'])} chosen, {component['budget']['why']}, of:"
        for tried in component["budget"]["tried"]:
            values[f"  {percent(tried['sparsity'])}"] = (
                f"{tried['latency_ms']:.3g} ms, {tried['size_mb']:.3g} MB, "
                f"F1 {100 * tried['score_drop']:.2f} points below the dense model's"
            )
    return {**values, **_common_details(component)}


def _common_details(component: Mapping[str, Any]) -> Dict[str, str]:
    parity = component["parity"]
    values = {
        "runtime": component["runtime"],
        "files": ", ".join(f"{name} {size / MB:.2f} MB" for name, size in component["files"].items()),
    }
    if component["written_by"]:  # not in models of before 0.2.0
        values["written by"] = f"rasa_compressed_bert {component['written_by']}"
    if component["temperature"] is not None:
        source = "from held-out messages"
        if not component["calibrated"]:
            source = "not calibrated: no training messages were held out"
        elif component["temperature"] == 1.0:  # no result of a fit, see `calibration_temperature`
            source = f"not calibrated: a single intent, or fewer than {MIN_EXAMPLES} held-out messages"
        values["temperature"] = f"{component['temperature']:.3f} ({source})"
    if component["entities_calibrated"] is not None:
        few = f"not calibrated: fewer than {MIN_EXAMPLES} entities were found in held-out messages"
        values["entity confidences"] = "calibrated on held-out messages" if component["entities_calibrated"] else few
    if component["listed_values"]:
        values["lookup tables"] = f"{counted(component['listed_values'], 'value', 'values')} searched for in messages"
    for name, score in component["held_out"].items():
        values[name] = _score(score)
    if component["weakest"]:
        values["weakest intents"] = ", ".join(
            f"{one['intent']} (F1 {percent(one['f1'])} on {counted(one['messages'], 'message', 'messages')})"
            for one in component["weakest"]
        )
    if component["confused"]:
        values["most confused"] = ", ".join(
            f"{one['intent']} taken for {one['predicted']} {counted(one['messages'], 'time', 'times')}"
            for one in component["confused"]
        )
    for stage, score in component["training_scores"].items():
        values[f"training {_asked(component)}, {stage}"] = _score(score)
    if component["answers"]:
        values["answers"] = _answers(component["answers"], calibrated=component["calibrated"])
    if component["learnt_names"]:
        values["names of intents"] = f"{component['learnt_names']} of {component['intents']} learnt as messages"
    if component["out_of_scope"]:
        values.update(_detector(component))
    if "similarity" in parity:
        values["parity"] = (
            f"cosine similarity {parity['similarity']:.4f} of the hidden states of "
            f"{counted(parity['messages'], 'message', 'messages')}, before and after the export"
        )
    elif "changed" in parity:
        values["parity"] = _changes(parity)
    for name, of_head in parity.items():
        if isinstance(of_head, Mapping):
            values[f"parity of {name}"] = _changes(of_head)
    return values


def _answers(answers: Mapping[str, Any], *, calibrated: bool) -> str:
    """The number of documents and passages, and the lowest confidence of an answer."""
    few = f"not calibrated: fewer than {MIN_EXAMPLES} questions were held out"
    source = "calibrated on held-out questions" if calibrated else few
    counts = [
        counted(answers["documents"], "document", "documents"),
        counted(answers["passages"], "passage", "passages"),
    ]
    return f"minimum confidence {answers['threshold']:.3g} ({source}); {', '.join(counts)}"


def _format(quantization: Mapping[str, Any]) -> str:
    bits = f"encoder {quantization['encoder_bits']} bits, embeddings {quantization['embedding_bits']} bits"
    scales = "a scale per channel" if quantization["per_channel"] else "a scale per matrix"
    trained = ", quantization-aware training" if quantization["aware_training"] else ""
    return f"{quantization['method']}: {bits}" + (f", {scales}{trained}" if quantization["method"] != "none" else "")


def _pair(before: float, now: float, *, digits: int) -> List[str]:
    change = f"{before / now:.1f} x less" if now else ""
    return [f"{before:.{digits}f}", f"{now:.{digits}f}", change]


def _detector(component: Mapping[str, Any]) -> Dict[str, str]:
    """The weights of the views, and how messages out of scope are detected."""
    views, found = component["views"], component["out_of_scope"]
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in views["weights"].items())
    confidence = views["confidence"]
    calibrated = "" if found["calibrated"] else "; confidences are not calibrated: no training messages were held out"
    return {
        "views": f"{weights}; probabilities to the power of {confidence['power']:.2f}{calibrated}",
        "out of scope": f"{found['detector']}: {counted(found['stored_messages'], 'message', 'messages')} stored; "
        f"with a familiarity below {confidence['familiarity']:.3f}, a confidence is below {confidence['threshold']:g} "
        f"({percent(1.0 - found['in_scope_recall'])} of {found['compared_messages']} training messages, each compared "
        "with the others)",
    }


def _score(score: Mapping[str, float]) -> str:
    parts = [f"{name} {percent(score[key])}" for key, name in _SCORES.items() if score.get(key) is not None]
    named = {*_SCORES, *_ALSO_SHOWN}
    others = {key: value for key, value in score.items() if key not in named and value is not None}
    return ", ".join([*parts, *(f"{key} {_number(value)}" for key, value in others.items())])


def _number(value: float) -> str:
    """A count in full, or a measure with three digits."""
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def _changes(parity: Mapping[str, Any]) -> str:
    """How the export changed one output; accuracy is only there for labelled messages, which may be some of these."""
    text = (
        f"{parity['changed']} of {parity['messages']} labels changed by the export, "
        f"confidences by {parity['distance']:.4f} on average"
    )
    if parity.get("accuracy") is None:
        return text
    labelled = parity.get("labelled", parity["messages"])  # models of 0.2.0 do not have it
    asked = "these messages" if labelled == parity["messages"] else f"the {labelled} labelled ones"
    return f"{text}, accuracy on {asked} {percent(parity['accuracy'])}"
