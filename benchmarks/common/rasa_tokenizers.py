"""Limits of Rasa's own tokenizers: Chinese, and weights with a tokenizer other than BERT's."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, Optional

from rasa_compressed_bert.models.pretrained import load_pretrained
from rasa_compressed_bert.tokenization.scripts import scripts_of

WHITESPACE, JIEBA = "WhitespaceTokenizer", "JiebaTokenizer"


def is_chinese(texts: Iterable[str]) -> bool:
    """Whether texts are written in Chinese characters, without Japanese ones."""
    scripts = scripts_of(texts)
    return "CJK" in scripts and "HIRAGANA" not in scripts


def rasa_tokenizer(texts: Iterable[str]) -> str:
    """The tokenizer of Rasa's rows: `JiebaTokenizer` for Chinese if jieba is installed, else `WhitespaceTokenizer`."""
    return JIEBA if is_chinese(texts) and importlib.util.find_spec("jieba") else WHITESPACE


def with_tokenizer(config: Dict[str, Any], tokenizer: str) -> Dict[str, Any]:
    """A copy of a config.yml with another Rasa tokenizer, and the language for it."""
    names = {item["name"] for item in config["pipeline"]}
    if tokenizer == WHITESPACE or WHITESPACE not in names:
        return config
    pipeline = [{**item, "name": tokenizer} if item["name"] == WHITESPACE else item for item in config["pipeline"]]
    return {**config, "language": "zh", "pipeline": pipeline}


def lmf_error(weights: str) -> Optional[str]:
    """The error of `BertTokenizer`, which LanguageModelFeaturizer uses for a BERT, with weights; None without error.

    Args:
        weights: an alias, a folder or a name on a hub.
    """
    from transformers import BertTokenizer

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tokenizer.json").write_text(load_pretrained(weights).tokenizer, encoding="utf-8")
        try:
            BertTokenizer.from_pretrained(folder)
        except Exception as error:  # any error, as a user of Rasa would see it
            return f"{type(error).__name__}: {error}".replace(folder, "FOLDER")
    return None
