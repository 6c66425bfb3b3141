"""The last stage of training a classifier: the views of a message are fitted to what the served model gives."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from rasa_compressed_bert.artifact.artifact import SPACY_MODEL, TOKENIZER, VIEWS, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_to_bytes
from rasa_compressed_bert.config import OutOfScopeConfig
from rasa_compressed_bert.data.lines import read_lines
from rasa_compressed_bert.runtime.engines import open_engine, padded
from rasa_compressed_bert.runtime.ranking import FEATURES, LOGITS
from rasa_compressed_bert.runtime.spacy_predictor import SpacyPredictor
from rasa_compressed_bert.tasks.all_cores import on_all_cores
from rasa_compressed_bert.tokenization.pieces import PieceTokenizer
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.scope import fit_decision
from rasa_compressed_bert.training.view_fitting import Observations
from rasa_compressed_bert.views import decision

logger = logging.getLogger(__name__)
OUT_OF_SCOPE = "out_of_scope"
"""An intent of this name holds messages that no other intent is right for, as Rasa's documentation recommends."""
_SHOWN = 3


class Voting(NamedTuple):
    """How views are weighed, and how their probabilities become confidences.

    Attributes:
        weights: of the views by name; None means equal ones.
        power: of the pooled probabilities.
        temperature: of the classifier's logits.
        calibrated: whether these come from held-out messages.
    """

    weights: Optional[Dict[str, float]] = None
    power: float = 1.0
    temperature: float = 1.0
    calibrated: bool = False


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
    """The artifact with the views of its training messages, and the threshold below which a message is out of scope.

    Args:
        artifact: of a classifier.
        texts: every training message.
        classes: their intents, `(n,)`; -1 of a message without one.
        options: of the section `out_of_scope`.
        voting: what held-out messages told about the views.
        num_names: how many of the texts, the last ones, are names of intents.
        seed: of folds and clusters.

    Raises:
        DataError: if a file of messages out of scope cannot be read.
    """
    labels = artifact.manifest["labels"]
    _warn_of_contradictions(texts, classes, labels)
    if options.detector == "none":
        return artifact
    observe = _observer(artifact)
    labelled = np.flatnonzero(classes >= 0)
    known = [texts[place] for place in labelled]
    outside = read_lines(options.messages, option="out_of_scope.messages") if options.messages else []
    fitted = fit_decision(
        Observations(known, classes[labelled], *observe(known)),
        options,
        weights=voting.weights,
        power=voting.power,
        temperature=voting.temperature,
        num_names=num_names,
        out_of_scope=Observations(outside, np.full(len(outside), -1), *observe(outside)) if outside else None,
        out_of_scope_class=labels.index(OUT_OF_SCOPE) if OUT_OF_SCOPE in labels else None,
        seed=seed,
    )
    described, tensors = decision.stored(fitted.views, fitted.weights, fitted.confidence_map)
    report = {**fitted.report, "calibrated": voting.calibrated}
    return Artifact(
        {**artifact.manifest, "views": described, "out_of_scope": report},
        {**artifact.files, VIEWS: tensors_to_bytes(tensors)},
    )


def _observer(artifact: Artifact) -> Callable[[Sequence[str]], Tuple[np.ndarray, Optional[np.ndarray]]]:
    """A function from texts to logits (n, C) and features (n, P), as the artifact is served."""
    if SPACY_MODEL in artifact.files:
        predictor = SpacyPredictor(artifact)
        return lambda texts: (predictor.logits(texts), None)
    engine, encode = open_engine(artifact), encoder_of(artifact)
    names = artifact.manifest["outputs"]

    def observe(texts: Sequence[str]) -> Tuple[np.ndarray, np.ndarray]:
        encoded = [encode(text) for text in texts]
        rows: List[Dict[str, np.ndarray]] = [{}] * len(texts)

        def ask(batch: np.ndarray) -> Dict[str, np.ndarray]:
            return dict(zip(names, engine.run(*padded([encoded[place] for place in batch]))))

        for batch, found in on_all_cores(ask, [len(ids) for ids in encoded], name="views"):
            for row, place in enumerate(batch):
                rows[place] = {name: found[name][row] for name in (LOGITS, FEATURES)}
        return np.stack([row[LOGITS] for row in rows]), np.stack([row[FEATURES] for row in rows])

    return observe


def encoder_of(artifact: Artifact) -> Callable[[str], np.ndarray]:
    """A function from a text to its wordpiece ids, as the artifact is served."""
    tokenizer, max_length = artifact.files[TOKENIZER].decode("utf-8"), artifact.manifest["max_length"]
    if "entities" not in artifact.manifest:
        return WordpieceTokenizer(tokenizer, max_length).encode
    pieces = PieceTokenizer(tokenizer, max_length, artifact.manifest["entities"]["cuts"])
    return lambda text: pieces.encode(text).input_ids


def _warn_of_contradictions(texts: Sequence[str], classes: np.ndarray, labels: Sequence[str]) -> None:
    """Names the messages that have several intents: no classifier can have them all right."""
    intents: Dict[str, Set[str]] = defaultdict(set)
    for text, label in zip(texts, classes.tolist()):
        if label >= 0:
            intents[text.strip().lower()].add(labels[label])
    found = {text: sorted(names) for text, names in intents.items() if len(names) > 1}
    if found:
        shown = "; ".join(f"'{text[:40]}' ({', '.join(names)})" for text, names in list(found.items())[:_SHOWN])
        logger.warning(
            f"{len(found)} messages have several intents, of which at most one can be predicted: {shown}"
            f"{' ...' if len(found) > _SHOWN else ''}. Keep each of them under one intent."
        )
