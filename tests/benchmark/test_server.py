"""A trained model behind Rasa's own server, with one worker and with several."""

import pytest

pytestmark = pytest.mark.slow
TEXTS = ["hello", "it is hot", "zzz 😀"]
