"""The pipelines with a spaCy package train and predict, and the commands of docs/spacy.md work."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
import yaml
from forked_rasa import run_rasa
from test_pipelines import NLU

from rasa_compressed_bert.benchmark.workers import worker_environment

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "spacy.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines()]
(SNIPPET,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
MODELS = ("joint", "sklearn", "logistic", "everything")
TEXTS = ("i order a pizza", "a table, a pizza")
SAY = f"""
import asyncio, json
from rasa.core.agent import Agent

answers = {{}}
for model in {MODELS}:
    agent = Agent.load(f"models/{{model}}.tar.gz")
    answers[model] = {{text: asyncio.run(agent.parse_message(text)) for text in {TEXTS}}}
print(json.dumps(answers))
"""
OTHER = "en_core_web_md"  # replaced by a small pipeline that is made here


def environment(folder):
    """Environment variables that make packages install into a folder of the test, without a registry."""
    site = str(folder / "site")
    pip = {"PIP_TARGET": site, "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    tools = str(Path(sys.executable).parent)
    paths = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    return {**worker_environment(2), **pip, **paths, "RASA_MAX_CACHE_SIZE": "0"}


def run(command, folder):
    """Runs a command that must succeed; Rasa's run in forked processes, which find the installed packages too."""
    if command.startswith("rasa "):
        found = f"import sys; sys.path.insert(0, {str(folder / 'site')!r})"
        status, said = run_rasa(
            shlex.split(command)[1:], folder, environment=environment(folder), seconds=300, first=found
        )
        assert status == 0, f"{command}\n{said[-4000:]}"
        return said
    done = subprocess.run(
        command, cwd=str(folder), env=environment(folder), shell=True, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_weights):
    """A project in which all commands of docs/spacy.md have been run with tiny weights."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "data").mkdir()
    (folder / "data" / "nlu.yml").write_text(NLU, encoding="utf-8")
    (folder / "pipelines").mkdir()
    for path in (ROOT / "pipelines").glob("*.yml"):
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        for item in config["pipeline"]:
            if item["name"].endswith("JointBertClassifier"):
                item.update(model_weights=str(tiny_weights), epochs=60, learning_rate=0.003, batch_size=8)
                item.update(validation_split=0.0, pruning={"method": "none"})
        (folder / "pipelines" / path.name).write_text(yaml.safe_dump(config), encoding="utf-8")
    other = spacy.blank("en")
    other.add_pipe("entity_ruler").add_patterns([{"label": "TABLE", "pattern": "table"}])
    other.to_disk(folder / OTHER)
    for command in COMMANDS:
        run(command.replace("--weights all-MiniLM-L6-v2", f"--weights {tiny_weights}"), folder)
    return folder


@pytest.fixture(scope="module")
def answers(project):
    """The predictions of the models in another process, by model and text."""
    (project / "say.py").write_text(SAY, encoding="utf-8")
    return json.loads(run(f'"{sys.executable}" say.py', project).splitlines()[-1])


def test_the_page_has_commands():
    assert len(COMMANDS) == 10


@pytest.mark.parametrize("model", MODELS)
def test_intents_and_entities(answers, model):
    answer = answers[model][TEXTS[0]]
    assert answer["intent"]["name"] == "food"
    assert {entry["name"] for entry in answer["intent_ranking"]} >= {"weather", "food"}
    found = [(entity["value"], entity["entity"], entity["extractor"]) for entity in answer["entities"]]
    if model != "sklearn":
        extractor = "JointBertClassifier" if model == "joint" else "SpacyEntityExtractor"
        assert ("pizza", "dish", extractor) in found


def test_both_pipelines_of_a_package_find_entities(answers):
    found = {(entity["value"], entity["entity"]) for entity in answers["everything"][TEXTS[1]]["entities"]}
    assert {("table", "TABLE"), ("pizza", "dish")} <= found


def test_the_snippet_runs(project):
    code = project / "snippet.py"
    code.write_text(SNIPPET, encoding="utf-8")
    lines = run(f'"{sys.executable}" snippet.py', project).splitlines()
    assert "weather" in lines[0] and "(32,) (32,)" in lines[2] and len(lines) == 5


def test_rasa_gives_all_components_the_first_spacy_model():
    """This is why a second pipeline must be in the same package."""
    from rasa.engine.recipes.default_recipe import DefaultV1Recipe
    from rasa.shared.data import TrainingType

    names = ["SpacyNLP", "SpacyTokenizer", "SpacyFeaturizer", "SpacyNLP", "SpacyEntityExtractor"]
    config = {"recipe": "default.v1", "language": "en", "pipeline": [{"name": name, "model": "any"} for name in names]}
    graph = DefaultV1Recipe().graph_config_for_recipe(config, {}, TrainingType.NLU).predict_schema
    assert {node.needs["model"] for node in graph.nodes.values() if "model" in node.needs} == {"provide_SpacyNLP0"}
    assert {"run_SpacyNLP3", "run_SpacyEntityExtractor4"} <= set(graph.nodes)
