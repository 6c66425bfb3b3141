"""Reads pretrained checkpoints with transformers; no other module imports it."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Set, Tuple

import numpy as np

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models.families import family_of, model_types
from rasa_compressed_bert.models.families.family import Family
from rasa_compressed_bert.models.families.reading import encoder_parameters
from rasa_compressed_bert.models.head_layer import ANSWERER
from rasa_compressed_bert.models.own_files import require_own_values, require_own_vocabulary
from rasa_compressed_bert.models.own_limits import require_few_texts, require_limited_settings
from rasa_compressed_bert.models.pytorch_file import PYTORCH_FILE, as_safetensors, require_pytorch
from rasa_compressed_bert.models.shape import MOST_LAYERS, EncoderShape
from rasa_compressed_bert.models.state import ModelState
from rasa_compressed_bert.tokenization.subwords.limits import require_limited

logger = logging.getLogger(__name__)

_NO_FAST_TOKENIZER = (
    "has no tokenizer.json, and none can be made from its files. If transformers has a fast tokenizer for the model, "
    "save it with the weights: AutoTokenizer.from_pretrained(NAME, use_fast=True).save_pretrained(FOLDER)"
)
_TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")  # both are arguments of its class
_CONFIG, _ADDED_PIECES = "config.json", "added_tokens.json"
_TOKENIZER = "tokenizer.json"
_SPARE_ROWS = 1000
_ANSWERS = "ForQuestionAnswering"  # classes of transformers whose names end so have a layer of this name:
_ANSWER_LAYER = "qa_outputs"
_USER_INFO = re.compile(r"(?<=://)[^\s'\"]*@")
"""User and password in the address of a mirror of the hub (HF_ENDPOINT), which errors of its client repeat."""


def read_checkpoint(name: str) -> ModelState:
    """Loads a folder or a hub name with transformers' own `from_pretrained` (safetensors, TensorFlow or PyTorch files).

    Raises:
        WeightsError: if the weights cannot be found, reached or read, or are of an unsupported family.
    """
    source = {"local_files_only": not os.path.isdir(name) and not _hub_answers(), "trust_remote_code": False}
    values, _ = _read(
        "the configuration", name, lambda transformers: transformers.PretrainedConfig.get_config_dict(name, **source)
    )
    require_limited_settings(values, name, file=_CONFIG)
    is_given = "model_type" in values  # otherwise transformers guesses it from the name
    if is_given or not any(kind in name for kind in model_types()):
        _require_supported(values.get("model_type"), name)  # first, as transformers lacks some architectures
    config = _read(
        "the configuration", name, lambda transformers: transformers.AutoConfig.from_pretrained(name, **source)
    )
    _require_supported(config.model_type if is_given or config.model_type in model_types() else None, name)
    family = family_of(config.model_type)
    unsupported = family.unsupported(config)
    if unsupported:
        raise WeightsError(f"model_weights '{name}' cannot be used, as models with {unsupported} are not supported.")
    shape = _read("the configuration", name, lambda _: _possible_shape(family, config))
    tokenizer = _read("the tokenizer", name, lambda transformers: _load_tokenizer(transformers, name, **source))
    if not tokenizer.is_fast:
        raise WeightsError(f"The tokenizer of model_weights '{name}' {_NO_FAST_TOKENIZER}")
    _read("the tokenizer", name, lambda _: require_limited(tokenizer.backend_tokenizer))
    model, made_up = _read(
        "the weights", name, lambda transformers: _load_model(transformers, name, config=config, **source)
    )
    variables = {_short_name(variable.name): variable.numpy() for variable in model.variables}
    parameters = encoder_parameters(family, variables, shape, name=name)
    _require_fit(name, len(parameters["embeddings.word"]), tokenizer.backend_tokenizer.get_vocab())
    _read("the tokenizer", name, lambda _: _require_special_ends(name, tokenizer.backend_tokenizer))
    pooler = {} if "pooler" in made_up else family.pooler(variables)
    answerer = {} if _ANSWER_LAYER in made_up else _answerer(model)
    parameters = {**parameters, **pooler, **answerer}
    return ModelState(shape, parameters, tokenizer.backend_tokenizer.to_str())


def _possible_shape(family: Family, config: Any) -> EncoderShape:
    """The shape of a configuration, checked before transformers allocates memory for a model of any size.

    Raises:
        WeightsError: if the model is larger than what is supported.
    """
    if config.num_hidden_layers <= MOST_LAYERS:
        shape = family.shape(config)
        if shape.is_possible:
            return shape
    raise WeightsError(
        "The sizes in the config.json of the weights (vocab_size, hidden_size, num_hidden_layers and so on) are those "
        "of a larger model than is supported."
    )


def _require_supported(model_type: Any, name: str) -> None:
    supported = ", ".join(map(repr, model_types()))
    if not isinstance(model_type, str):
        raise WeightsError(
            f"model_weights '{name}': the config.json names no architecture, as its model_type is "
            f"{json.dumps(model_type)}; set it to that of the weights, one of {supported}."
        )
    if model_type not in model_types():
        raise WeightsError(
            f"model_weights '{name}' is of the architecture '{model_type}', which is not supported; use one of "
            f"{supported}."
        )


def _require_fit(name: str, rows: int, vocabulary: Mapping[str, int]) -> None:
    """Refuses the tokenizer of another model; some rows of the embeddings may belong to no piece."""
    needed = max(vocabulary.values(), default=0) + 1
    if needed > rows or rows - needed > max(_SPARE_ROWS, rows // 10):
        raise WeightsError(
            f"The tokenizer of model_weights '{name}' has {needed} wordpieces, and the weights have {rows} embeddings: "
            "it belongs to another model. Save this model's own tokenizer with save_pretrained, beside the weights."
        )


def _require_special_ends(name: str, library: Any) -> None:
    """Refuses a tokenizer that does not put one special wordpiece at each end of a message."""
    encoding = library.encode("a")
    added = [special for special, kept in zip(encoding.special_tokens_mask, encoding.attention_mask) if kept]
    if sum(added) != 2 or not added[0] or not added[-1]:
        raise WeightsError(
            f"The tokenizer of model_weights '{name}' does not put one special wordpiece before a message and "
            "one after it, such as [CLS] and [SEP]. Save this model's own tokenizer beside the weights."
        )


def _hub_answers() -> bool:
    """Whether the hub can be reached; transformers itself would notice only after six tries and 23 seconds."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=10)
    except OSError:  # base class of all errors of requests and of that of offline mode
        return False
    return True


