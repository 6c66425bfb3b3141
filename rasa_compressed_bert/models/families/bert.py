"""BERT (Devlin et al. 2018, arXiv 1810.04805)."""

from __future__ import annotations

from rasa_compressed_bert.models.families.family import Family

FAMILY = Family(
    kernels={
        "query": "attention/self/query",
        "key": "attention/self/key",
        "value": "attention/self/value",
        "attention_output": "attention/output/dense",
        "intermediate": "intermediate/dense",
        "output": "output/dense",
    },
    norms={"attention_norm": "attention/output/LayerNorm", "output_norm": "output/LayerNorm"},
)
