"""ELECTRA (Clark et al. 2020, arXiv 2003.10555): a BERT without pooler, with embeddings that may be narrower."""

from __future__ import annotations

from dataclasses import replace

from rasa_compressed_bert.models.families import bert

FAMILY = replace(bert.FAMILY, projection="embeddings_project")
