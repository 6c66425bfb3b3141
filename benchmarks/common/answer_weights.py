"""Pretrained weights that were fine-tuned to answer questions, as a folder that `model_weights` can name."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Mapping, Tuple

import numpy as np
import transformers

from rasa_compressed_bert.models.families import family_of
from rasa_compressed_bert.models.head_layer import ANSWERER
from rasa_compressed_bert.models.pretrained import local_folder
from rasa_compressed_bert.models.shape import TOKEN_TYPE
from rasa_compressed_bert.models.state import ModelState


def write_answer_weights(state: ModelState, start: str, folder: Path) -> None:
    """Writes a fine-tuned extractor of BERT's family, not pruned, as a checkpoint with an answer head.

    Args:
        state: the parameters, with the whole vocabulary.
        start: the weights that it was fine-tuned from, a folder or an alias; they give configuration and tokenizer.
        folder: where to write.
    """
    source = local_folder(start)
    config = transformers.AutoConfig.from_pretrained(
        source, max_position_embeddings=state.shape.max_position_embeddings
    )
    model = transformers.TFBertForQuestionAnswering(config)
    model(model.dummy_inputs)  # creates the variables
    transformers.AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    values = _variables(state)
    for variable in model.bert.variables:
        name = variable.name.split(":")[0].split("/bert/", 1)[1]
        variable.assign(values[name])
    model.qa_outputs.kernel.assign(state.parameters[ANSWERER.kernel])
    model.qa_outputs.bias.assign(state.parameters[ANSWERER.bias])
    model.save_pretrained(folder, safe_serialization=True)  # the same bytes each time, unlike HDF5


def _variables(state: ModelState) -> Dict[str, np.ndarray]:
    """The variables of the encoder by their names in transformers."""
    family, ours = family_of("bert"), state.parameters
    second = ours[TOKEN_TYPE]
    variables = {
        "embeddings/word_embeddings/weight": ours["embeddings.word"],
        "embeddings/position_embeddings/embeddings": ours["embeddings.position"],  # ours include the first token type
        "embeddings/token_type_embeddings/embeddings": np.stack([np.zeros_like(second), second]),
        **_both(ours, "embeddings.norm", "embeddings/LayerNorm", ("gamma", "beta")),
    }
    for index in range(len(state.shape.layers)):
        theirs = family.layer.format(index)
        for name, path in family.kernels.items():
            variables.update(_both(ours, f"layers.{index}.{name}", f"{theirs}/{path}", ("kernel", "bias")))
        for name, path in family.norms.items():
            variables.update(_both(ours, f"layers.{index}.{name}", f"{theirs}/{path}", ("gamma", "beta")))
    return variables


def _both(ours: Mapping[str, np.ndarray], name: str, theirs: str, parts: Tuple[str, str]) -> Dict[str, np.ndarray]:
    return {f"{theirs}/{part}": ours[f"{name}.{part}"] for part in parts}
