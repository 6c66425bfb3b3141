"""The tokenizer of the shipped weights, read once per process, as its weights are read with it."""

from functools import lru_cache

from rasa_compressed_bert.models.pretrained import load_pretrained


@lru_cache(maxsize=None)
def minilm_tokenizer():
    """The JSON of the tokenizer of all-MiniLM-L6-v2."""
    return load_pretrained("all-MiniLM-L6-v2").tokenizer
