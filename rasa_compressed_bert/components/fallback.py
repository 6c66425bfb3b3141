"""The pipeline's FallbackClassifier, whose threshold the confidences of a classifier are made for."""

from __future__ import annotations

import logging
from typing import Any

from rasa.engine.graph import ExecutionContext

logger = logging.getLogger(__name__)
_COMPONENT, _THRESHOLD, _DEFAULT = "FallbackClassifier", "threshold", 0.3


def warn_of_other_threshold(options: Any, execution_context: ExecutionContext, *, component: str) -> None:
    """Warns of a FallbackClassifier whose threshold is not `out_of_scope.threshold`, where the pipeline has one.

    Args:
        options: of the component.
        execution_context: with the graph that the component is loaded into.
        component: its name.
    """
    if not options.has_detector:
        return
    for node in execution_context.graph_schema.nodes.values():
        if node.uses.__name__ != _COMPONENT:
            continue
        threshold = node.config.get(_THRESHOLD, _DEFAULT)
        if threshold != options.out_of_scope.threshold:
            ours = options.out_of_scope.threshold
            logger.warning(
                f"{_COMPONENT} has the threshold {threshold:g}, and the confidences of {component} are made for "
                f"{ours:g}. Set out_of_scope.threshold to {threshold:g} and train again, or the threshold of "
                f"{_COMPONENT} to {ours:g}."
            )
