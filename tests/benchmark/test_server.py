"""A trained model behind Rasa's own server, with one worker and with several."""

import pytest
import yaml
from benchmark_harness import train_model

from rasa_compressed_bert.benchmark.server import serve, throughput
from rasa_compressed_bert.errors import CompressedBertError

pytestmark = pytest.mark.slow
TEXTS = ["hello", "it is hot", "zzz 😀"]
