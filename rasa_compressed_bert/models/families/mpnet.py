"""MPNet (Song et al. 2020, arXiv 2004.09297): a BERT without token types, with biases for relative positions."""

from __future__ import annotations

from rasa_compressed_bert.models.families.family import Family

FAMILY = Family(
    kernels={
        "query": "attention/attn/q",
        "key": "attention/attn/k",
        "value": "attention/attn/v",
        "attention_output": "attention/attn/o",
        "intermediate": "intermediate/dense",
        "output": "output/dense",
    },
    norms={"attention_norm": "attention/LayerNorm", "output_norm": "output/LayerNorm"},
    token_types=False,
    first_position=2,
    position_bias="encoder/relative_attention_bias/embeddings",
)
