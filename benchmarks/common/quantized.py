"""A dense model that Rasa trained, and the same model in other formats and for other runtimes."""

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
    """What everything starts from: in 32-bit floats, nothing pruned.

    Attributes:
        archive: of Rasa.
        artifact: in that archive.
        examples: that it was trained on.
    """

    archive: Path
    artifact: Artifact
    examples: Sequence[Example]

    @classmethod
    def trained(cls, folder: Path, nlu: Path, *, epochs: int) -> Dense:
        """Trained by `rasa train nlu` in `folder`, unless it was before; 0 epochs are the default number."""
        train_row(folder, row_config("dense_fp32", epochs=epochs), nlu)
        archive = folder / "model.tar.gz"
        examples = [Example(message.text, message.intent) for message in load_messages(nlu)]
        return cls(archive, artifact_in(archive), examples)

    @property
    def digest(self) -> str:
        """sha256 of the weights."""
        return hashlib.sha256(self.artifact.files[WEIGHTS]).hexdigest()

    def quantized(self, quantization: QuantizationConfig, *, runtime: str = "onnxruntime") -> Artifact:
        """The same model in a format; `aware_training` trains it for that, for every runtime to the same weights.

        Raises:
            ExportError: if the exported model disagrees with the one that it was made from.
        """
        config = PrunedBertIntentClassifierConfig.from_dict(self.artifact.manifest["config"])
        config = replace(config, quantization=quantization, runtime=runtime)
        return requantize_bert(self.examples, config, self.artifact)

    def archived(self, artifact: Artifact, target: Path) -> None:
        """Writes an archive as if Rasa had trained this artifact: the component has its options."""
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
