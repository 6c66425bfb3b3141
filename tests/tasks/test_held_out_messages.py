"""A student learns nothing from held-out messages, whatever file they occur in."""

import csv
import logging

import numpy as np
import pytest
from task_harness import EXAMPLES, WORDS

from rasa_compressed_bert.config import DistilledIntentClassifierConfig
from rasa_compressed_bert.search.evaluation import Evaluator
from rasa_compressed_bert.search.message_task import MessageTask
from rasa_compressed_bert.students.keras.student import KerasStudent
from rasa_compressed_bert.tasks import distillation
from rasa_compressed_bert.tasks.distillation import texts_to_ask, train_distilled_classifier
from rasa_compressed_bert.tasks.distillation_data import DistillationData

TEXTS = [example.text for example in EXAMPLES]


class Taught(Exception):
    """Ends a training before the student's, and carries its data."""


@pytest.fixture
def lesson_of(tiny_weights, monkeypatch):
    """The distillation data that a student would be trained on."""

    def begin(self, data, *arguments, **options):
        raise Taught(data)

    def make(examples, held_out=(), **options):
        teacher = {"model_weights": str(tiny_weights), **options.pop("teacher", {})}
        config = DistilledIntentClassifierConfig.from_dict({"teacher": teacher, "max_length": 32, **options})
        with pytest.raises(Taught) as taught:
            train_distilled_classifier(examples, config, held_out=held_out)
        return taught.value.args[0]

    monkeypatch.setattr(KerasStudent, "train", begin)
    return make


def write_predictions(path, texts):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text", *sorted(WORDS)], *([text, 0.8, 0.1, 0.1] for text in texts)])
    return {"predictions": str(path)}


def test_rows_of_a_black_box_that_may_be_made_of_held_out_messages_are_not_learnt(lesson_of, tiny_weights, tmp_path):
    config = DistilledIntentClassifierConfig.from_dict({"teacher": {"model_weights": str(tiny_weights)}})
    teacher = write_predictions(tmp_path / "asked.csv", texts_to_ask(TEXTS, config))
    whole = lesson_of(EXAMPLES, teacher=teacher)
    assert len(whole.texts) + len(whole.validation_texts) > len(EXAMPLES)
    part = lesson_of(EXAMPLES[5:], TEXTS[:5], teacher=teacher)
    assert list(part.texts) == TEXTS[5:] and not len(part.validation_texts)


def test_unlabelled_messages_that_are_held_out_are_not_learnt(tiny_weights, tmp_path):
    path = tmp_path / "unlabelled.txt"
    path.write_text("\n".join([*TEXTS, TEXTS[0].upper(), "something else", "Something  else"]), encoding="utf-8")
    options = {"n_iter": 3, "unlabelled": str(path)}
    given = {"teacher": {"model_weights": str(tiny_weights)}, "augmentation": options}
    config = DistilledIntentClassifierConfig.from_dict(given)
    start = distillation.start_from_pretrained(config.teacher_options(), TEXTS[5:])
    synthetic = distillation._other_texts(TEXTS[5:], start, config, set())[0][0]
    held_out = {" ".join(text.lower().split()) for text in [*TEXTS[:5], synthetic]}
    texts, sources = distillation._other_texts(TEXTS[5:], start, config, held_out)
    assert not held_out & {" ".join(text.lower().split()) for text in texts} and len(texts) == len(sources)
    assert [text for text, source in zip(texts, sources) if source < 0] == ["Something  else"]


def test_held_out_messages_were_not_learnt_before_finetuning():
    def part(count, **options):
        texts = [f"message {number}" for number in range(count)]
        nothing = np.full(count, -1, np.int32), np.zeros((count, 2), np.float32)
        data = DistillationData(("a", "b"), texts, *nothing, [], nothing[0][:0])
        return distillation._with_held_out(data, DistilledIntentClassifierConfig.from_dict({}), **options)

    first = part(1000)
    assert len(first.validation_texts) == 100 and not {*first.texts} & {*first.validation_texts}
    for count in (500, 1500, 2000):
        again = part(count, before=first.held_out_up_to)
        assert not {*first.texts} & {*again.validation_texts} and again.held_out_up_to <= first.held_out_up_to
        assert 0.07 < len(again.validation_texts) / count < 0.13
    assert len(part(20_000, before=first.held_out_up_to).validation_texts) == 1000
    everything = part(1000, before=part(100).held_out_up_to)
    assert len(everything.texts) == 1000, "a first training of so few messages learns all of them"


def test_held_out_messages_are_not_learnt_in_another_spelling():
    texts = ["hello", *(f"message {number // 2}" if number % 2 else f"MESSAGE  {number // 2}" for number in range(200))]
    classes = np.array([0, *[-1] * 200], np.int32)
    data = DistillationData(
        ("a", "b"), [*texts, "HELLO"], np.append(classes, -1), np.zeros((202, 2), np.float32), [], classes[:0]
    )
    config = DistilledIntentClassifierConfig.from_dict({"validation_split": 0.3})
    found = distillation._with_held_out(data, config)
    learnt, compared = (
        {" ".join(text.lower().split()) for text in part} for part in (found.texts, found.validation_texts)
    )
    assert len(compared) == 30 and not learnt & compared and "hello" in learnt


def test_a_search_holds_its_messages_out_of_everything(tmp_path, monkeypatch, caplog):
    seen = []

    def trained(training, config, *, cache, held_out):
        seen.append(({example.text for example in training}, set(held_out)))
        raise Taught

    monkeypatch.setattr("rasa_compressed_bert.search.message_task.train_distilled_classifier", trained)
    base = {"teacher": {"model": "models"}}
    with caplog.at_level(logging.WARNING):
        evaluator = Evaluator(MessageTask(EXAMPLES, cache=tmp_path), DistilledIntentClassifierConfig, base)
    assert "teacher.model: 'models' may have learnt the messages that the search measures on" in caplog.text
    for split in (0, 1):
        with pytest.raises(Taught):
            evaluator.measure({}, split=split)
    assert all(
        held_out and training | held_out == set(TEXTS) and not training & held_out for training, held_out in seen
    )
