import pytest

from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.reporting.resumable import Results


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path, monkeypatch):
    results = Results(tmp_path / "results.json", {}, identity={"model": 1})
    results.add({"target": "a"})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
        results.add({"target": "b"})
    again = Results(tmp_path / "results.json", {}, identity={"model": 1})
    assert {"target": "a"} in again and {"target": "b"} not in again and len(again) == 1


@pytest.mark.parametrize("rest", ["", ', "cells": [1]', ', "cells": 5', ', "cells": "ab"'])
def test_a_file_without_cells_is_named(tmp_path, rest):
    (tmp_path / "results.json").write_text(f'{{"made_from": {{"model": 1}}{rest}}}')
    with pytest.raises(CompressedBertError, match="cannot be read .*--fresh"):
        Results(tmp_path / "results.json", {}, identity={"model": 1})