def _read(what: str, name: str, load: Any) -> Any:
    import transformers

    try:
        return load(transformers)
    except WeightsError:
        raise
    except Exception as error:  # transformers, safetensors, h5py and the hub's client all raise different types
        where = f"in the folder '{name}'" if os.path.isdir(name) else f"of '{name}'"
        if _is_of_other_sizes(error):
            raise WeightsError(
                f"Cannot read {what} {where}: their sizes differ from those in config.json (vocab_size, hidden_size, "
                "intermediate_size and so on). Put the config.json of this model beside the weights."
            ) from error
        if isinstance(error, ValueError) and "backend tokenizer" in str(error):  # a long message of transformers
            raise WeightsError(f"The tokenizer {where} {_NO_FAST_TOKENIZER}") from error
        if isinstance(error, OSError) and not os.path.isdir(name):  # what transformers raises if nothing was found
            where += (
                ": it is not a folder, and could not be downloaded from the Hugging Face hub. Without a network, set "
                "model_weights to a local folder, or to 'all-MiniLM-L6-v2' (English) or 'multilingual-e5-small', which "
                "Python packages ship. The reason given"
            )
        reason = f"{type(error).__name__}: {error}"
        shown = _USER_INFO.sub("", reason)
        raise WeightsError(f"Cannot read {what} {where}: {shown}") from (error if shown == reason else None)


def _is_of_other_sizes(error: Exception) -> bool:
    """Whether reshaping failed; transformers raises a TypeError while it handles TensorFlow's error."""
    return any("reshape" in str(cause).lower() for cause in (error, error.__context__))


def _load_tokenizer(transformers: Any, name: str, **source: Any) -> Any:
    for file in (*_TOKENIZER_SETTINGS, _ADDED_PIECES):
        path = _file(transformers, name, file, local_files_only=source["local_files_only"])
        if path is None:
            continue
        settings = json.loads(Path(path).read_text(encoding="utf-8"))
        require_few_texts(settings, name, file=file)
        if file in _TOKENIZER_SETTINGS:
            require_limited_settings(settings, name, file=file)
            require_own_vocabulary(settings, name, file=file)
    try:
        return transformers.AutoTokenizer.from_pretrained(name, use_fast=True, **source)
    except (OSError, TypeError) as error:  # raised if files of the vocabulary are missing
        if not os.path.isdir(name) or (Path(name) / _TOKENIZER).exists():
            raise
        raise WeightsError(f"The tokenizer of model_weights '{name}' {_NO_FAST_TOKENIZER}") from error


