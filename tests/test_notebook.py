"""The notebook runs from top to bottom."""

import json
from pathlib import Path

import pytest

import rasa_compressed_bert

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first_model.ipynb"


def cells():
    """The code cells of the notebook."""
    read = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in read["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_has_no_outputs():
    read = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in read["cells"])


@pytest.mark.slow
def test_the_notebook_runs(tiny_weights, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(rasa_compressed_bert.__file__).parents[1]))  # for `rasa train`
    names = {}
    for code in cells():
        other = code.replace('"all-MiniLM-L6-v2"', repr(str(tiny_weights))).replace("EPOCHS = 8", "EPOCHS = 1")
        exec(compile(other, str(NOTEBOOK), "exec"), names)
    said = capfd.readouterr().out
    assert "18 messages to learn, 6 to test" in said and "this soup is too hot" in said
    assert (tmp_path / "first_model/results/results.json").is_file()
