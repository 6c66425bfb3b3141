"""Subpackages ("rooms") import only what the architecture allows, and modules stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rasa_compressed_bert
from rasa_compressed_bert.components.config_io import TOOLS

PACKAGE = Path(rasa_compressed_bert.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

BELOW_TASKS = {
    *(
        "errors",
        "units",
        "config",
        "data",
        "tokenization",
        "models",
        "compression",
        "training",
        "augmentation",
        "artifact",
        "export",
    ),
    "runtime",
    "views",
}
ROOMS = {
    "errors": set(),
    "units": set(),
    "config": {"errors"},
    "data": {"errors"},
    "metrics": {"data"},
    "tokenization": {"errors", "data"},
    "models": {"errors", "config", "tokenization"},  # only for the limits of untrusted tokenizers
    "compression": {"errors", "config", "models"},
    "views": {"errors"},
    "training": {"errors", "config", "data", "tokenization", "models", "compression", "views", "metrics"},
    "augmentation": {"errors", "config", "data", "tokenization"},
    "students": {*BELOW_TASKS, "tasks", "heads"},  # imported only through their registered names
    "artifact": {"errors", "data"},
    "export": {"errors", "config", "tokenization", "models", "compression", "artifact", "runtime"},
    "runtime": {"errors", "data", "tokenization", "artifact", "views"},
    "heads": {*BELOW_TASKS, "metrics"} - {"export", "augmentation"},
    "tasks": {*BELOW_TASKS, "metrics", "heads"},
    "spacy_pipeline": {"errors", "units", "artifact", "export", "runtime"},
    "search": {*BELOW_TASKS, "tasks", "metrics"},
    # `models` only for digests: changed weights and files must invalidate Rasa's cache
    "components": {"errors", "config", "data", "artifact", "runtime", "tasks", "models"},
    "reporting": {"errors"},
    "inspection": {*BELOW_TASKS, "tasks", "metrics", "reporting"},
    "benchmark": {*BELOW_TASKS, "metrics", "reporting"},
    "commands": {
        *BELOW_TASKS,
        *("tasks", "components", "reporting", "inspection", "benchmark", "spacy_pipeline", "search"),
    },
    "__main__": {"errors", "commands", "reporting"},
    "__init__": {"components"},
}
"""The parts of the package that a room may import besides itself."""

TENSORFLOW = {"tensorflow", "tensorflow_model_optimization"}
THIRD_PARTY = {
    "errors": set(),
    "units": set(),
    "config": set(),
    "data": {"numpy", "regex"},
    "metrics": {"numpy", "sklearn"},
    "tokenization": {"numpy", "tokenizers"},
    "views": {"numpy"},
    "models": {"numpy", "tensorflow", "transformers", "huggingface_hub", "safetensors", "torch", "h5py"},
    "compression": {"numpy", "sklearn", *TENSORFLOW},
    "training": {"numpy", "sklearn", "scipy", "tqdm", *TENSORFLOW},
    "augmentation": {"numpy", "sklearn", "scipy", "spacy"},
    "students": {"numpy", "scipy", "spacy", "onnx", *TENSORFLOW},
    "artifact": {"numpy", "safetensors"},
    "export": {"numpy", "onnx", "onnxruntime", "tensorflow"},
    "runtime": {"numpy"},
    "heads": {"numpy", "tensorflow"},
    "tasks": {"numpy", "regex", "scipy"},
    "components": {"numpy", "rasa"},
    "reporting": {"adjustText", "matplotlib", "psutil", "rich"},
    "inspection": {"jinja2", "markupsafe", "matplotlib", "numpy", "scipy"},
    "spacy_pipeline": {"spacy"},
    "search": {"numpy", "optuna", "sqlalchemy", "matplotlib", "plotly"},
    "__main__": set(),
    "__init__": set(),
}
"""The third-party packages that a room may import; `benchmark` and `commands` may import any."""
INFERENCE_LIBRARIES = {
    "runtime/onnxruntime_engine.py": {"onnxruntime"},
    "runtime/own_weights.py": {"google"},
    "runtime/passage_index.py": {"sklearn", "scipy"},
    "runtime/spacy_predictor.py": {"spacy"},
    "runtime/tensorflow_engine.py": {"tensorflow"},
    "runtime/tflite_engine.py": {"tensorflow", "ai_edge_litert", "flatbuffers"},
}
"""Further packages that an engine, or an index of documents, may import when it is opened."""


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].replace(".py", "")


def imports_of(path):
    """The dotted names of all imports of a module, including those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield f"relative import in line {node.lineno}"
            elif node.module == "rasa_compressed_bert":
                yield from (f"rasa_compressed_bert.{alias.name}" for alias in node.names)
            else:
                yield node.module


