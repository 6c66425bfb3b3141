import time

import pytest

from rasa_compressed_bert.tasks.all_cores import on_all_cores


def test_every_message_alone_and_in_its_order():
    lengths, asked = [7, 1, 5] * 30, []
    found = on_all_cores(lambda place: asked.append(place) or -place, lengths, name="test")
    assert found == [-place for place in range(90)] and sorted(asked) == list(range(90))


def test_nothing_to_do():
    assert on_all_cores(len, [], name="test") == []


def test_an_early_stop_does_not_wait_for_the_rest():
    begun = []

    def stopped(place):
        begun.append(place)
        time.sleep(0.02)
        if place == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_all_cores(stopped, [1] * 2000, name="test")
    assert len(begun) < 200
