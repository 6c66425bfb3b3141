"""Advice on how to improve a model, derived from its scores."""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, NamedTuple

from rasa_compressed_bert.data.counts import counted
from rasa_compressed_bert.inspection.evaluation import Evaluation, IntentResults, WeakLabel
from rasa_compressed_bert.reporting.tables import percent

_FEW_MESSAGES = 200  # below it, the 95 % interval of an accuracy of 90 % is wider than 8 points
_NAMED = 5
_UNRELIABLE, _REJECTED, _FOUND = 0.1, 0.1, 0.5  # shares


class Advice(NamedTuple):
    """A step and the reason for it; `names` are the intents or entities concerned, which are shown unchanged."""

    step: str
    why: str
    names: List[str]


def advice(description: Mapping[str, Any], evaluation: Evaluation, *, tested_scope: bool) -> List[Advice]:
    """Recommended steps, the most important first.

    Args:
        description: as `inspect_model` returns it.
        evaluation: scores of the same model.
        tested_scope: whether messages out of scope were given.
    """
    steps: List[Advice] = []
    if evaluation.intents:
        component = description["components"][evaluation.classifier]
        steps += _of_intents(evaluation.intents, evaluation.messages, _to_calibrate(component))
        detects = component["out_of_scope"] is not None
        steps += _of_scope(evaluation.intents, tested_scope=tested_scope, detects=detects)
    if evaluation.entities and evaluation.entities.weak:
        worst = evaluation.entities.weak[0]
        why = f"{_mistakes_in_words(worst)} with this entity type, whose F1 is {percent(worst.f1)}:"
        steps.append(Advice("Annotate more examples of it, and check those that are there.", why, [worst.name]))
    steps += _of_compression(description["components"])
    return steps


def _to_calibrate(component: Mapping[str, Any]) -> str:
    """What to do if the confidences of a component are not reliable."""
    if component["calibrated"]:
        return "Add messages like these to the training data: confidences were calibrated on other kinds of messages."
    if component["teacher"]:
        return (
            "Train with `validation_split` above 0, also a `teacher.model`, and without `teacher.predictions`: "
            "confidences are calibrated on messages that are held out from the teacher."
        )
    return "Train with `validation_split` above 0, or with more messages if it is, so that they are calibrated."


def _of_intents(found: IntentResults, messages: int, to_calibrate: str) -> Iterator[Advice]:
    if found.unknown:
        why = (
            f"{counted(found.unknown_messages, 'test message has', 'test messages have')} an intent that the model has "
            "not learnt; each counts as a mistake:"
        )
        step = "Add these intents to the training data, or take them out of the test data."
        yield Advice(step, why, list(found.unknown[:_NAMED]))
    known = [one for one in found.pairs if one.predicted is not None and one.intent not in found.unknown]
    weak = [one for one in found.weak if one.name not in found.unknown and one.examples]
    for pair in known[:1]:
        why = f"{counted(pair.messages, 'message of an intent is', 'messages of an intent are')} taken for another one:"
        step = "Compare their training messages; correct, separate or merge the two intents."
        yield Advice(step, why, [pair.intent, str(pair.predicted)])
    for worst in weak[:1]:
        why = f"{_mistakes_in_words(worst)} with this intent, whose F1 is {percent(worst.f1)}:"
        yield Advice("Add training messages in the words that users write.", why, [worst.name])
    if messages < _FEW_MESSAGES:
        why = (
            f"With {counted(messages, 'test message', 'test messages')} the accuracy may be anywhere from "
            f"{percent(found.interval[0])} to {percent(found.interval[1])} (95 % interval)."
        )
        yield Advice("Collect more test messages before you decide.", why, [])
    if found.calibration_error > _UNRELIABLE:
        why = f"Confidences differ from the share of right answers by {percent(found.calibration_error)} on average."
        yield Advice(to_calibrate, why, [])


def _mistakes_in_words(worst: WeakLabel) -> str:
    return f"{counted(worst.mistakes, 'mistake is', 'mistakes are')} made"


def _of_scope(found: IntentResults, *, tested_scope: bool, detects: bool) -> Iterator[Advice]:
    scope = found.scope
    if scope.rejected > _REJECTED:
        why = f"{percent(scope.rejected)} of the messages in scope are below the threshold: users are asked again."
        option = "raise `out_of_scope.in_scope_recall`" if detects else "lower the threshold of FallbackClassifier"
        yield Advice(f"Add training messages, or {option}.", why, [])
    if not tested_scope:
        why = "The model was not tested on messages that belong to no intent."
        yield Advice("Collect some and add `--out-of-scope FILE`.", why, [])
    elif scope.found is not None and scope.found < _FOUND:
        why = f"Only {percent(scope.found)} of the messages out of scope are below the threshold."
        step = (
            "Lower `out_of_scope.in_scope_recall`, or train an intent named `out_of_scope` with such messages."
            if detects
            else f"Train with `out_of_scope`, or try the threshold {scope.best_threshold}, the best one here."
        )
        yield Advice(step, why, [])


def _of_compression(components: Mapping[str, Any]) -> Iterator[Advice]:
    for component in components.values():
        if "layers" in component and component["kind"] != "featurizer" and not component["sparsity"]:
            why = "Nothing is pruned: the encoder has all its weights."
            yield Advice("Try `pruning`, which makes the model smaller and faster.", why, [])
            return
