"""DistilBERT (Sanh et al. 2019, arXiv 1910.01108): a BERT with half the layers, without token types and pooler."""

from __future__ import annotations

from rasa_compressed_bert.models.families.family import Family

FAMILY = Family(
    kernels={
        "query": "attention/q_lin",
        "key": "attention/k_lin",
        "value": "attention/v_lin",
        "attention_output": "attention/out_lin",
        "intermediate": "ffn/lin1",
        "output": "ffn/lin2",
    },
    norms={"attention_norm": "sa_layer_norm", "output_norm": "output_layer_norm"},
    layer="transformer/layer_._{}",
    settings={
        "hidden_size": "dim",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
    },
    token_types=False,
)
