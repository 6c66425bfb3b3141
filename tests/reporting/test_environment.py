import json

from rasa_compressed_bert.reporting.environment import environment, in_words


def test_environment_is_json_and_names_no_machine():
    import platform

    text = json.dumps(environment())
    assert platform.node() not in text and "rasa 3.6" in in_words(environment())
