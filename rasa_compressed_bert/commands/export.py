"""`export`: a trained model for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from rasa_compressed_bert.commands.help import add_command
from rasa_compressed_bert.commands.options import make_folder, write
from rasa_compressed_bert.errors import CompressedBertError, ExportError
from rasa_compressed_bert.reporting.printable import as_printable
from rasa_compressed_bert.units import MB

_CALIBRATION_MESSAGES = 300
_FORMATS = ("onnx", "tflite")


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    export = add_command(
        commands,
        "export",
        run=run,
        help="write a trained model for other programs, as ONNX or TFLite",
        description="Writes a model file with its weights, tokenizer.json (for the `tokenizers` library) and "
        "manifest.json (labels in the order of the logits, and the temperature that logits are divided by). This is "
        "the network alone: the views of a message and the detection of messages out of scope are not in it.",
        examples=[
            "export models --out exported",
            "export models/nlu.tar.gz --format tflite --quantization static_int8 --nlu data/nlu.yml",
        ],
    )
    export.add_argument("model", type=Path, metavar="MODEL", help="a trained model, a folder of models or an artifact")
    export.add_argument("--format", choices=_FORMATS, default="onnx", help="format of the model file")
    export.add_argument(
        "--quantization",
        choices=("none", "dynamic_int8", "static_int8"),
        metavar="METHOD",
        help="for TFLite: none for floats, dynamic_int8 for 8-bit weights, static_int8 for 8-bit activations too, "
        "which needs --nlu (default: dynamic_int8)",
    )
    export.add_argument("--nlu", type=Path, metavar="NLU.yml", help="messages to calibrate static_int8 on")
    export.add_argument("--out", type=Path, default=Path("exported"), metavar="FOLDER", help="folder for the files")


def run(arguments: argparse.Namespace) -> None:
    """Writes a trained model for other programs.

    Raises:
        CompressedBertError: if options contradict each other, if there is no model, or if a component cannot be
            exported, after all others were written.
    """
    from rasa_compressed_bert.artifact.archives import artifacts_of, is_artifact
    from rasa_compressed_bert.artifact.artifact import MANIFEST, TOKENIZER
    from rasa_compressed_bert.components.nlu_files import load_messages
    from rasa_compressed_bert.export.standalone import onnx_files, tflite_files

    if arguments.format == "onnx" and (arguments.quantization or arguments.nlu):
        raise CompressedBertError(
            "--quantization and --nlu are only for --format tflite: ONNX keeps the model's own quantization."
        )
    if arguments.nlu and arguments.quantization != "static_int8":
        raise CompressedBertError("--nlu is only used to calibrate static_int8: add --quantization static_int8.")
    if arguments.quantization == "static_int8" and not arguments.nlu:
        raise CompressedBertError("--quantization static_int8 is calibrated on messages: add --nlu.")
    texts = []
    if arguments.nlu:
        texts = [message.text for message in load_messages(arguments.nlu, _CALIBRATION_MESSAGES)]
    found = artifacts_of(arguments.model)
    if not found:
        raise CompressedBertError(f"'{arguments.model}' has no component of rasa_compressed_bert to export.")
    folders = {name: arguments.out / name if len(found) > 1 else arguments.out for name in found}
    for folder in folders.values():
        if is_artifact(folder):
            raise CompressedBertError(f"--out: '{folder}' is a model, which the files would replace; name another.")
        if (folder / TOKENIZER).exists() and not (folder / MANIFEST).exists():  # not an earlier export
            raise CompressedBertError(
                f"--out: '{folder}' has the {TOKENIZER} of other weights, which would be replaced; name another folder."
            )
        make_folder(folder, files=[f"model.{arguments.format}", TOKENIZER, MANIFEST])
    failed = []
    for name, artifact in found.items():
        try:
            if arguments.format == "onnx":
                files = onnx_files(artifact)
            else:
                files = tflite_files(artifact, quantization=arguments.quantization or "dynamic_int8", texts=texts)
        except ExportError as error:  # the other components are still exported
            failed.append(f"Component '{name}': {error}")
            continue
        if _describes_another(folders[name], files, arguments.format):
            failed.append(
                f"Component '{name}': '{folders[name]}' has another model in another format, whose labels and "
                "temperature would be replaced; name another folder."
            )
            continue
        for file, data in files.items():
            (folders[name] / file).write_bytes(data)
            write(as_printable(f"Written: {folders[name] / file} ({len(data) / MB:.2f} MB)\n"))
    if failed:
        raise ExportError("\n".join(failed))


def _describes_another(folder: Path, files: Mapping[str, bytes], written: str) -> bool:
    """Whether a folder has a model in another format, which the files beside the new model do not describe."""
    if not any((folder / f"model.{other}").exists() for other in _FORMATS if other != written):
        return False
    beside = {folder / name: data for name, data in files.items() if not name.startswith("model.")}
    return any(not path.is_file() or path.read_bytes() != data for path, data in beside.items())