def _load_model(transformers: Any, name: str, **arguments: Any) -> Tuple[Any, Set[str]]:
    """The model, and which of its layers transformers initialised randomly because the weights lack them."""
    load = _class_for(transformers, arguments["config"]).from_pretrained
    _require_own_values(transformers, name, local_files_only=arguments["local_files_only"])
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        model, info = load(name, output_loading_info=True, **arguments)
    except OSError as error:
        path = _pytorch_file(transformers, name, error, local_files_only=arguments["local_files_only"])
        if path is None:
            raise
        with as_safetensors(Path(path)) as folder:
            model, info = load(folder, output_loading_info=True, **arguments)
    finally:
        transformers.logging.set_verbosity(verbosity)
    made_up = {layer for layer in ("pooler", _ANSWER_LAYER) for key in info["missing_keys"] if layer in key}
    missing = [key for key in info["missing_keys"] if not any(layer in key for layer in made_up)]
    if missing:
        raise WeightsError(
            f"The weights of model_weights '{name}' lack {len(missing)} parameters, such as {missing[:3]}."
        )
    return model, made_up


def _class_for(transformers: Any, config: Any) -> Any:
    """The class with an answer head for weights that were trained to answer questions, else the one without a head."""
    is_trained = any(str(name).endswith(_ANSWERS) for name in config.architectures or ()) and config.num_labels == 2
    has_class = type(config) in transformers.TF_MODEL_FOR_QUESTION_ANSWERING_MAPPING
    return transformers.TFAutoModelForQuestionAnswering if is_trained and has_class else transformers.TFAutoModel


def _answerer(model: Any) -> Dict[str, np.ndarray]:
    """The parameters of a model's answer head, by our names; empty if it has none."""
    layer = getattr(model, _ANSWER_LAYER, None)
    if layer is None:
        return {}
    return {ANSWERER.kernel: layer.kernel.numpy(), ANSWERER.bias: layer.bias.numpy()}


def _pytorch_file(transformers: Any, name: str, error: OSError, *, local_files_only: bool) -> Optional[str]:
    """The PyTorch file of weights without any other file; None if transformers failed for another reason."""
    if "from_pt" in str(error):  # transformers advises it if there is no other file
        require_pytorch()
    elif os.path.isdir(name):
        return None
    return _file(transformers, name, PYTORCH_FILE, local_files_only=local_files_only)


def _require_own_values(transformers: Any, name: str, *, local_files_only: bool) -> None:
    """Checks the HDF5 file, which transformers reads if there is no safetensors file."""
    if _file(transformers, name, transformers.utils.SAFE_WEIGHTS_NAME, local_files_only=local_files_only):
        return
    path = _file(transformers, name, transformers.utils.TF2_WEIGHTS_NAME, local_files_only=local_files_only)
    if path is not None:
        require_own_values(Path(path), name)
    elif _file(transformers, name, transformers.utils.TF2_WEIGHTS_INDEX_NAME, local_files_only=local_files_only):
        raise WeightsError(
            f"model_weights '{name}' has its weights in several HDF5 files, which is not supported. Save them as one "
            "file: TFAutoModel.from_pretrained(NAME).save_pretrained(FOLDER, safe_serialization=True)"
        )


def _file(transformers: Any, name: str, file: str, *, local_files_only: bool) -> Optional[str]:
    """The local path of a file of the weights, downloaded if necessary; None if there is no such file."""
    missing = {
        "_raise_exceptions_for_missing_entries": False,
        "_raise_exceptions_for_connection_errors": False,  # without a network, the cache of earlier downloads is used
    }
    return transformers.utils.cached_file(name, file, local_files_only=local_files_only, **missing)


def _short_name(name: str) -> str:
    """`tf_bert_model/bert/encoder/layer_._0/output/dense/kernel:0` -> `encoder/layer_._0/output/dense/kernel`."""
    return name.split(":")[0].split("/", 2)[2]
