"""Our classifier, the same weights as a spaCy package with Rasa's own classifiers, and word counts.

python -m benchmarks.run_spacy --data snips=DATA/snips --data clinc150=DATA/clinc150
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from benchmarks.common.commands import command_line, named_folder, run_all
from benchmarks.common.datasets import prepare
from benchmarks.common.pages import write_results
from benchmarks.common.rows import complete, row_config
from benchmarks.common.training import file_digest, train_row
from rasa_compressed_bert.artifact.archives import artifacts_of
from rasa_compressed_bert.benchmark.comparison import compare_models
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.reporting.environment import environment
from rasa_compressed_bert.spacy_pipeline.package import PIPELINE, Package, write_package

logger = logging.getLogger("benchmarks")
HERE = Path(__file__).parent
OURS, BLANK, PACKAGE = "pruned_60_int8", "blank", "package"
CLASSIFIERS = {
    "sklearn": {"name": "SklearnIntentClassifier"},
    "logistic": {"name": "LogisticRegressionClassifier"},
}
_VECTOR_SIZE = 384  # MiniLM's


def main() -> int:
    """Trains what is missing, measures all rows of a data set in one run, and writes the results."""
    return run_all(_arguments(), run_data_set)


def run_data_set(name: str, source: Path, *, arguments: argparse.Namespace) -> None:
    """Measures one data set, and writes `spacy_<name>.json`, `.md` and `.png` to the folder of results."""
    title = f"spacy_{name}"
    work = arguments.work / title
    training, test = prepare(source, work / "data", sample=arguments.sample)
    logger.info(f"{title}: {OURS}")
    trained = {OURS: train_row(work / OURS, row_config("60"), training)}
    package = work / f"{PACKAGE}_{file_digest(work / OURS / 'model.tar.gz')[:16]}"  # rows are trained on its features
    wheel = _package(work / OURS / "model.tar.gz", package)
    _blank_pipeline(training, work / BLANK)
    rows = {"keyword": row_config("keyword"), **_spacy_rows(PACKAGE, package / PIPELINE)}
    rows.update(_spacy_rows(BLANK, work / BLANK))
    counts = [{"name": "WhitespaceTokenizer"}, {"name": "CountVectorsFeaturizer"}, CLASSIFIERS["logistic"]]
    rows["counts_logistic"] = complete(counts)
    for row, config in rows.items():
        logger.info(f"{title}: {row}")
        trained[row] = train_row(work / row, config, work / "data" / "keyword.yml" if row == "keyword" else training)
    messages = load_messages(test)
    models = {row: work / row / "model.tar.gz" for row in trained}
    results = compare_models(models, messages, threads=1)
    for row, result in zip(trained, results):
        result["training_s"] = trained[row]["training_s"]
        result["pipeline"] = _without_folders(trained[row]["config"]["pipeline"], package=package, blank=work / BLANK)
        if row == "keyword":  # its score is meaningless: it only shows the time that Rasa itself takes
            result.update(accuracy=None, macro_f1=None)
    content = {
        "data": name,
        "training_messages": len(load_messages(training)),
        "test_messages": len(messages),
        "command": command_line("benchmarks.run_spacy"),
        "environment": environment(),
        "wheel_mb": wheel.stat().st_size / 1e6,
        "note": f"The package's wheel has {wheel.stat().st_size / 1e6:.1f} MB.",
        "results": results,
    }
    write_results(title, content, folder=arguments.results)


def _package(model: Path, folder: Path) -> Path:
    """Packages the trained model for spaCy, replacing an existing package."""
    shutil.rmtree(folder, ignore_errors=True)
    (artifact,) = artifacts_of(model).values()
    return write_package(artifact, Package("benchmark", "en"), folder)


def _blank_pipeline(training: Path, folder: Path) -> None:
    """Writes spaCy's blank English with a random vector for each training word, to measure the cost of spaCy itself."""
    import spacy

    nlp = spacy.blank("en")
    rng = np.random.default_rng(0)
    words = {token.text for message in load_messages(training) for token in nlp.make_doc(message.text)}
    for word in sorted(words):
        nlp.vocab.set_vector(word, rng.normal(size=_VECTOR_SIZE).astype(np.float32))
    nlp.to_disk(folder)


def _spacy_rows(name: str, model: Path) -> Dict[str, Dict[str, Any]]:
    """A configuration per classifier, by its name."""
    spacy_nlp = {"name": "SpacyNLP", "model": str(model.resolve()), "case_sensitive": True}
    before = [spacy_nlp, {"name": "SpacyTokenizer"}, {"name": "SpacyFeaturizer"}]
    return {f"{name}_{key}": complete([*before, classifier]) for key, classifier in CLASSIFIERS.items()}


def _without_folders(pipeline: Sequence[Dict[str, Any]], *, package: Path, blank: Path) -> List[Dict[str, Any]]:
    """A pipeline with folders replaced by names of their content, since results are published."""
    names = {str((package / PIPELINE).resolve()): PACKAGE, str(blank.resolve()): BLANK}
    return [{**item, "model": names[item["model"]]} if "model" in item else item for item in pipeline]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", action="append", type=named_folder, required=True, help="[NAME=]DIR")
    parser.add_argument("--sample", type=int, default=3000, help="stratified training sample; 0 for all")
    parser.add_argument("--work", type=Path, default=HERE / "results" / "scratch", help="folder of models")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
