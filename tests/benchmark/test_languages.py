"""The script `languages`: rows, Rasa's tokenizers, tables, and a whole run without training."""

import importlib.util
import json
import sys

import pytest

from benchmarks import languages
from benchmarks.common import comparing, rasa_tokenizers
from benchmarks.common.datasets import write_nlu
from benchmarks.common.language_pages import to_markdown
from benchmarks.common.rasa_tokenizers import is_chinese, lmf_error, rasa_tokenizer, with_tokenizer
from benchmarks.common.rows import is_bert, model_name, row_config
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import LabelledMessage
from scripts import fill_pages

GERMAN = [LabelledMessage(f"Wetter in Ulm {index}", f"intent{index % 2}") for index in range(10)]
CITIES = [message._replace(entities=(EntitySpan(10, 13, "city"),)) for message in GERMAN]
CHINESE = [LabelledMessage(f"今天天气怎么样{index}", f"intent{index % 2}") for index in range(10)]


def run(monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["languages", *map(str, options)])
    return languages.main()


@pytest.fixture
def data(tmp_path):
    """Folders with data: with entities, without, and in several languages."""
    for name, messages in {"cities": CITIES, "chinese": CHINESE}.items():
        (tmp_path / name).mkdir()
        for file in ("train", "test"):
            write_nlu(messages, tmp_path / name / f"{file}.yml")
    (tmp_path / "many").mkdir()
    for file, messages in {"train_5k": CITIES, "test_en": CITIES, "test_de": GERMAN[:4], "test_zh": CHINESE}.items():
        write_nlu(messages, tmp_path / "many" / f"{file}.yml")
    return tmp_path


@pytest.fixture
def trained(monkeypatch):
    """Replaces training and comparison by stubs; records the trained configurations by folder, and the comparisons."""
    configs, compared = {}, []

    def train(folder, config, nlu, *, reuse):
        configs[f"{folder.parent.name}/{folder.name}"] = config
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.tar.gz").write_bytes(str(folder).encode())
        return {"training_s": 9.0, "command": "rasa train nlu", "config": config, "made_by_other_code": False}

    def compare(models, messages, **options):
        compared.append((list(models), len(messages)))
        figures = {"latency_p50_ms": 2.5, "archive_mb": 9.96, "memory_mb": 70.0, "load_s": 0.35}
        figures["accuracy"] = {10: 0.8, 4: 0.5}[len(messages)]
        if any(message.entities for message in messages):
            figures["entity_f1"] = 0.625
        return [{"model": name, **figures} for name in models]

    monkeypatch.setattr(comparing, "train_row", train)
    monkeypatch.setattr(comparing, "compare_models", compare)
    monkeypatch.setattr(languages, "lmf_error", lambda weights: "TypeError: no vocab.txt")
    return configs, compared


def test_a_whole_run_is_written_and_the_next_one_measures_nothing(data, trained, monkeypatch):
    configs, compared = trained
    options = ["--data", data / "cities", "--data", data / "chinese", "--cross-lingual", f"many={data / 'many'}"]
    options += ["--work", data / "work", "--results", data / "results"]
    assert run(monkeypatch, *options) == 0
    joint = ["multilingual_joint_60_1", "joint_60_1", "diet_1", "lmf_diet_1"]
    alone, abroad = ["multilingual_60_1", "60_1", "diet_1", "lmf_diet_1"], ["multilingual_full_60_1", "diet_1"]
    assert compared == [(joint, 10), (alone, 10), (abroad, 4), (abroad, 10), (abroad, 10)]
    (ours,) = configs["cross_lingual_many/multilingual_full_60_1"]["pipeline"]
    assert ours["vocabulary"] == "full" and ours["model_weights"] == "multilingual-e5-small"
    assert ours["random_seed"] == 1
    pages = {}
    for name in ("cities", "chinese", "many"):
        written = json.loads((data / "results" / f"languages_{name}.json").read_text(encoding="utf-8"))
        assert str(data) not in json.dumps(written)
        pages[name] = (data / "results" / f"languages_{name}.md").read_text(encoding="utf-8")
        assert pages[name] == to_markdown(f"languages_{name}", written)
    assert (data / "results" / "languages.png").stat().st_size > 1000
    page = pages["cities"]
    assert "cannot load `multilingual-e5-small`" in page and "`TypeError: no vocab.txt`" in page
    assert "| Multilingual joint pruned BERT (default) | 80.0 % | 62.5 % | 2.50 | 10.0 | 70 | 0.35 | 9 |" in page
    assert "lmf" not in page and "pruned_60" not in page, "names of rows are for files"
    assert "cannot load" not in pages["many"], "where no row has LanguageModelFeaturizer"
    assert "| Multilingual full-vocabulary pruned BERT (default) | Rasa's default (DIET) |" in pages["many"]
    assert "| de | 4 | 50.0 % | 50.0 % |\n| en | 10 | 80.0 % | 80.0 % |" in pages["many"]
    assert "| mean of 2 |  | 65.0 % | 65.0 % |" in pages["many"], "of German and Chinese, not of English"
    assert run(monkeypatch, *options) == 0 and len(compared) == 5
    filled = fill_pages.filled("<!-- intents and entities: languages_* -->\n| a |\n|---|\n", data / "results")
    assert "| cities | 10 | 80.0 / 62.5 | 80.0 / 62.5 | 80.0 / 62.5 | 80.0 / 62.5 |" in filled
    assert "| chinese | 10 | 80.0 | 80.0 | 80.0 | 80.0 |" in filled and "many" not in filled


