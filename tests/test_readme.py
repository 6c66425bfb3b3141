"""README and docs/: every YAML is valid and trains, tables show the committed results, commands and files exist."""

import json
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image
from test_pipelines import OURS, PIPELINES, our_configs, train_and_parse

from benchmarks import search_answers
from benchmarks.common.names import name_of
from rasa_compressed_bert.__main__ import main
from rasa_compressed_bert.benchmark.report import digest_of
from rasa_compressed_bert.config import BertAnswerExtractorConfig, PrunedBertIntentClassifierConfig
from rasa_compressed_bert.models.pretrained import ALIASES
from rasa_compressed_bert.search.space import read_space
from scripts import fill_pages, options
from scripts.fill_pages import filled

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {page.name: page.read_text(encoding="utf-8") for page in fill_pages.PAGES if page != options.PAGE}
WHOLE = "\n".join(PAGES.values())
YAML = re.compile(r"```yaml\n(.*?)```", flags=re.DOTALL)
YAMLS = [  # blocks of a bot's data: tests/test_faq_page.py, tests/components/test_answers_page.py
    text for text in dict.fromkeys(YAML.findall(WHOLE)) if "pipeline" in yaml.safe_load(text)
]


def pipeline_of(text):
    return yaml.safe_load(text)["pipeline"]


def what_trains(text):
    """What distinguishes trainings in these tests: the components of a pipeline, and all options of ours.

    Defaults may be written or left out, and all weights are replaced by tiny ones.
    """
    config = yaml.safe_load(text)
    ours = [{**options.to_dict(), "model_weights": None} for options in our_configs(config)]
    return ours, [item["name"] for item in config["pipeline"]]


DEFAULT = "Pruned BERT (default)"
UNLINKED = ("README.md", "api.md")
RESULTS = fill_pages.committed()
COMPARISONS = fill_pages.comparisons()
TABLES = re.findall(r"<!-- table: (\w+) -->\n(.*?)\n\n", WHOLE, flags=re.DOTALL)


def test_there_is_a_snippet_for_every_component():
    assert {item["name"] for text in YAMLS for item in pipeline_of(text)} >= set(OURS)


def test_there_are_tables():
    assert {name for name, _ in TABLES} == {
        *("sara2019", "clinc150", "sst2", "kmeans_sara2019", "runtimes_sara2019", "vocabulary_sara2019"),
        *("featurizer_snips", "featurizer_sara2019", "spacy_snips", "spacy_clinc150"),
        *("entities_snips", "entities_snips_full", "entities_sara2019", "entities_xsid_de", "lookups_snips"),
        *("students_clinc150", "distillation_clinc150", "distillation_sara2019", "distillation_snips"),
        *("distillation_sst2", "search_student_sara2019", "seeds_sara2019"),
        *("real_bots_hint3_sofmattress", "real_bots_hint3_curekart", "few_shot_clinc150", "responses_bot_faq_zh"),
        *("responses_sara2019", "large_vocabulary"),
    }


@pytest.mark.parametrize("text", YAMLS)
def test_yaml_is_valid(text):
    assert our_configs(yaml.safe_load(text))


