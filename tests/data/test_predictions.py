import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_compressed_bert.data.predictions import read_predictions, require_all
from rasa_compressed_bert.errors import DataError

LABELS = ("bye", "greet")


@pytest.fixture
def write(tmp_path):
    def to_file(text):
        path = tmp_path / "predictions.csv"
        path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
        return path

    return to_file


def test_columns_may_be_in_any_order(write):
    found = read_predictions(write('greet,text,bye\n0.75,hello,0.25\n0.1,"good, night",0.9\n'), LABELS)
    np.testing.assert_allclose(found["hello"], [0.25, 0.75])
    np.testing.assert_allclose(found["good, night"], [0.9, 0.1])


def test_the_mark_that_excel_begins_a_file_with_is_no_part_of_it(write):
    np.testing.assert_allclose(read_predictions(write("\ufefftext,bye,greet\nhi,0,1\n"), LABELS)["hi"], [0.0, 1.0])


def test_rounded_probabilities_sum_to_one(write):
    assert read_predictions(write("text,bye,greet\nhi,0.333,0.666\n"), LABELS)["hi"].sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "no column named 'text'"),
        ("message,bye,greet\nhi,0,1\n", "no column named 'text'"),
        ("text,bye\nhi,1\n", "Missing: ['greet']; unknown: none"),
        ("text,bye,greet,thank\nhi,1,0,0\n", "Missing: none; unknown: ['thank']"),
        ("text,bye,greet,greet\nhi,1,0,0\n", "one column for each intent"),
        ("text,bye,greet\nhi,0.5,0.6\n", "line 2 of"),
        ("text,bye,greet\nhi,0.5,0.6\n", "sum to 1.1"),
        ("text,bye,greet\nok,0,1\nhi,-0.5,1.5\n", "line 3 of"),
        ("text,bye,greet\nhi,nan,1\n", "sum to nan"),
        ("text,bye,greet\nhi,much,1\n", "could not convert string to float: 'much'"),
        ("text,bye,greet\nhi,1\n", "has 2 columns instead of 3"),
        (b"text,bye,greet\n\xff,0,1\n", "cannot be read"),
    ],
)
def test_files_that_are_refused(write, text, words):
    with pytest.raises(DataError) as caught:
        read_predictions(write(text), LABELS)
    assert words in str(caught.value) and "teacher.predictions" in str(caught.value)


def test_numbers_of_many_rows_are_not_kept_as_text(write):
    labels = [f"intent_{number}" for number in range(100)]
    path = write("\n".join([",".join(["text", *labels]), *(f"message {row}" + 100 * ",0.01" for row in range(1000))]))
    tracemalloc.start()
    try:
        found = read_predictions(path, labels)
        assert tracemalloc.get_traced_memory()[1] < 3e6  # 0.8 MB of numbers, which take 6 MB as texts
    finally:
        tracemalloc.stop()
    assert len(found) == 1000


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="none.csv' cannot be read"):
        read_predictions(tmp_path / "none.csv", LABELS)


def test_missing_rows_are_counted_and_shown(tmp_path):
    with pytest.raises(DataError, match="no row for 2 of 3 training messages, such as 'a', 'c'"):
        require_all({"b": np.ones(1)}, ["a", "b", "c"], tmp_path)


@given(st.binary())
def test_garbage_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("garbage") / "p.csv"
    path.write_bytes(data)
    with pytest.raises(DataError):
        read_predictions(path, LABELS)
