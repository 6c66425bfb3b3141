"""Pretrained BERT-family checkpoints as our parameters: the one file that knows Hugging Face's names."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models.shape import EncoderShape, LayerShape

logger = logging.getLogger(__name__)

PICKLED = (
    "holds weights in PyTorch's pickle format alone, which may run any code when it is read. If you trust them, write "
    "them anew where PyTorch is installed: AutoModel.from_pretrained(NAME).save_pretrained(FOLDER)"
)
BERT_LAYER = {
    "query": "attention/self/query",
    "key": "attention/self/key",
    "value": "attention/self/value",
    "attention_output": "attention/output/dense",
    "intermediate": "intermediate/dense",
    "output": "output/dense",
}
BERT_NORMS = {"attention_norm": "attention/output/LayerNorm", "output_norm": "output/LayerNorm"}
DISTILBERT_LAYER = {
    "query": "attention/q_lin",
    "key": "attention/k_lin",
    "value": "attention/v_lin",
    "attention_output": "attention/out_lin",
    "intermediate": "ffn/lin1",
    "output": "ffn/lin2",
}
DISTILBERT_NORMS = {"attention_norm": "sa_layer_norm", "output_norm": "output_layer_norm"}


class Checkpoint(NamedTuple):
    """A pretrained model: its widths, its parameters (our names), its tokenizer (the `tokenizers` library's JSON)."""

    shape: EncoderShape
    parameters: Dict[str, np.ndarray]
    pooler: Optional[Dict[str, np.ndarray]]  # "pooler.kernel" (H, H) and "pooler.bias" (H,), where it has one
    tokenizer: str


def read_checkpoint(name: str) -> Checkpoint:
    """Loads a folder or a hub name with transformers' own `from_pretrained` (safetensors or TensorFlow files).

    Raises:
        WeightsError: if it cannot be found, reached or read, or is no BERT or DistilBERT.
    """
    source = {"local_files_only": not Path(name).is_dir() and not _hub_answers(), "trust_remote_code": False}
    values, _ = _read(
        "the configuration", name, lambda transformers: transformers.PretrainedConfig.get_config_dict(name, **source)
    )
    if "model_type" in values:  # transformers has no class for some, and reads the name of old weights without one
        _require_supported(values["model_type"], name)
    config = _read(
        "the configuration", name, lambda transformers: transformers.AutoConfig.from_pretrained(name, **source)
    )
    _require_supported(config.model_type, name)
    tokenizer = _read(
        "the tokenizer",
        name,
        lambda transformers: transformers.AutoTokenizer.from_pretrained(name, use_fast=True, **source),
    )
    model, has_pooler = _read(
        "the weights", name, lambda transformers: _load_model(transformers, name, config=config, **source)
    )
    variables = {_short_name(variable.name): variable.numpy() for variable in model.variables}
    shape, parameters = _convert(config, variables, name)
    pooler = None
    if has_pooler and "pooler/dense/kernel" in variables:
        pooler = {"pooler.kernel": variables["pooler/dense/kernel"], "pooler.bias": variables["pooler/dense/bias"]}
    return Checkpoint(shape, parameters, pooler, tokenizer.backend_tokenizer.to_str())


def _require_supported(architecture: str, name: str) -> None:
    if architecture not in ("bert", "distilbert"):
        raise WeightsError(
            f"model_weights '{name}' is of the architecture '{architecture}', which is not supported; use one of "
            "'bert', 'distilbert'."
        )


def _hub_answers() -> bool:
    """Whether the hub can be reached; transformers would find out by itself, after six tries and 23 seconds."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=10)
    except OSError:  # the base of all errors of requests, and of the one for offline mode
        return False
    return True


def _read(what: str, name: str, load: Any) -> Any:
    import transformers

    try:
        return load(transformers)
    except Exception as error:  # transformers, safetensors, h5py and the hub's client each raise their own
        where = f"in the folder '{name}'" if Path(name).is_dir() else f"of '{name}'"
        if isinstance(error, OSError) and not Path(name).is_dir():  # what transformers raises for what is not there
            where += ": it is no folder, and the Hugging Face hub did not give it. Without a network, set model_weights"
            where += " to a local folder or to the shipped 'all-MiniLM-L6-v2'. The reason given"
        raise WeightsError(f"Cannot read {what} {where}: {type(error).__name__}: {error}") from error


def _load_model(transformers: Any, name: str, **arguments: Any) -> Tuple[Any, bool]:
    """The model, and whether its pooler is that of the weights: transformers makes up one that they lack."""
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        model, info = transformers.TFAutoModel.from_pretrained(name, output_loading_info=True, **arguments)
    except OSError as error:
        if "from_pt" in str(error):  # what transformers advises where there is nothing else
            raise WeightsError(f"it {PICKLED}") from error
        raise
    finally:
        transformers.logging.set_verbosity(verbosity)
    poolers = [key for key in info["missing_keys"] if "pooler" in key]
    missing = [key for key in info["missing_keys"] if key not in poolers]
    if missing:
        raise WeightsError(f"the file lacks {len(missing)} parameters, among them {missing[:3]}")
    return model, not poolers


def _short_name(name: str) -> str:
    """`tf_bert_model/bert/encoder/layer_._0/output/dense/kernel:0` -> `encoder/layer_._0/output/dense/kernel`."""
    return name.split(":")[0].split("/", 2)[2]


def _convert(config: Any, variables: Mapping[str, np.ndarray], name: str) -> Tuple[EncoderShape, Dict[str, np.ndarray]]:
    distil = config.model_type == "distilbert"
    hidden, heads, activation = (
        (config.dim, config.n_heads, config.activation)
        if distil
        else (config.hidden_size, config.num_attention_heads, config.hidden_act)
    )
    intermediate = config.hidden_dim if distil else config.intermediate_size
    if getattr(config, "position_embedding_type", "absolute") != "absolute" or activation not in (
        "gelu",
        "gelu_new",
        "relu",
    ):
        raise WeightsError(
            f"model_weights '{name}' has relative positions or the activation '{activation}': not supported."
        )
    layer = LayerShape(heads, hidden // heads, hidden // heads, intermediate)
    shape = EncoderShape(
        vocab_size=config.vocab_size,
        hidden_size=hidden,
        max_position_embeddings=config.max_position_embeddings,
        head_size=hidden // heads,
        layer_norm_eps=getattr(config, "layer_norm_eps", 1e-12),
        hidden_act=activation,
        layers=(layer,) * config.num_hidden_layers,
    )
    parameters = _embeddings(variables, distil=distil)
    kernels, norms = (DISTILBERT_LAYER, DISTILBERT_NORMS) if distil else (BERT_LAYER, BERT_NORMS)
    for index in range(config.num_hidden_layers):
        prefix = f"transformer/layer_._{index}" if distil else f"encoder/layer_._{index}"
        for ours, theirs in kernels.items():
            parameters[f"layers.{index}.{ours}.kernel"] = variables[f"{prefix}/{theirs}/kernel"]
            parameters[f"layers.{index}.{ours}.bias"] = variables[f"{prefix}/{theirs}/bias"]
        for ours, theirs in norms.items():
            parameters.update(_norm(f"layers.{index}.{ours}", variables, f"{prefix}/{theirs}"))
    return shape, parameters


def _embeddings(variables: Mapping[str, np.ndarray], *, distil: bool) -> Dict[str, np.ndarray]:
    position = variables["embeddings/position_embeddings/embeddings"]
    if not distil:  # a message is always one segment, so its type embedding is a constant of every position
        position = position + variables["embeddings/token_type_embeddings/embeddings"][0]
    return {
        "embeddings.word": variables["embeddings/word_embeddings/weight"],
        "embeddings.position": position,
        **_norm("embeddings.norm", variables, "embeddings/LayerNorm"),
    }


def _norm(ours: str, variables: Mapping[str, np.ndarray], theirs: str) -> Dict[str, np.ndarray]:
    return {f"{ours}.gamma": variables[f"{theirs}/gamma"], f"{ours}.beta": variables[f"{theirs}/beta"]}
