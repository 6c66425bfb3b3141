"""Files that later stages of a training need are checked before the first stage."""

import pytest

from rasa_compressed_bert.config import (
    BertAnswerExtractorConfig,
    BertEntityExtractorConfig,
    DistilledIntentClassifierConfig,
    JointBertClassifierConfig,
    PrunedBertIntentClassifierConfig,
)
from rasa_compressed_bert.errors import CompressedBertError, DataError
from rasa_compressed_bert.tasks.watched import watched

CLASSIFIERS = [PrunedBertIntentClassifierConfig, JointBertClassifierConfig, DistilledIntentClassifierConfig]
TRAINED = [*CLASSIFIERS, BertEntityExtractorConfig, BertAnswerExtractorConfig]


def begin(config):
    with watched(config, messages=100, continued=False):
        pytest.fail("the training has begun")


@pytest.mark.parametrize("config", CLASSIFIERS)
def test_messages_out_of_scope_that_are_not_there(config, tmp_path):
    options = {"out_of_scope": {"messages": str(tmp_path / "none.txt")}}
    with pytest.raises(DataError, match="out_of_scope.messages: .*none.txt' cannot be read"):
        begin(config.from_dict(options))


def test_unlabelled_messages_that_are_no_text(tmp_path):
    (tmp_path / "some.txt").write_bytes(b"\xff\xfe\xfa")
    options = {"augmentation": {"unlabelled": str(tmp_path / "some.txt")}}
    with pytest.raises(DataError, match="augmentation.unlabelled: .*some.txt' cannot be read"):
        begin(DistilledIntentClassifierConfig.from_dict(options))


@pytest.mark.parametrize("config", TRAINED)
def test_a_folder_of_curves_that_cannot_be_made(config, tmp_path):
    (tmp_path / "file").write_text("")
    options = {"tensorboard_log_directory": str(tmp_path / "file" / "curves")}
    with pytest.raises(CompressedBertError, match="tensorboard_log_directory: .*curves' cannot be created"):
        begin(config.from_dict(options))


@pytest.mark.parametrize("config", CLASSIFIERS)
@pytest.mark.parametrize("count, warned", [(9, True), (10, False)])
def test_too_few_messages_out_of_scope_are_warned_of(config, count, warned, tmp_path, caplog):
    lines = [f"what is {number}" for number in range(count)]
    (tmp_path / "some.txt").write_text("\n".join([*lines, lines[0]]))
    options = {"out_of_scope": {"messages": str(tmp_path / "some.txt")}}
    with watched(config.from_dict(options), messages=100, continued=False):
        pass
    assert ("has no effect, as it has 9 messages; at least 10 different ones" in caplog.text) == warned


def test_files_and_folders_that_are_there(tmp_path):
    (tmp_path / "some.txt").write_text("what is the meaning of life\n")
    options = {"out_of_scope": {"messages": str(tmp_path / "some.txt")}}
    config = PrunedBertIntentClassifierConfig.from_dict({**options, "tensorboard_log_directory": str(tmp_path / "new")})
    with watched(config, messages=100, continued=False):
        assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize("config", TRAINED)
def test_curves_in_the_home_folder(config, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with watched(config.from_dict({"tensorboard_log_directory": "~/new"}), messages=100, continued=False):
        assert (tmp_path / "new").is_dir() and not list((tmp_path / "work").iterdir())
