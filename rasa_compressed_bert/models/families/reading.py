"""Reads a checkpoint through its family, and refuses a family that does not fit the checkpoint."""

from __future__ import annotations

import difflib
from typing import Dict, Iterator, Mapping, Set

import numpy as np

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models.families.family import Family
from rasa_compressed_bert.models.shape import EncoderShape


class ReadVariables(Mapping[str, np.ndarray]):
    """Variables of a checkpoint, which remember what was read.

    Args:
        variables: the variables, without the prefix of the model.
        name: the weights, for errors.
    """

    def __init__(self, variables: Mapping[str, np.ndarray], name: str):
        self._variables, self._name = variables, name
        self._read: Set[str] = set()

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self._variables:
            near = difflib.get_close_matches(key, self._variables, n=3)
            raise WeightsError(
                f"model_weights '{self._name}': the family of their model_type reads the variable '{key}', which the "
                f"model lacks. Similar ones: {', '.join(near) or 'none'}."
            )
        self._read.add(key)
        return self._variables[key]

    def __contains__(self, key: object) -> bool:
        return key in self._variables

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def unread(self) -> Set[str]:
        """The variables of the encoder that nobody has read; those of a head are in no layer of the encoder."""
        return {key for key in self._variables if key not in self._read and "/" in key}


def encoder_parameters(
    family: Family, variables: Mapping[str, np.ndarray], shape: EncoderShape, *, name: str
) -> Dict[str, np.ndarray]:
    """The parameters of a checkpoint's encoder.

    Args:
        family: the family of the checkpoint.
        variables: its variables, without the prefix of the model.
        shape: the widths of the encoder.
        name: the weights, for errors.

    Raises:
        WeightsError: if the family leaves out variables, or reads others than our encoder needs.
    """
    read = ReadVariables(variables, name)
    parameters = {**family.parameters(read, len(shape.layers)), **family.token_type(read)}
    family.pooler(read)
    needed, found = shape.parameter_shapes(), {key: value.shape for key, value in parameters.items()}
    wrong = sorted(key for key in needed if found.get(key) != needed[key])
    if wrong:
        raise WeightsError(
            f"model_weights '{name}': the family of their model_type gives the parameter '{wrong[0]}' the shape "
            f"{found.get(wrong[0])} instead of {needed[wrong[0]]}."
        )
    unread = sorted(read.unread())
    if unread:
        raise WeightsError(
            f"model_weights '{name}': the family of their model_type leaves out {len(unread)} of the "
            f"encoder's variables, such as {', '.join(unread[:3])}: it would compute something else than the model."
        )
    return parameters
