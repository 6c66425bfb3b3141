"""Names, colours and markers of rows in tables and plots; commands and JSON have the short names."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Sequence

from benchmarks.common.rows import BOTH, DEFAULT, FULL, MULTILINGUAL, STUDENT, TRIM

_NAMES = {
    "keyword": "Rasa alone (keywords)",
    "diet": "Rasa's default (DIET)",
    "lmf_diet": "LanguageModelFeaturizer + DIET",
    "lmf_logistic": "LanguageModelFeaturizer + logistic regression",
    "quantized_logistic": "Quantized featurizer + logistic regression",
    "quantized_diet": "Quantized featurizer + DIET",
    "frozen": "Frozen features + logistic regression",
    "counts_logistic": "Word counts + logistic regression",
    "dense_fp32": "Fine-tuned BERT, 32-bit",
    "dense_int8": "Fine-tuned BERT, 8-bit",
    DEFAULT: "Pruned BERT (default)",
    "package_sklearn": "Pruned BERT in spaCy + SVM",
    "package_logistic": "Pruned BERT in spaCy + logistic regression",
    "blank_sklearn": "Blank spaCy + SVM",
    "blank_logistic": "Blank spaCy + logistic regression",
}
LOOKS = {
    "Rasa's default (DIET)": ("#444444", "X"),
    "LanguageModelFeaturizer + DIET": ("#8c564b", "X"),
    "LanguageModelFeaturizer + logistic regression": ("#bcbd22", "X"),
    "Quantized featurizer + logistic regression": ("#9467bd", "o"),
    "Quantized featurizer + DIET": ("#9467bd", "P"),
    "Frozen features + logistic regression": ("#bcbd22", "o"),
    "Word counts + logistic regression": ("#7f7f7f", "X"),
    "Fine-tuned BERT, 32-bit": ("#1f77b4", "s"),
    "Fine-tuned BERT, 8-bit": ("#17becf", "s"),
    "Pruned BERT (default)": ("#d62728", "*"),
    "Pruned BERT, 80 %": ("#ff7f0e", "o"),
    "Joint pruned BERT (default)": ("#d62728", "P"),
    "Joint fine-tuned BERT, 32-bit": ("#1f77b4", "P"),
    "Pruned BERT in spaCy + SVM": ("#e377c2", "s"),
    "Pruned BERT in spaCy + logistic regression": ("#c51b8a", "s"),
    "Blank spaCy + SVM": ("#aec7e8", "X"),
    "Blank spaCy + logistic regression": ("#6baed6", "X"),
    "Multilingual pruned BERT (default)": ("#7b3294", "*"),
    "BiLSTM student": ("#2ca02c", "D"),
    "Small BiLSTM student": ("#41ae76", "d"),
    "Transformer student": ("#006d2c", "^"),
    "N-gram student": ("#74c476", "v"),
    "spaCy student": ("#98df8a", "<"),
}
"""Colour and marker by the name of a model; they are similar for models of one kind."""
INCOMPLETE = ("lmf_diet", "lmf_logistic", "package_sklearn", "package_logistic", "blank_sklearn", "blank_logistic")
"""Rows whose archives lack the BERT or the spaCy pipeline, which must be installed too."""
_TITLES = {
    "clinc150": "CLINC150",
    "sst2": "SST-2",
    "entities_snips": "SNIPS with entities",
    "entities_snips_full": "the whole of SNIPS with entities",
    "entities_sara2019": "sara2019 with entities",
    "entities_xsid_de": "German messages of xSID with entities",
    "students_clinc150": "CLINC150, students",
    "vocabulary_sara2019": "sara2019, trimmed vocabularies",
    "spacy_snips": "SNIPS, with spaCy",
    "spacy_clinc150": "CLINC150, with spaCy",
    "featurizer_snips": "SNIPS, DIET on two featurizers",
    "featurizer_sara2019": "sara2019, DIET on two featurizers",
    "hint3_sofmattress": "HINT3 sofmattress",
    "hint3_curekart": "HINT3 curekart",
}
_PARTS = re.compile(r"^(distillation|few_shot|kmeans|real_bots|runtimes|seeds)_")
"""Prefixes of the titles of results, before the name of the data set."""
_SEED = re.compile(r"_(4\d)$")
"""Suffix of the name of a row that was trained with a certain seed."""
_STUDENTS = {
    "bilstm": "BiLSTM student",
    "transformer": "Transformer student",
    "ngrams": "N-gram student",
    "spacy_textcat": "spaCy student",
    "bilstm_small": "Small BiLSTM student",
}


def name_of(row: str) -> str:
    """The name of a row on pages and in plots; by default the row's own name.

    Args:
        row: as in `rows.row_config`, or as in results (`pruned_80_int8`).
    """
    row = _SEED.sub("", row)
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


def named(results: Sequence[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    """Results with the names that rows have on pages, including the seed if a row has one."""
    return [{**result, "model": _with_seed(result["model"])} for result in results]


def _with_seed(row: str) -> str:
    seed = _SEED.search(row)
    return f"{name_of(row)}, seed {seed.group(1)}" if seed else name_of(row)


PUBLISHED = ("#6baed6", "#fd8d3c", "#74c476", "#9e9ac8", "#969696", "#e7969c")
"""Colours of published figures, whose lines are dashed."""


def colour_of(name: str, index: int) -> str:
    """The colour of a model in every plot, or one by position if the model has none.

    Args:
        name: a name returned by `name_of`.
        index: the position of the model in the plot.
    """
    return LOOKS[name][0] if name in LOOKS else f"C{index % 10}"


def data_of(title: str) -> str:
    """The name of the data set of results, from their title, which is the name of their file."""
    title = _PARTS.sub("", title)
    return _TITLES.get(title, title)


def headline(title: str, results: Sequence[Mapping[str, Any]]) -> str:
    """The title of a plot of score, milliseconds and size: our default compared with Rasa's, if it has both."""
    title = data_of(title)
    of = {name_of(result["model"]): result for result in results}
    ours, rasas = of.get(_NAMES[DEFAULT]), of.get(_NAMES["diet"])
    if not ours or not rasas:
        return f"{title}: score against time and size"
    times = rasas["latency_p50_ms"] / ours["latency_p50_ms"]
    points = 100.0 * (ours["macro_f1"] - rasas["macro_f1"])
    return (
        f"{title}: {_NAMES[DEFAULT]} is {times:.1f} times as fast as {_NAMES['diet']}, "
        f"{abs(points):.1f} points of macro F1 {'above' if points >= 0 else 'below'} it"
    )
