"""The environment of a measurement, without anything that identifies the machine."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Mapping

from rasa_compressed_bert import __version__

_DISTRIBUTIONS = ("rasa", "tensorflow", "onnxruntime", "transformers", "tokenizers", "numpy")


def environment() -> Dict[str, Any]:
    """Processor, number of cores that this process may use, memory in GB, system, and versions."""
    import psutil

    versions = {"python": platform.python_version(), "rasa_compressed_bert": __version__}
    for name in _DISTRIBUTIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def in_words(values: Mapping[str, Any]) -> str:
    """The environment as one line of text."""
    versions = ", ".join(f"{name} {version}" for name, version in values["versions"].items())
    cores = f"{values['cores']} core" + ("" if values["cores"] == 1 else "s")
    return f"{values['processor']}, {cores}, {values['memory_gb']} GB, {values['system']}; {versions}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