def modules():
    return pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 40 and {room_of(path) for path in MODULES} <= set(ROOMS)


@modules()
def test_imports_from_the_package(path):
    rooms = {name.split(".")[1] for name in imports_of(path) if name.startswith("rasa_compressed_bert.")}
    assert rooms - {room_of(path), "__version__"} <= ROOMS[room_of(path)]


@modules()
def test_imports_from_elsewhere(path):
    packages = {name.split(".")[0] for name in imports_of(path)} - set(sys.stdlib_module_names)
    if room_of(path) in THIRD_PARTY:
        own = INFERENCE_LIBRARIES.get(path.relative_to(PACKAGE).as_posix(), set())
        assert packages - {"rasa_compressed_bert"} <= THIRD_PARTY[room_of(path)] | own
    assert not any(name.startswith("relative") for name in packages)


@modules()
def test_one_file_knows_hugging_face(path):
    if any(name.split(".")[0] in ("transformers", "huggingface_hub") for name in imports_of(path)):
        assert path.name == "hugging_face.py" or room_of(path) == "benchmark"


@modules()
def test_size(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@modules()
def test_no_assert_no_print_no_pickle(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), "raise an error of `errors` instead"
    printing = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not printing or room_of(path) == "benchmark", "use a logger"
    assert not {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve"} & {
        name.split(".")[0] for name in imports_of(path)
    }


HEAVY = ("tensorflow", "transformers", "spacy", "rasa", "torch", "sklearn", "onnx", "ai_edge_litert", "tflite_runtime")
SERVING = [path.relative_to(PACKAGE).with_suffix("").as_posix() for path in MODULES if room_of(path) == "runtime"]


def test_there_are_engines_to_look_at():
    assert {"runtime/engines", "runtime/message_predictor", "runtime/word_featurizer"} < set(SERVING)
    assert set(INFERENCE_LIBRARIES) < {f"{module}.py" for module in SERVING}


READ_STUDENTS = "[config.student_options({'architecture': name}) for name in config.student.ARCHITECTURES]"


@pytest.mark.parametrize(
    "modules, statement",
    [([], "pass"), (["config"], f"from rasa_compressed_bert import config; {READ_STUDENTS}"), (SERVING, "pass")],
    ids=["package", "config", "runtime"],
)
def test_serving_half_imports_nothing_heavy(modules, statement):
    names = ["rasa_compressed_bert", *(f"rasa_compressed_bert.{module.replace('/', '.')}" for module in modules)]
    code = f"import sys, {', '.join(names)}; {statement}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert loaded.stdout.split() == []


def test_trained_models_do_not_depend_on_tools():
    """The key of Rasa's cache does not cover their source."""
    made_of, new = set(), {"components", "students"}  # students are imported by their registered names
    while new:
        made_of |= new
        new = set().union(*(ROOMS[room] for room in new)) - made_of
    assert made_of | {name.replace(".py", "") for name in TOOLS} | {"__init__"} == set(ROOMS)
    assert made_of.isdisjoint(TOOLS)


def test_there_is_no_component_of_another_name():
    with pytest.raises(AttributeError, match="no attribute 'PrunedBert'; its components are BertAnswerExtractor"):
        rasa_compressed_bert.PrunedBert  # noqa: B018
