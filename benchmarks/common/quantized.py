"""A dense model trained by Rasa, and the same model in other formats and for other runtimes."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence

from benchmarks.common.rows import OURS, row_config
from benchmarks.common.training import train_row
from rasa_compressed_bert.artifact.archives import artifacts_in, artifacts_of, metadata, unpacked
from rasa_compressed_bert.artifact.artifact import WEIGHTS, Artifact, write_artifact
from rasa_compressed_bert.components.nlu_files import load_messages
from rasa_compressed_bert.config import PrunedBertIntentClassifierConfig, QuantizationConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.tasks.bert_training import requantize_bert

_CLASS = OURS.rpartition(".")[2]


@dataclass(frozen=True)
class Dense:
    """The dense model in 32-bit floats, from which all others are made.

    Attributes:
        archive: the archive of Rasa.
        artifact: the artifact in that archive.
        examples: the training examples.
    """

    archive: Path
    artifact: Artifact
    examples: Sequence[Example]

    @classmethod
    def trained(cls, folder: Path, nlu: Path, *, epochs: int) -> Dense:
        """Trains the model in `folder` by `rasa train nlu`, unless it exists; 0 epochs mean the default number."""
        train_row(folder, row_config("dense_fp32", epochs=epochs), nlu)
        archive = folder / "model.tar.gz"
        examples = [Example(message.text, message.intent) for message in load_messages(nlu)]
        return cls(archive, artifact_in(archive), examples)

    @property
    def digest(self) -> str:
        """sha256 of the weights."""
        return hashlib.sha256(self.artifact.files[WEIGHTS]).hexdigest()

    def quantized(self, quantization: QuantizationConfig, *, runtime: str = "onnxruntime") -> Artifact:
        """Quantizes the model; `aware_training` trains it further, with the same resulting weights for every runtime.

        Raises:
            ExportError: if the exported model disagrees with the quantized one.
        """
        config = PrunedBertIntentClassifierConfig.from_dict(self.artifact.manifest["config"])
        config = replace(config, quantization=quantization, runtime=runtime)
        return requantize_bert(self.examples, config, self.artifact)

    def archived(self, artifact: Artifact, target: Path) -> None:
        """Writes an archive as if Rasa had trained this artifact, with its options for the component."""
        options = {name: artifact.manifest["config"][name] for name in ("quantization", "runtime")}
        with unpacked(self.archive) as folder:
            (name,) = artifacts_in(folder)
            shutil.rmtree(str(folder / "components" / name))
            write_artifact(artifact, folder / "components" / name)
            content = metadata(folder)
            for schema in ("train_schema", "predict_schema"):
                for node in content[schema]["nodes"].values():
                    if node["uses"].endswith(f".{_CLASS}"):
                        node["config"].update(options)
            (folder / "metadata.json").write_text(json.dumps(content), encoding="utf-8")
            unfinished = target.with_name(f"{target.name}.new")
            with tarfile.open(unfinished, "w:gz") as tar:
                tar.add(folder, arcname="")
        unfinished.replace(target)


def artifact_in(archive: Path) -> Artifact:
    """The only artifact in an archive."""
    (artifact,) = artifacts_of(archive).values()
    return artifact
