import json
import time

import numpy as np
import pytest

from rasa_compressed_bert.artifact.artifact import DOCUMENTS, PASSAGES, Artifact, read_artifact, write_artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes, tensors_to_bytes
from rasa_compressed_bert.data.documents import Document
from rasa_compressed_bert.errors import ArtifactError
from rasa_compressed_bert.runtime.passage_index import LONGEST_QUESTION, PassageIndex

TEXTS = {
    "hours.md": "# Opening hours\n\nThe café opens at nine in the morning, and closes at five.",
    "menu.md": "# Menu\n\nWe serve pizza, pasta and ice cream. Vegetarian dishes are marked.",
    "long.txt": "\n\n".join(
        f"Paragraph {number} is about the number {number}. {'Filler text. ' * 40}" for number in range(9)
    ),
}
DOCUMENTS_OF_A_BOT = [Document(name, text) for name, text in TEXTS.items()]


@pytest.fixture(scope="module")
def index():
    return PassageIndex.of(DOCUMENTS_OF_A_BOT)


@pytest.mark.parametrize(
    "question, document",
    [
        ("When does the cafe open?", "hours.md"),  # without the accent, in another normal form
        ("vegetarians", "menu.md"),
        ("what is PARAGRAPH 7 about", "long.txt"),
    ],
)
def test_the_best_passage_comes_first(index, question, document):
    first, *others = index.find(question, 3)
    assert first.document == document and 0.0 < first.similarity <= 1.0
    assert all(other.similarity <= first.similarity for other in others)


def test_passages_are_parts_of_their_documents(index):
    found = index.find("Paragraph 7 is about the number 7", 5)
    assert len(found) == 5 and len({passage.number for passage in found}) == 5
    for passage in found:
        assert TEXTS[passage.document].startswith(passage.text, passage.start)
        assert index.text_of(passage.number) == passage.text
    assert "Paragraph 7" in found[0].text


@pytest.mark.parametrize("question", ["", "  ", "zzzz", "🌍", "\ud800"])
def test_a_question_without_a_similar_passage(index, question):
    assert index.find(question, 3) == []


@pytest.mark.parametrize("text", ["open hours " * 100_000, "\u0301\u0323" * 10_000], ids=["words", "marks"])
def test_a_long_question_costs_no_more_than_a_shorter_one(index, text):
    """Unicode normalization sorts 20,000 marks, comparing each with all before it."""
    begun = time.process_time()
    found = index.find(text, 3)
    assert time.process_time() - begun < 0.3
    assert found == index.find(text[:LONGEST_QUESTION], 3)


def test_stored_and_read(index, tmp_path):
    write_artifact(Artifact({"kind": "answer_extractor"}, index.files()), tmp_path / "model")
    again = PassageIndex.open(read_artifact(tmp_path / "model"))
    for question in ("When does the café open?", "pasta", "number 3"):
        assert again.find(question, 3) == index.find(question, 3)
    assert again.files() == index.files()


def test_a_model_without_documents():
    assert PassageIndex.open(Artifact({}, {})) is None


def test_scripts_without_blanks():
    texts = ["我们的营业时间是上午九点到下午五点。", "我们提供比萨饼和意大利面。"]
    index = PassageIndex.of([Document(f"{number}.md", text) for number, text in enumerate(texts)])
    assert index.find("几点营业", 1)[0].document == "0.md"


def test_one_short_document():
    assert PassageIndex.of([Document("a.md", "a")]).find("a", 3)[0].text == "a"


def damaged(files, name):
    if name == "documents":
        return {**files, DOCUMENTS: b"[]"}
    if name == "passages":
        return {**files, PASSAGES: files[PASSAGES][:50]}
    stored = json.loads(files[DOCUMENTS])
    if name == "terms":
        stored["terms"] = stored["terms"][:3]
    elif name == "lengths of terms":
        stored["ngrams"] = [-1_000_000_000, 4]
    elif name == "very long terms":
        stored["ngrams"] = [1, 2000]
    else:
        stored["documents"] = {"no text": [["a.md", 1]] * 3, "too short": [["a.md", "a"]] * 3}.get(name, [])
    return {**files, DOCUMENTS: json.dumps(stored).encode()}


@pytest.mark.parametrize(
    "name", ["documents", "passages", "terms", "no text", "too short", "too few", "lengths of terms", "very long terms"]
)
def test_damaged_files(index, name):
    with pytest.raises(ArtifactError):
        PassageIndex.open(Artifact({}, damaged(index.files(), name)))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("values", [np.nan]),
        ("idf", [np.inf]),
        ("passages", [[0, 5, 5]]),
        ("passages", [[2, 0, 900]]),
        ("passages", [[0, 0, 5]] * 500),
    ],
    ids=["no weight", "no idf", "nothing", "long", "many"],
)
def test_damaged_passages(index, name, values):
    """An empty row takes almost no space in an archive, and a long passage takes long to read."""
    files = index.files()
    tensors = tensors_from_bytes(files[PASSAGES])
    rest = tensors[name][len(values) :]
    changed = np.concatenate([np.array(values, tensors[name].dtype), rest])
    data = tensors_to_bytes({**tensors, name: changed})
    with pytest.raises(
        ArtifactError, match="documents of the model cannot be read: (the weights|a passage|the documents)"
    ):
        PassageIndex.open(Artifact({}, {**files, PASSAGES: data}))


def test_similarities_are_cosines(index):
    text = index.text_of(0)
    assert index.find(text, 1)[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert np.isfinite([passage.similarity for passage in index.find("open", 9)]).all()
