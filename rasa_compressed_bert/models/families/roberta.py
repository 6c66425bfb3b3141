"""RoBERTa (Liu et al. 2019, arXiv 1907.11692), and XLM-R and CamemBERT, which differ from it only in the tokenizer."""

from __future__ import annotations

from dataclasses import replace

from rasa_compressed_bert.models.families import bert

FAMILY = replace(bert.FAMILY, first_position=2)
