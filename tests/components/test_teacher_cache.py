"""A teacher's predictions stay in Rasa's own training cache until anything that they depend on changes."""

import pytest
from component_harness import create, make_storage, training_data

from rasa_compressed_bert.students.keras import training as keras_students
from rasa_compressed_bert.tasks import teacher

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("case", ["DistilledIntentClassifier"], indirect=True)]


@pytest.fixture
def asked(quick, tmp_path, monkeypatch):
    """Trains in a new storage; returns how often teachers were trained, run on messages, and run on wordpieces."""
    monkeypatch.setenv("RASA_CACHE_DIRECTORY", str(tmp_path / "kept"))
    calls = []
    names = {"train_bert": teacher, "outputs_of_messages": teacher, "encoded_wordpieces": keras_students}
    for name, module in names.items():
        whole = getattr(module, name)

        def count(*given, counted=name, whole=whole, **options):
            calls.append(counted)
            return whole(*given, **options)

        monkeypatch.setattr(module, name, count)

    def train(examples=None, **options):
        calls.clear()
        config = {**quick.config, **options}
        data = training_data(examples) if examples else training_data()
        create(quick.component, config, make_storage(tmp_path / f"storage {len(list(tmp_path.iterdir()))}")).train(data)
        return tuple(calls.count(name) for name in names)

    return train


def test_second_training_does_not_run_the_teacher(asked):
    assert asked() == (1, 1, 1)
    assert asked() == asked(epochs=2, learning_rate=1e-3) == (0, 0, 0)


def test_other_messages_run_the_teacher_again(asked):
    assert asked() == (1, 1, 1)
    assert asked(augmentation={"n_iter": 2}) == (0, 1, 0)
    assert asked(examples={"greet": ["hello", "hi", "hey"], "bye": ["bye", "goodbye", "good night"]}) == (1, 1, 1)


def test_another_teacher_is_trained_and_run(asked, quick):
    assert asked() == (1, 1, 1)
    slower = {**quick.config["teacher"], "learning_rate": 1e-3}
    assert asked(teacher=slower) == (1, 1, 1)


def test_without_rasas_cache_nothing_is_kept(asked, monkeypatch):
    monkeypatch.setenv("RASA_MAX_CACHE_SIZE", "0")
    assert asked() == asked() == (1, 1, 1)


def test_a_file_of_messages_that_changes_renews_rasas_own_cache(case, tmp_path):
    path = tmp_path / "more.txt"
    config = {**case.config, "augmentation": {"unlabelled": str(path)}}
    fingerprints = {case.component.fingerprint_addon(case.config)}
    for text in ("hello there\n", "good evening\n"):
        path.write_text(text)
        fingerprints.add(case.component.fingerprint_addon(config))
    assert len(fingerprints) == 3
