"""The last stage of training a classifier: fits the views of a message to the outputs of the served model."""

from __future__ import annotations

from typing import Any, Dict, Sequence

import numpy as np

from rasa_compressed_bert.artifact.artifact import TOKENIZER, VIEWS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.config import IntentConfig, OutOfScopeConfig
from rasa_compressed_bert.data.example import NO_CLASS, OUT_OF_SCOPE
from rasa_compressed_bert.data.lines import read_lines
from rasa_compressed_bert.runtime.decoders import INTENTS
from rasa_compressed_bert.tasks.served_outputs import served_outputs
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer, is_unknown, punctuation_ids, unknown_id
from rasa_compressed_bert.training.scope import fit_decision
from rasa_compressed_bert.training.view_fitting import Observations
from rasa_compressed_bert.training.voting import Voting
from rasa_compressed_bert.views import decision


def fit_views(artifact: Artifact, run: TrainingRun) -> Artifact:
    """Adds the views of the messages of a run to its artifact, see `with_views`; without intents, changes nothing."""
    classes = run.messages.encoded.labels.get(INTENTS)
    if classes is None or not isinstance(run.config, IntentConfig):
        return artifact
    return with_views(
        artifact,
        run.messages.texts,
        classes,
        run.config.out_of_scope,
        voting=run.cross_fitted.voting,
        num_names=run.messages.num_names,
        seed=run.config.random_seed,
    )


def with_views(
    artifact: Artifact,
    texts: Sequence[str],
    classes: np.ndarray,
    options: OutOfScopeConfig,
    *,
    voting: Voting,
    num_names: int = 0,
    seed: int,
) -> Artifact:
    """Adds the views of the training messages, and the threshold below which a message is out of scope.

    Args:
        artifact: a classifier.
        texts: all training messages.
        classes: their intents, `(n,)`; -1 for a message without one.
        options: the section `out_of_scope`.
        voting: the weights of the views.
        num_names: how many of the texts, at the end, are names of intents.
        seed: for folds and samples.

    Raises:
        DataError: if the file of out-of-scope messages cannot be read.
    """
    labels = artifact.manifest["labels"]
    if options.detector == "none":
        return artifact
    labelled = np.flatnonzero(classes >= 0)
    known = [texts[place] for place in labelled]
    outside = read_lines(options.messages, option="out_of_scope.messages") if options.messages else []
    fitted = fit_decision(
        _observed(artifact, known, classes[labelled]),
        options,
        voting=voting,
        num_names=num_names,
        out_of_scope=_observed(artifact, outside, np.full(len(outside), NO_CLASS)) if outside else None,
        out_of_scope_class=labels.index(OUT_OF_SCOPE) if OUT_OF_SCOPE in labels else None,
        seed=seed,
    )
    described, tensors = decision.stored(fitted.views, fitted.weights, fitted.confidence_map)
    report = {**fitted.report, "calibrated": voting.calibrated, **_unknown_messages(artifact, known)}
    return Artifact(
        {**artifact.manifest, "views": described, "out_of_scope": report},
        {**artifact.files, VIEWS: tensors_to_bytes(tensors)},
    )


def _unknown_messages(artifact: Artifact, texts: Sequence[str]) -> Dict[str, Any]:
    """Whether a message consists of unknown wordpieces, apart from punctuation, and the ids of punctuation.

    Of a model that does not tokenize by wordpieces this is not known, and it rejects no message for it.
    """
    if TOKENIZER not in artifact.files:
        return {"has_unknown_messages": True}
    json = artifact.files[TOKENIZER].decode("utf-8")
    unknown, punctuation = unknown_id(json), punctuation_ids(json)
    tokenizer = WordpieceTokenizer(json, artifact.manifest["max_length"])
    found = any(is_unknown(tokenizer.encode(text), unknown, punctuation) for text in texts)
    return {"has_unknown_messages": found, "punctuation": [] if found else sorted(punctuation)}


def _observed(artifact: Artifact, texts: Sequence[str], classes: np.ndarray) -> Observations:
    """The inputs of the views: texts, intents, logits and features."""
    return Observations(texts, classes, *served_outputs(artifact, texts, name="views"))