def test_pages_name_reused_models(data, trained, monkeypatch):
    options = ["--data", data / "cities", "--rows", "joint_60,diet"]
    assert run(monkeypatch, *options, "--work", data / "work", "--results", data / "results") == 0
    content = json.loads((data / "results" / "languages_cities.json").read_text(encoding="utf-8"))
    assert "earlier version" not in to_markdown("languages_cities", content)
    content["data"]["results"][1]["made_by_other_code"] = True
    words = "Trained with an earlier version of this package: Rasa's default (DIET).\n"
    assert words in to_markdown("languages_cities", content)


def test_several_seeds_and_a_sample(data, trained, monkeypatch):
    configs, compared = trained
    options = ["--data", data / "cities", "--rows", "joint_60", "--seeds", 2, "--sample", 4, "--max-messages", 4]
    assert run(monkeypatch, *options, "--work", data / "work", "--results", data / "results") == 0
    assert compared == [(["joint_60_1", "joint_60_2"], 4)]
    assert [configs[f"cities/joint_60_{seed}"]["pipeline"][0]["random_seed"] for seed in (1, 2)] == [1, 2]
    page = (data / "results" / "languages_cities.md").read_text(encoding="utf-8")
    assert "4 training messages, 4 test messages" in page and "| 50.0 ± 0.0 % |" in page


def test_rows_can_be_chosen_for_tests_in_other_languages(data, trained, monkeypatch):
    configs, compared = trained
    options = ["--cross-lingual", f"many={data / 'many'}", "--rows", "multilingual_full_dense_int8", "--epochs", 2]
    assert run(monkeypatch, *options, "--work", data / "work", "--results", data / "results") == 0
    assert {tuple(models) for models, _ in compared} == {("multilingual_full_dense_int8_1",)}
    (ours,) = configs["cross_lingual_many/multilingual_full_dense_int8_1"]["pipeline"]
    assert (ours["epochs"], ours["pruning"]) == (2, {"method": "none"})


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "--data or --cross-lingual is needed"),
        (["--data", "x=y", "--rows", "diett"], "unknown rows: diett"),
        (["--data", "x=y", "--seeds", 0], "--seeds: at least 1"),
    ],
)
def test_what_cannot_be_run_is_refused(monkeypatch, capsys, options, words):
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, *options)
    assert stopped.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, words",
    [
        (["--data", "nothing"], "There is no file or folder 'nothing/train.yml'"),
        (["--cross-lingual", "nothing"], "There is no file or folder 'nothing/train_5k.yml'"),
        (["--cross-lingual", "english"], "holds no test_LANGUAGE.yml of another language than en"),
    ],
)
def test_unknown_data_is_refused_before_anything_is_trained(data, trained, monkeypatch, capsys, options, words):
    monkeypatch.chdir(data)
    (data / "english").mkdir()
    for file in ("train_5k", "test_en"):
        write_nlu(GERMAN, data / "english" / f"{file}.yml")
    assert run(monkeypatch, "--data", "cities", *options) == 2 and not trained[0]
    assert words in capsys.readouterr().err


def test_help(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, "--help")
    assert stopped.value.code == 0 and "--cross-lingual" in capsys.readouterr().out


def test_jieba_segments_chinese_where_it_is_installed(monkeypatch):
    texts = [message.text for message in CHINESE]
    assert is_chinese(texts) and not is_chinese(["今日は雨です", "東京の天気"]) and not is_chinese(["Wetter"])
    found = {}
    monkeypatch.setattr(importlib.util, "find_spec", found.get)
    assert rasa_tokenizer(texts) == rasa_tokenizers.WHITESPACE
    found["jieba"] = True
    assert rasa_tokenizer(["Wetter"]) == rasa_tokenizers.WHITESPACE
    assert rasa_tokenizer(texts) == rasa_tokenizers.JIEBA
    config = with_tokenizer(row_config("diet"), rasa_tokenizers.JIEBA)
    assert config["language"] == "zh" and config["pipeline"][0] == {"name": "JiebaTokenizer"}
    assert config["pipeline"][1:] == row_config("diet")["pipeline"][1:]
    assert with_tokenizer(row_config("joint_60"), rasa_tokenizers.JIEBA) == row_config("joint_60")


def test_rasas_bert_tokenizer_needs_a_wordpiece_vocabulary():
    assert lmf_error("multilingual-e5-small").startswith("TypeError: ")


def test_a_row_with_the_whole_vocabulary():
    assert row_config("multilingual_full_60")["pipeline"] == [
        {**row_config("60")["pipeline"][0], "vocabulary": "full", "model_weights": "multilingual-e5-small"}
    ]
    assert is_bert("multilingual_full_60") and not is_bert("full_diet")
    assert model_name("multilingual_full_60") == "multilingual_full_pruned_60_int8"
