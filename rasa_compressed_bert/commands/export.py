"""`export`: a trained model for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from rasa_compressed_bert.commands.options import make_folder, write
from rasa_compressed_bert.errors import CompressedBertError

_CALIBRATION_MESSAGES = 300


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    export = commands.add_parser(
        "export",
        help="a trained model for other programs, as ONNX or TFLite",
        description="Writes a model file with its weights, tokenizer.json (of the `tokenizers` library) and "
        "manifest.json (labels in the order of the logits, and the temperature that logits are divided by).",
    )
    export.set_defaults(run=run)
    export.add_argument("model", type=Path, metavar="MODEL", help="a trained model, a folder of models or an artifact")
    export.add_argument("--format", choices=("onnx", "tflite"), default="onnx", help="default: %(default)s")
    export.add_argument(
        "--quantization",
        choices=("none", "dynamic_int8", "static_int8"),
        help="of TFLite: floats, 8-bit weights (default), or 8-bit activations too, which needs --nlu",
    )
    export.add_argument("--nlu", type=Path, metavar="NLU.yml", help="messages that static_int8 is calibrated on")
    export.add_argument("--out", type=Path, default=Path("exported"), help="folder (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """A trained model for other programs."""
    from rasa_compressed_bert.artifact.archives import artifacts_of
    from rasa_compressed_bert.components.nlu_files import load_messages
    from rasa_compressed_bert.export.standalone import onnx_files, tflite_files

    if arguments.format == "onnx" and (arguments.quantization or arguments.nlu):
        raise CompressedBertError("--quantization and --nlu are for --format tflite: ONNX has the model's own format.")
    texts = []
    if arguments.nlu:
        texts = [message.text for message in load_messages(arguments.nlu, _CALIBRATION_MESSAGES)]
    found = artifacts_of(arguments.model)
    if not found:
        raise CompressedBertError(f"'{arguments.model}' holds no component of rasa_compressed_bert.")
    folders = {name: arguments.out / name if len(found) > 1 else arguments.out for name in found}
    for folder in folders.values():
        make_folder(folder)
    for name, artifact in found.items():
        if arguments.format == "onnx":
            files = onnx_files(artifact)
        else:
            files = tflite_files(artifact, quantization=arguments.quantization or "dynamic_int8", texts=texts)
        for file, data in files.items():
            (folders[name] / file).write_bytes(data)
            write(f"Written: {folders[name] / file} ({len(data) / 1e6:.2f} MB)\n")
