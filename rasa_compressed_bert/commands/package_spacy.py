"""`package-spacy`: a trained model as an installable spaCy pipeline."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Optional, Tuple

from rasa_compressed_bert.commands.help import add_command
from rasa_compressed_bert.commands.options import make_folder, write
from rasa_compressed_bert.commands.project import known_values_of
from rasa_compressed_bert.commands.quiet import training_shown
from rasa_compressed_bert.errors import ConfigError, RuntimeMissingError
from rasa_compressed_bert.runtime.opening import as_artifact_error

if TYPE_CHECKING:  # help starts without numpy
    from rasa_compressed_bert.artifact.artifact import Artifact

_TRAINED_BY = "JointBertClassifier"


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    package = add_command(
        commands,
        "package-spacy",
        run=run,
        help="write a fine-tuned BERT as an installable spaCy pipeline, for Rasa's SpacyNLP too",
        description="Writes a component of a trained model as a wheel, and as a folder with the same pipeline. With "
        "--weights and --nlu it trains the model first, with the defaults of JointBertClassifier.",
        examples=[
            "package-spacy models/joint.tar.gz --name en_bert --out package",
            "package-spacy --weights all-MiniLM-L6-v2 --nlu data/nlu.yml --name en_bert --language en --out package",
        ],
    )
    package.add_argument(
        "model", nargs="?", type=Path, metavar="MODEL", help="a trained model, a folder of models or an artifact"
    )
    package.add_argument(
        "--component", metavar="NAME", help="component to package, if the model has several of this package"
    )
    package.add_argument(
        "--weights", help="instead of MODEL: pretrained weights, as an alias, a folder or a name on Hugging Face"
    )
    package.add_argument("--nlu", type=Path, metavar="NLU.yml", help="NLU data to fine-tune the weights on")
    package.add_argument("--name", required=True, help="name of the package, such as de_bert")
    package.add_argument("--language", metavar="CODE", help="language in spaCy, such as de (default: the model's)")
    package.add_argument("--version", default="1.0.0", help="version of the package")
    package.add_argument(
        "--beside", metavar="MODEL", help="another spaCy pipeline to run alongside, by its name or folder"
    )
    package.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to create for the package")


def run(arguments: argparse.Namespace) -> None:
    """Writes a trained model as an installable spaCy pipeline."""
    try:
        from rasa_compressed_bert.spacy_pipeline.package import PIPELINE, Package, check, spacy_code, write_package
    except ImportError as error:
        raise RuntimeMissingError("Packages need spaCy: pip install 'rasa_compressed_bert[spacy]'") from error

    given = [arguments.model is not None, arguments.weights is not None, arguments.nlu is not None]
    if given not in ([True, False, False], [False, True, True]):
        raise ConfigError("Give either a trained MODEL, or --weights and --nlu to fine-tune them on.")
    if arguments.model is None and arguments.component is not None:
        raise ConfigError("--component is only for a trained MODEL: leave it out with --weights.")
    language: Optional[str] = arguments.language
    choices: Dict[str, Artifact] = {}
    if arguments.model is not None:
        language, choices = _read(arguments.model, language)
    if not language:
        raise ConfigError("--language is missing: name the language of the training data, as in --language de.")
    package = Package(arguments.name, spacy_code(language), arguments.version)
    check(package, arguments.out, other=arguments.beside)
    make_folder(arguments.out.parent)
    if arguments.model is None:
        artifact = _trained(arguments.weights, arguments.nlu)
    else:
        artifact = _chosen(choices, arguments.component, arguments.model)
    wheel = write_package(artifact, package, arguments.out, other=arguments.beside)
    write(f"Written: {wheel} ({wheel.stat().st_size / 1e6:.1f} MB)\n")
    write(f'Install it with `pip install {shlex.quote(str(wheel))}`, load it as `spacy.load("{package.full_name}")`;\n')
    write(f'or use it where it is, as `spacy.load("{arguments.out / PIPELINE}")`.\n')


def _read(model: Path, language: Optional[str]) -> Tuple[Optional[str], Dict[str, Artifact]]:
    """The language of a model, unless one is given, and its artifacts."""
    from rasa_compressed_bert.artifact.archives import archive_path, artifacts_in, is_artifact, metadata, unpacked
    from rasa_compressed_bert.artifact.artifact import read_artifact

    if is_artifact(model):
        return language, {model.name: read_artifact(model)}
    with unpacked(archive_path(model)) as folder:
        trained = metadata(folder).get("language")
        return language or (trained if isinstance(trained, str) else None), artifacts_in(folder)


@as_artifact_error()
def _chosen(artifacts: Dict[str, Artifact], name: Optional[str], model: Path) -> Artifact:
    """The artifact of the component to package."""
    from rasa_compressed_bert.artifact.artifact import (
        ENTITY_EXTRACTOR,
        INTENT_CLASSIFIER,
        JOINT_CLASSIFIER,
        SPACY_MODEL,
        WEIGHTS,
    )

    kinds = (INTENT_CLASSIFIER, ENTITY_EXTRACTOR, JOINT_CLASSIFIER)
    found = {key: value for key, value in artifacts.items() if value.manifest["kind"] in kinds}
    if not found:
        raise ConfigError(f"'{model}' has no classifier and no entity extractor of rasa_compressed_bert to package.")
    if name is None and len(found) > 1:
        raise ConfigError(f"'{model}' holds several components; choose one with --component: {', '.join(found)}")
    if name is not None and name not in found:
        raise ConfigError(f"--component: '{model}' has no '{name}'; it has {', '.join(found)}")
    artifact = found[name or next(iter(found))]
    if not {WEIGHTS, SPACY_MODEL} & set(artifact.files):
        raise ConfigError(f"'{model}' was trained without data for this component: it cannot be packaged.")
    return artifact


def _trained(weights: str, nlu: Path) -> Artifact:
    """An artifact that is trained on the intents and entities of NLU data, as far as it has them."""
    from rasa_compressed_bert.components.message_io import entity_examples
    from rasa_compressed_bert.components.nlu_files import load_training_data
    from rasa_compressed_bert.config import JointBertClassifierConfig
    from rasa_compressed_bert.tasks.bert_training import train_or_finetune
    from rasa_compressed_bert.tasks.watched import watched

    data = load_training_data(nlu)
    examples, known = entity_examples(data, extractor=_TRAINED_BY), known_values_of(data)
    config = JointBertClassifierConfig.from_dict({"model_weights": weights})
    with training_shown(), watched(config, messages=len(examples), continued=False):
        return train_or_finetune(examples, config, None, known=known)
