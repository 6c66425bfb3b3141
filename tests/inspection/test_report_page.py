"""The HTML page of `report`: its content, and that nothing in names and messages is executed."""

import json
import os
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from small_archives import NODE, small_artifact, write_archive
from test_featurizer_description import featurizer_artifact
from test_report_figures import extractor

from rasa_compressed_bert.__main__ import main
from rasa_compressed_bert.artifact.artifact import Artifact
from rasa_compressed_bert.data.entities import EntityLabel
from rasa_compressed_bert.runtime.entity_decoder import FoundEntity

BROWSERS = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable")
HTML = "<script>document.title='run'</script>"
HEBREW = "שלום עולם"


def nlu(path, intents):
    """Writes NLU data in Rasa's JSON format, which can hold any name and text."""
    examples = [{"text": text, "intent": intent, "entities": entities} for intent, text, entities in intents]
    path.write_text(json.dumps({"rasa_nlu_data": {"common_examples": examples}}), encoding="utf-8")
    return path


@pytest.fixture
def report(tmp_path, capsys):
    """Writes a page; returns its text, or the error message."""

    def write(model, intents, *, outside=()):
        arguments = ["report", str(model), "--nlu", str(nlu(tmp_path / "test.json", intents))]
        if outside:
            path = nlu(tmp_path / "outside.json", [("none", text, []) for text in outside])
            arguments += ["--out-of-scope", str(path)]
        status = main([*arguments, "--out", str(tmp_path / "new" / "report.html"), "--quiet"])
        if status:
            return capsys.readouterr().err
        assert "report.html" in capsys.readouterr().out
        return (tmp_path / "new" / "report.html").read_text(encoding="utf-8")

    return write


class Page(HTMLParser):
    """Collects the tags and the text of a page; a tag that is not closed is an error."""

    EMPTY = ("meta", "rect", "line", "polyline", "circle")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.attributes, self.words = [], [], [], []
        self.feed(text)
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert tag in self.EMPTY or self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)


WEATHER = [("a", "oh it is hot", []), ("a", "it is hot", []), ("b", "it is cold", []), ("c", "oh oh", [])]


def test_the_page_of_a_pruned_model_has_every_part(archive, report):
    page = Page(report(archive, WEATHER, outside=["is", "hot cold"]))
    for part in (
        *("model.tar.gz", "4 test messages", "What to do next", "Weakest intents", "Can its confidence be trusted?"),
        *("Messages out of scope", "The threshold is 0.3", "Of 2 messages out of scope of outside.json", "AUROC"),
        *("68.8 % of the weights of its encoder are pruned", "Macro F1 on the training messages: 90.0 % before"),
        "Macro F1 before compression, on training messages that were held out: 71.0 %",
        *("2 → 1", "32 → 8", "ms before compression", "MB before compression", "Collect more test messages"),
    ):
        assert part in page.text, part
    assert page.tags.count("h1") == 1 and page.tags.count("main") == 1 and "script" not in page.tags
    assert [value for name, value in page.attributes if name in ("src", "href", "style") or name.startswith("on")] == []
    assert ("name", "viewport") in page.attributes and ("lang", "en") in page.attributes


def test_the_best_threshold_has_as_many_digits_as_it_needs(archive, report, predicted):
    predicted({**{text: (intent, 0.99999992) for intent, text, _ in WEATHER}, "why": ("a", 0.99999988)})
    page = Page(report(archive, WEATHER, outside=["why"]))
    assert "the threshold that separates these messages best is 0.9999999." in page.text