TRAINED = [what_trains(path.read_text(encoding="utf-8")) for path in PIPELINES]  # by tests/test_pipelines.py
UNTRAINED = [text for text in YAMLS if what_trains(text) not in TRAINED]


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
@pytest.mark.parametrize("text", UNTRAINED)
def test_yaml_trains(text, tiny_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parsed = train_and_parse(yaml.safe_load(text), tiny_weights, tmp_path)
    assert {entry["name"] for entry in parsed["intent_ranking"]} >= {"weather", "food"}


@pytest.mark.parametrize("option", re.findall(r"\| `(\w+: [^`]*)` \|", PAGES["choosing.md"]))
def test_options_of_the_table_of_choices_are_valid(option):
    PrunedBertIntentClassifierConfig.from_dict(yaml.safe_load(option))


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_the_committed_results(page):
    assert filled(PAGES[page]) == PAGES[page], "`python -m scripts.fill_pages` writes them anew"


def test_there_are_results():
    assert {"growth", "load", "shapes", "sara2019", "clinc150", "entities_snips", "sst2"} <= set(RESULTS)
    assert {"sara2019", "clinc150", "entities_snips", "sst2", "spacy_snips"} <= set(COMPARISONS)


@pytest.mark.parametrize("name", sorted(set(RESULTS) - set(fill_pages.UNNAMED)))
def test_pages_of_results_are_those_of_their_json(name):
    written = (fill_pages.RESULTS / f"{name}.md").read_text(encoding="utf-8")
    assert written == fill_pages.page(name, RESULTS[name]), "`python -m scripts.fill_pages` writes it anew"


@pytest.mark.parametrize("name, content", COMPARISONS.items())
def test_plots_of_comparisons_are_those_of_their_json(name, content):
    with Image.open(fill_pages.RESULTS / f"{name}.png") as image:
        assert image.text["Description"] == digest_of(content["results"])


def test_the_page_of_options_is_that_of_the_dataclasses():
    assert options.PAGE.read_text(encoding="utf-8") == options.page(), "`python -m scripts.options` writes it anew"


def test_a_table_is_filled_from_the_result_that_is_like_it():
    name, table = TABLES[0]
    right = f"<!-- table: {name} -->\n{table}\n"
    assert filled(re.sub(r"\d+\.\d+", "0.0", right)) == right != re.sub(r"\d+\.\d+", "0.0", right)


def test_the_summary_is_filled_from_the_results_that_it_names():
    (right,) = [match[0] for match in fill_pages.SUMMARY.finditer(README)]
    assert filled(re.sub(r"\d+\.\d+", "0.0", right)) == right != re.sub(r"\d+\.\d+", "0.0", right)


@pytest.mark.parametrize("target", re.findall(r"^make ([a-z-]+)$", README, flags=re.MULTILINE))
def test_make_targets_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_files_that_are_named_exist():
    names = re.findall(r"`((?:benchmarks|tests|pipelines|docs)/[\w./]*)`", WHOLE)
    names += re.findall(r"\]\(([\w./]+)\)", README)
    for name in names:
        assert (ROOT / name).exists(), name


def test_times_of_the_page_of_choices_are_those_of_the_tables():
    rows = re.findall(r"\| (?:all-MiniLM|BERT-base).*", PAGES["featurizer.md"])
    faster = [row.split("|") for row in rows]
    ratios = {name: [float(cells[-2]) for cells in faster if name in cells[1]] for name in ("MiniLM", "BERT-base")}
    small, large = (f"{min(own):.0f} to {max(own):.0f} times" for own in ratios.values())
    assert f"{small} faster with MiniLM ({large} with BERT-base's shape)" in PAGES["choosing.md"]
    paths = [f"{name}.json" for name in ("sara2019", "clinc150", "sst2", "entities_snips")]
    contents = [json.loads((fill_pages.RESULTS / path).read_text(encoding="utf-8")) for path in paths]
    results = [result for content in contents for result in content["results"]]
    students = [result for result in results if name_of(result["model"]) == "BiLSTM student"]
    sizes, times = ([result[name] for result in students] for name in ("archive_mb", "components_p50_ms"))
    assert len(students) == len(paths)
    assert f"has {min(sizes):.1f} to {max(sizes):.1f} MB and takes" in PAGES["choosing.md"]
    assert f"{min(times):.2f} to {max(times):.2f} ms for a message, without Rasa's own work" in PAGES["choosing.md"]
    assert f"a student model of about {sum(sizes) / len(sizes):.0f} MB" in README


def test_the_time_of_a_training_in_the_readme_is_that_of_the_table():
    (default,) = [result for result in COMPARISONS["clinc150"]["results"] if name_of(result["model"]) == DEFAULT]
    assert round(default["training_s"] / 60) == 5 and "2,000 messages of 150 intents took five minutes" in README


def test_the_readme_is_short():
    assert len(README.split()) <= 1300 and len(README.splitlines()) <= 160


def test_the_readme_names_the_digest_of_the_default_weights():
    assert f"`{ALIASES['all-MiniLM-L6-v2'].sha256}`" in README


def test_the_readme_leads_to_every_guide():
    assert {f"docs/{name}" for name in PAGES if name not in UNLINKED} <= set(re.findall(r"\]\((docs/[\w.]+)\)", README))


def test_data_of_a_bot_is_on_pages_with_tests_of_their_own_alone():
    pages = {name for name, page in PAGES.items() for text in YAML.findall(page) if text not in YAMLS}
    assert pages == {"faq_bots.md", "answers.md"}


def test_the_spaces_of_the_search_are_valid():
    messages, answers = re.findall(r"```\n(search:.*?)```", WHOLE, flags=re.DOTALL)
    space = read_space(yaml.safe_load(messages)["search"], PrunedBertIntentClassifierConfig)
    assert set(space) == {"pruning.final_sparsity", "learning_rate", "quantization.method"}
    space = read_space(yaml.safe_load(answers)["search"], BertAnswerExtractorConfig)
    assert len(space) == 6 and not set(space) - set(search_answers.SPACE)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"rasa-compressed-bert ([a-z-]+)", WHOLE))))
def test_sub_commands_exist(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0 and "usage:" in capsys.readouterr().out
