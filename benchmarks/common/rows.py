"""The rows of the tables, each of which is a Rasa configuration."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from rasa_compressed_bert.config.student import ARCHITECTURES
from rasa_compressed_bert.models.pretrained import local_folder

OURS = "rasa_compressed_bert.PrunedBertIntentClassifier"
LMF, QUANTIZED = "LanguageModelFeaturizer", "rasa_compressed_bert.QuantizedBertFeaturizer"
DISTILLED = "rasa_compressed_bert.DistilledIntentClassifier"
JOINT = "rasa_compressed_bert.JointBertClassifier"
LOGISTIC = {"name": "LogisticRegressionClassifier"}
TRIM, STUDENT, BOTH = "trim_", "distilled_", "joint_"
MULTILINGUAL = "multilingual_"
"""Prefix of one of our rows, with `MULTILINGUAL_WEIGHTS`."""
MULTILINGUAL_WEIGHTS = "multilingual-e5-small"
FULL = "full_"
"""Prefix of one of our rows, with `vocabulary: full`; it may follow `MULTILINGUAL`."""
DEFAULT = "pruned_60_int8"
"""`PrunedBertIntentClassifier` with its default options."""
_RASAS = ("keyword", "diet", "lmf_diet", "lmf_logistic", "quantized_logistic")
ROWS = (
    *_RASAS,
    *("dense_fp32", "dense_int8", "60", "80", "joint_dense_fp32", "joint_60"),
    *(f"{STUDENT}{name}" for name in ARCHITECTURES),
)
SHORT_ROWS = (
    *("keyword", "diet", "lmf_diet", "lmf_logistic", "quantized_logistic"),
    *("dense_fp32", "60", "80", "joint_60", "distilled_bilstm"),
)
KNOWN = ", ".join([DEFAULT, *ROWS[1:], "a percentage", f"{TRIM}SIZE", f"{BOTH}ROW", f"{FULL}ROW", f"{MULTILINGUAL}ROW"])
"""The names that `is_trainable` accepts, for messages."""
_SEED_OPTIONS = {
    **dict.fromkeys((OURS, DISTILLED, JOINT, "DIETClassifier", "ResponseSelector"), "random_seed"),
    "LogisticRegressionClassifier": "random_state",
}


def row_config(row: str, *, epochs: int = 0, diet_epochs: int = 100) -> Dict[str, Any]:
    """A complete config.yml.

    Args:
        row: one of `ROWS`, `DEFAULT`, any other percentage, `trim_` and the size of a vocabulary, `distilled_` and a
            student, `joint_` and one of our rows, or `multilingual_`, `full_` or both, and one of our BERT rows.
        epochs: epochs of our component; 0 for its default.
        diet_epochs: epochs of DIET; 100 in Rasa's default pipeline.
    """
    return complete(_rasa_pipeline(row, diet_epochs) or [_ours(row, epochs)])


def seeded(config: Dict[str, Any], seed: int) -> Dict[str, Any]:
    """A copy of a config.yml with this random seed for every classifier that has one."""
    pipeline = [
        {**item, _SEED_OPTIONS[item["name"]]: seed} if item["name"] in _SEED_OPTIONS else item
        for item in config["pipeline"]
    ]
    return {**config, "pipeline": pipeline}


def without_folders(pipeline: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """A pipeline with the folder of the default weights replaced by their alias, since results are published."""
    folder = str(local_folder("all-MiniLM-L6-v2"))
    return [
        {**item, "model_weights": "all-MiniLM-L6-v2"} if item.get("model_weights") == folder else item
        for item in pipeline
    ]


def featurizers(weights: str) -> Dict[str, Dict[str, Any]]:
    """Both BERT featurizers, by name, with the weights of an alias or a folder."""
    lmf = language_model_featurizer(str(local_folder(weights)))
    return {LMF: lmf, QUANTIZED: {"name": QUANTIZED, "model_weights": weights}}


def featurizer_config(featurizer: Dict[str, Any], *, diet_epochs: int, seed: int = 42) -> Dict[str, Any]:
    """A complete config.yml: a featurizer, and DIET for intents and entities."""
    diet = {"name": "DIETClassifier", "epochs": diet_epochs, "constrain_similarities": True, "random_seed": seed}
    return complete([{"name": "WhitespaceTokenizer"}, featurizer, diet])


def is_ours(row: str) -> bool:
    """Whether a row's classifier is one of this package."""
    return row not in _RASAS