@pytest.mark.parametrize("command", ["report", "sensitivity"])
def test_names_of_files_may_be_in_another_encoding(archive, tmp_path, command):
    named = archive.rename(tmp_path / os.fsdecode(b"mod\xe8le.tar.gz"))
    messages = nlu(tmp_path / os.fsdecode(b"pr\xe9nom.json"), WEATHER)
    options = ["--bits", "4", "--sparsity", "0.5"] if command == "sensitivity" else []
    assert main([command, str(named), "--nlu", str(messages), "--out", str(tmp_path / "out"), "--quiet", *options]) == 0
    written = tmp_path / "out" if command == "report" else tmp_path / "out" / "results.md"
    text = written.read_text(encoding="utf-8")
    assert "mod?le.tar.gz" in text and "pr?nom.json" in text


def test_the_page_loads_nothing(archive, report):
    text = report(archive, WEATHER)
    assert "default-src 'none'" in text and "url(" not in text and "@import" not in text
    assert "http:" not in text and "https:" not in text


def test_a_model_without_intents_has_a_page_of_its_entities(tmp_path, report, predicted):
    archive = write_archive(tmp_path / "model.tar.gz", {NODE: extractor()})
    predicted({"hot pie": (None, 0.0), "pie": (None, 0.0, FoundEntity(0, 3, EntityLabel("dish"), 0.8))})
    dish = {"start": 4, "end": 7, "value": "pie", "entity": "dish"}
    page = Page(report(archive, [("a", "hot pie", [dish]), ("a", "pie", [{**dish, "start": 0, "end": 3}])]))
    assert "Weakest entities" in page.text and "66.7 % F1 of 2 entities" in page.text
    for part in ("Weakest intents", "Confused", "Can its confidence", "out of scope", "right intent"):
        assert part not in page.text


def test_a_model_that_decides_nothing_says_so(tmp_path, report):
    page = Page(report(write_archive(tmp_path / "model.tar.gz", {NODE: featurizer_artifact()}), WEATHER))
    assert "None of these components finds intents or entities" in page.text and "Layers" in page.text
    assert "A pretrained BERT: tiny." in page.text and "fine-tuned" not in page.text
    assert "pruning" not in page.text, "a featurizer has no such option"


def test_several_components_are_named_and_one_may_be_untrained(tmp_path, report, predicted):
    nodes = {NODE: small_artifact(), "train_found1": extractor(), "train_empty2": Artifact({"kind": "featurizer"}, {})}
    predicted({text: (intent, 0.8, FoundEntity(0, 2, EntityLabel("dish"), 0.9)) for intent, text, _ in WEATHER})
    page = Page(report(write_archive(tmp_path / "model.tar.gz", nodes), WEATHER))
    assert "Layers of train_found1" in page.text and f"{NODE} decides the intent" in page.text
    assert "train_empty2 : Computes features" in page.text and "It is not trained" in page.text
    assert "No entity is annotated in the test messages." in page.text and "100.0 % of the messages" in page.text


def test_a_student_has_no_layers(tmp_path, report):
    artifact = small_artifact()
    manifest = {name: value for name, value in artifact.manifest.items() if "encoder" not in name}
    manifest["student"] = {"architecture": "ngrams", "dimension": 8}
    manifest["teacher"] = {"training_messages": 40, "other_messages": 60, "parameters": 1000}
    archive = write_archive(tmp_path / "model.tar.gz", {NODE: Artifact(manifest, artifact.files)})
    page = Page(report(archive, WEATHER))
    assert "A student (ngrams) that learnt from a larger model." in page.text and "Weakest intents" in page.text
    assert "Layers" not in page.text and "MB before compression" not in page.text and "Try pruning" not in page.text


def test_an_answer_extractor_is_named_but_not_measured(tmp_path, report):
    artifact = small_artifact()
    changed = {
        "kind": "answer_extractor",
        "labels": [],
        "answers": {"threshold": 0.4},
        "held_out": {"exact": 0.5, "questions": 100},
    }
    manifest = {name: value for name, value in artifact.manifest.items() if name not in ("views", "out_of_scope")}
    archive = write_archive(tmp_path / "model.tar.gz", {NODE: Artifact({**manifest, **changed}, artifact.files)})
    page = Page(report(archive, WEATHER))
    assert "Answers questions from documents." in page.text and "Not measured." in page.text
    assert "None of these components finds intents or entities" in page.text and "exact match 50.0 %" in page.text


