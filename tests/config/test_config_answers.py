import pytest

from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.errors import ConfigError


def test_files_are_one_or_several():
    assert BertAnswerExtractorConfig().training_data is None
    one = BertAnswerExtractorConfig.from_dict({"training_data": "squad.json", "documents": "docs"})
    assert one.training_data == ("squad.json",) and one.files_to_read() == ["squad.json", "docs"]
    several = BertAnswerExtractorConfig.from_dict({"training_data": ["a.json", "b.json", "a.json"], "intents": "ask"})
    assert several.training_data == ("a.json", "b.json") and several.intents == ("ask",)
    assert BertAnswerExtractorConfig.from_dict(several.to_dict()) == several
    assert BertAnswerExtractorConfig().files_to_read() == []


@pytest.mark.parametrize(
    "options, words",
    [
        ({"training_data": []}, "training_data: [] is not a non-empty string, or a list of them or null"),
        ({"training_data": ["a", 1]}, "training_data: ['a', 1] is not a non-empty string, or a list of them or null"),
        ({"documents": 7}, "documents: 7 is not a non-empty string or null"),
        ({"no_answer_threshold": 1.5}, "no_answer_threshold: 1.5 is not a number in [0, 1] or null"),
        ({"max_length": 8}, "max_length: 8 is not an integer in [16, 512]"),
        ({"max_answer_lenght": 8}, "did you mean 'max_answer_length'?"),
        ({"pooling": "cls"}, "pooling: cls is for intents"),
        ({"budget": {"max_size_mb": 5}}, "budget: only components that learn intents or entities have one"),
    ],
)
def test_what_is_not_accepted(options, words):
    with pytest.raises(ConfigError) as error:
        BertAnswerExtractorConfig.from_dict(options)
    assert words in str(error.value) and "Invalid configuration of BertAnswerExtractor:" in str(error.value)


def test_the_end_of_pruning_follows_its_own_epochs():
    assert BertAnswerExtractorConfig.from_dict({"epochs": 4}).pruning.end_epoch == pytest.approx(
        4 / 8 * BertAnswerExtractorConfig.from_dict({"epochs": 8}).pruning.end_epoch
    )