def is_bert(row: str) -> bool:
    """Whether a row is one of our BERT components, for intents or also for entities."""
    for prefix in (MULTILINGUAL, FULL):
        if row.startswith(prefix):
            return is_bert(row[len(prefix) :])
    own = row[len(BOTH) :] if row.startswith(BOTH) else row
    return own in (DEFAULT, "dense_fp32", "dense_int8") or (own[len(TRIM) :] if own.startswith(TRIM) else own).isdigit()


def is_trainable(row: str) -> bool:
    """Whether a row can learn arbitrary intents, as all but `keyword` can."""
    return row in ROWS and row != "keyword" or is_bert(row)


def model_name(row: str) -> str:
    """The row's name in tables."""
    for prefix in (BOTH, MULTILINGUAL, FULL):
        if row.startswith(prefix):
            return prefix + model_name(row[len(prefix) :])
    return f"pruned_{row}_int8" if row.isdigit() else row


def _ours(row: str, epochs: int) -> Dict[str, Any]:
    if row.startswith(MULTILINGUAL):
        return {**_ours(row[len(MULTILINGUAL) :], epochs), "model_weights": MULTILINGUAL_WEIGHTS}
    if row.startswith(FULL):
        return {**_ours(row[len(FULL) :], epochs), "vocabulary": "full"}
    if row.startswith(STUDENT):
        own = {"name": DISTILLED, "student": {"architecture": row[len(STUDENT) :]}}
        return {**own, "epochs": epochs} if epochs else own
    if row.startswith(BOTH):
        return {**_ours(row[len(BOTH) :], epochs), "name": JOINT}
    options: Dict[str, Any] = {"name": OURS}
    if epochs:
        options["epochs"] = epochs
    if row.isdigit():
        options["pruning"] = {"final_sparsity": int(row) / 100}
    elif row.startswith(TRIM):
        options.update(vocabulary="trim", vocabulary_size=int(row[len(TRIM) :]))
    elif row != DEFAULT:
        options["pruning"] = {"method": "none"}
        options["quantization"] = {"method": "none" if row == "dense_fp32" else "dynamic_int8"}
    return options


def _rasa_pipeline(row: str, diet_epochs: int) -> List[Dict[str, Any]]:
    diet = {"name": "DIETClassifier", "epochs": diet_epochs, "constrain_similarities": True}
    if row == "keyword":  # shows the time that Rasa itself takes for a message
        return [{"name": "KeywordIntentClassifier"}]
    if row == "diet":  # as in `rasa init`, without ResponseSelector, which only retrieval intents need
        return [
            {"name": "WhitespaceTokenizer"},
            {"name": "RegexFeaturizer"},
            {"name": "LexicalSyntacticFeaturizer"},
            {"name": "CountVectorsFeaturizer"},
            {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
            diet,
            {"name": "EntitySynonymMapper"},
            {"name": "FallbackClassifier", "threshold": 0.3, "ambiguity_threshold": 0.1},
        ]
    if row in _RASAS:  # a BERT that is not fine-tuned, and a classifier on its features
        featurizer, classifier = row.split("_")
        item = featurizers("all-MiniLM-L6-v2")[LMF if featurizer == "lmf" else QUANTIZED]
        return [{"name": "WhitespaceTokenizer"}, item, diet if classifier == "diet" else LOGISTIC]
    return []


def language_model_featurizer(folder: str) -> Dict[str, Any]:
    """Rasa's BERT featurizer with the weights of a folder."""
    return {"name": LMF, "model_name": "bert", "model_weights": folder}


def complete(pipeline: List[Dict[str, Any]]) -> Dict[str, Any]:
    """A complete config.yml with a pipeline."""
    return {"recipe": "default.v1", "assistant_id": "benchmark", "language": "en", "pipeline": pipeline}
