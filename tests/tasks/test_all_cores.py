import time

import numpy as np
import pytest

from rasa_compressed_bert.tasks.all_cores import on_all_cores


def test_every_message_once_shortest_first():
    lengths = [7, 1, 5] * 30
    found = list(on_all_cores(lambda batch: [lengths[index] for index in batch], lengths, name="test"))
    positions = np.concatenate([batch for batch, _ in found])
    assert sorted(positions) == list(range(90)) and len(found) == 3
    assert sum((result for _, result in found), []) == sorted(lengths)


def test_nothing_to_do():
    assert list(on_all_cores(len, [], name="test")) == []


def test_who_stops_in_between_does_not_wait_for_the_rest():
    """Ctrl-C may come while what a batch gave is used, and not only while it is waited for."""
    begun = []

    def slow(batch):
        begun.append(batch)
        time.sleep(0.02)

    with pytest.raises(KeyboardInterrupt):
        for _ in on_all_cores(slow, [1] * 32 * 200, name="test"):
            raise KeyboardInterrupt
    assert len(begun) < 20
