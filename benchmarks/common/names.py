"""Names of rows for people: files and tables of results have the short ones."""

from __future__ import annotations

from benchmarks.common.rows import BOTH, DEFAULT, FULL, MULTILINGUAL, STUDENT, TRIM

_NAMES = {
    "keyword": "Rasa alone (keywords)",
    "diet": "Rasa's default (DIET)",
    "lmf_diet": "LanguageModelFeaturizer + DIET",
    "lmf_logistic": "LanguageModelFeaturizer + logistic regression",
    "quantized_logistic": "Quantized featurizer + logistic regression",
    "counts_logistic": "Word counts + logistic regression",
    "dense_fp32": "Fine-tuned BERT, 32-bit",
    "dense_int8": "Fine-tuned BERT, 8-bit",
    DEFAULT: "Pruned BERT (default)",
    "package_sklearn": "Pruned BERT in spaCy + SVM",
    "package_logistic": "Pruned BERT in spaCy + logistic regression",
    "blank_sklearn": "Blank spaCy + SVM",
    "blank_logistic": "Blank spaCy + logistic regression",
}
_STUDENTS = {
    "bilstm": "BiLSTM student",
    "transformer": "Transformer student",
    "ngrams": "N-gram student",
    "spacy_textcat": "spaCy student",
}


def name_of(row: str) -> str:
    """What a row of the benchmarks is called in plots and on the README; its own name where it has no other.

    Args:
        row: as in `rows.row_config`, or as results have it (`pruned_80_int8`).
    """
    if row in _NAMES:
        return _NAMES[row]
    for start, name in ((BOTH, "Joint "), (MULTILINGUAL, "Multilingual "), (FULL, "Full-vocabulary ")):
        if row.startswith(start):
            rest = name_of(row[len(start) :])
            return name + (rest[0].lower() + rest[1:] if rest[:1].isupper() and rest[1:2].islower() else rest)
    if row.startswith(STUDENT):
        return _STUDENTS.get(row[len(STUDENT) :], row)
    if row.startswith(TRIM):
        return f"Pruned BERT, {int(row[len(TRIM) :]):,} wordpieces"
    share = row.replace("pruned_", "", 1).replace("_int8", "", 1)
    return f"Pruned BERT, {share} %" if share.isdigit() else row