def test_a_model_without_components_of_ours_is_refused(tmp_path, report):
    error = report(write_archive(tmp_path / "model.tar.gz", {}), WEATHER)
    assert "has no component of rasa_compressed_bert" in error and "benchmark" in error


def test_no_test_messages_are_refused(archive, report):
    assert "holds no message with an intent" in report(archive, [])


def test_a_folder_is_no_page(archive, tmp_path, capsys):
    path = nlu(tmp_path / "test.json", WEATHER)
    assert main(["report", str(archive), "--nlu", str(path), "--out", str(tmp_path)]) == 2
    assert "is a folder; name a file" in capsys.readouterr().err


def test_five_hundred_intents_are_bounded_the_worst_first(archive, report, predicted):
    names = [f"intent_{number:03}" for number in range(500)]
    messages = [(name, f"message {name} {place}", []) for name in names for place in range(2)]
    wrong = {name: "a" for name in names[::2]}
    answers = {text: (wrong.get(name, name), 0.9) for name, text, _ in messages}
    answers[messages[4][1]] = ("intent_002", 0.9)  # one of two is right: listed after the F1 of 0
    predicted(answers)
    text = report(archive, messages)
    page = Page(text)
    assert len(text) < 60_000 and page.text.count("intent_") < 80
    for part in ("235 more have mistakes too", "240 more pairs are confused", "and 485 more"):
        assert part in page.text, part
    weakest = page.text.partition("Weakest intents")[2].partition("more have")[0]
    assert "intent_000 2 0.0 %" in weakest and "intent_002" not in weakest  # it has an F1 of 66.7 %


def test_names_and_messages_are_shown_as_they_are(archive, report, predicted):
    messages = [(HTML, f"{HTML} & 'quotes'", []), (HEBREW, f"{HEBREW}!", []), ("a", "x" * 1000, [])]
    predicted({messages[0][1]: (HEBREW, 0.6), messages[1][1]: (HTML, 0.7), messages[2][1]: (HEBREW, 0.1)})
    text = report(archive, messages)
    page = Page(text)
    assert "script" not in page.tags and f"{HTML} & 'quotes'" in page.text and "x" * 301 not in text
    assert f'<bdi class="name">{HEBREW}</bdi>' in text and f'<q dir="auto">{HEBREW}!</q>' in text


@pytest.fixture(scope="session")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed: one of {', '.join(BROWSERS)}")
    return found


def test_a_browser_opens_the_page_and_runs_nothing_in_it(browser, archive, report, predicted, tmp_path):
    messages = [(HTML, f"{HTML} hot", []), (HEBREW, HEBREW, []), ("a", "hot", [])]
    predicted({messages[0][1]: ("a", 0.6), HEBREW: (HTML, 0.7), "hot": ("a", 0.9)})
    report(archive, messages)
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--dump-dom", (tmp_path / "new" / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True)
    page = Page(done.stdout)
    assert "<title>model.tar.gz: report</title>" in done.stdout and "script" not in page.tags
    assert page.tags.count("svg") >= 4 and HEBREW in page.text and HTML in page.text


def test_the_time_names_the_components_that_were_run_if_there_are_others(report, tmp_path):
    intents = [("a", "oh it is hot", [])]
    alone = write_archive(tmp_path / "alone.tar.gz", {NODE: small_artifact()})
    assert "for a test message (median; one thread, without Rasa)." in Page(report(alone, intents)).text
    both = write_archive(tmp_path / "both.tar.gz", {"featurizer0": featurizer_artifact(), NODE: small_artifact()})
    assert f"for a test message in {NODE} alone (median; one thread, without Rasa)." in Page(report(both, intents)).text
