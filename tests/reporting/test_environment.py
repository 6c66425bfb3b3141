import json
import os

import pytest

from rasa_compressed_bert import __version__
from rasa_compressed_bert.reporting.environment import environment, in_words


def test_environment_is_json_and_names_no_machine():
    import platform

    text = json.dumps(environment())
    assert platform.node() not in text and "rasa 3.6" in in_words(environment())
    assert f"rasa_compressed_bert {__version__}" in in_words(environment())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot bind a process to cores")
def test_cores_are_those_that_the_process_may_use():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert environment()["cores"] == 1
    finally:
        os.sched_setaffinity(0, before)
