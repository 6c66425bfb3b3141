"""From questions and documents to an artifact that gives answers, with tiny weights."""

import logging
import re
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from answer_harness import write_documents, write_questions
from shipped_tokenizer import minilm_tokenizer

from rasa_compressed_bert.artifact.artifact import DOCUMENTS, TOKENIZER, Artifact
from rasa_compressed_bert.artifact.tensors import tensors_from_bytes
from rasa_compressed_bert.config import BertAnswerExtractorConfig
from rasa_compressed_bert.data.documents import Document
from rasa_compressed_bert.data.questions import Question
from rasa_compressed_bert.data.squad import read_questions
from rasa_compressed_bert.errors import ConfigError, DataError
from rasa_compressed_bert.export.packing import unpack
from rasa_compressed_bert.heads import AnswerHead
from rasa_compressed_bert.inspection.description import describe
from rasa_compressed_bert.models.shape import TOKEN_TYPE, EncoderShape
from rasa_compressed_bert.runtime.answer_predictor import AnswerPredictor
from rasa_compressed_bert.tasks import answer_measuring, answer_training
from rasa_compressed_bert.tasks.answer_data import encode_questions, questions_for, split_questions
from rasa_compressed_bert.tasks.answer_measuring import ServedAnswers, in_words
from rasa_compressed_bert.tasks.answer_training import prepare, train_or_finetune, with_documents

SMALL = {"epochs": 2, "batch_size": 16, "max_length": 64, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    return {"training_data": write_questions(folder / "a.json"), "documents": write_documents(folder / "documents")}


def config_of(weights, files, **options):
    return BertAnswerExtractorConfig.from_dict({"model_weights": str(weights), **files, **SMALL, **options})


@pytest.fixture(scope="module")
def trained(tiny_weights, files):
    config = config_of(tiny_weights, files, pruning={"final_sparsity": 0.3})
    return config, train_or_finetune(config, None)


def test_artifact(trained):
    config, artifact = trained
    manifest = artifact.manifest
    assert manifest["kind"] == "answer_extractor" and manifest["outputs"] == ["answer_logits"]
    answers = manifest["answers"]
    assert answers["slope"] > 0 and 0.0 <= answers["threshold"] <= 1.0
    assert (answers["max_answer_length"], answers["stride"]) == (30, 128)
    assert set(manifest["training_scores"]) == {"dense", "pruned", "final"}
    assert {"questions", "exact", "f1"} <= set(manifest["held_out"])
    described = describe(artifact)
    assert described["held_out"] == {"held out": manifest["held_out"]}
    assert manifest["held_out"]["questions"] < 20 and not described["calibrated"]
    more = {**manifest, "held_out": {**manifest["held_out"], "questions": 20}}
    assert describe(Artifact(more, artifact.files))["calibrated"]
    shape = EncoderShape.from_dict(manifest["encoder"])
    assert shape.separator == 3  # [SEP]
    assert TOKEN_TYPE in unpack(shape, tensors_from_bytes(artifact.files["weights.safetensors"]))


def test_answers_are_in_their_documents(trained, files):
    _, artifact = trained
    predictor = AnswerPredictor(artifact)
    predictor.decoder.threshold = 0.0
    for question in ("how is the pizza ?", "how is the sun ?", "is the weather good or bad ?"):
        answer = predictor.answer(question)
        text = open(f"{files['documents']}/{answer.document}").read()  # noqa: SIM115
        assert text[answer.start : answer.end] == answer.text != ""
        assert 0.0 <= answer.confidence <= 1.0
    predictor.decoder.threshold = 1.1
    assert predictor.answer("how is the pizza ?") is None


def test_a_training_in_words():
    scores = {"questions": 1, "exact": 0.5, "f1": 2 / 3}
    artifact = Artifact({"held_out": scores}, {"a": b"x" * 200_000})
    assert in_words(artifact) == "exact match 50.0 %, F1 66.7 % on 1 held-out question; 0.2 MB"
    assert in_words(Artifact({"held_out": None}, {})) == "0.0 MB; not measured, as no passages were held out"


@pytest.mark.parametrize("question", ["", " ", "zzzz", "\ud800"])
def test_questions_without_anything_to_read(trained, question):
    assert AnswerPredictor(trained[1]).answer(question) is None


def test_held_out_passages_are_not_learnt(tiny_weights, files):
    config = config_of(tiny_weights, files)
    learnt, held_out = questions_for(config)
    assert held_out and {one.passage for one in learnt}.isdisjoint(one.passage for one in held_out)
    made = [question for question in learnt if question.id.endswith("-unanswerable")]
    assert len(made) == pytest.approx(0.3 * sum(bool(question.answers) for question in learnt), abs=1)
    none = questions_for(config_of(tiny_weights, files, validation_split=0.0, unanswerable_questions=0.0))
    assert (len(none.learnt), none.held_out) == (80, [])
    assert questions_for(config) == (learnt, held_out)


def test_passages_that_differ_in_blanks_are_held_out_together(tiny_weights, files):
    """A model that was trained on one of them has seen the wordpieces of the other."""
    given = [f"this{blank}is {number} .{blank}" for number in range(60) for blank in (" ", "\n", "  ")]
    questions = [Question("", "what ?", passage, ((0, 4),)) for passage in given]
    split = split_questions(questions, config_of(tiny_weights, files, validation_split=0.3))
    learnt, held_out = ({" ".join(one.passage.split()) for one in part} for part in split)
    assert held_out and not learnt & held_out and len(learnt | held_out) == 60


@pytest.mark.parametrize("unanswerable, made", [(0, True), (19, True), (20, False)])
def test_enough_unanswerable_questions_of_people_choose_the_threshold_alone(tiny_weights, files, unanswerable, made):
    config = config_of(tiny_weights, files, validation_split=0.5)
    given = [Question(str(n), f"what is {n} ?", f"this is {n} .", ((8, 8 + len(str(n))),), "doc") for n in range(60)]
    held_out = [one for one in split_questions(given, config).held_out if one.answers]
    assert len(held_out) >= 20
    without = {one.id for one in held_out[:unanswerable]}
    questions = [replace(one, answers=()) if one.id in without else one for one in given]
    found = split_questions(questions, config)
    assert any(one.id.endswith("-unanswerable") for one in found.held_out) == made
    assert any(one.id.endswith("-unanswerable") for one in found.learnt)


def test_both_kinds_of_questions_weigh_the_same_in_the_threshold():
    """Of ten answerable questions with margins 1 to 10 all are right; the two unanswerable ones have 4.5 and 8.5."""
    margins = np.array([*range(1, 11), 4.5, 8.5])
    expected, texts = [["hot"]] * 10 + [[]] * 2, ["hot"] * 12
    assert ServedAnswers(expected, texts, margins, np.arange(12)).best_threshold() == 8.75
    alone = ServedAnswers(expected[:10], texts[:10], margins[:10], np.arange(10))
    assert alone.best_threshold() < 1, "without unanswerable questions, all are answered"


def test_a_single_long_passage_takes_memory_once(monkeypatch):
    monkeypatch.setattr(answer_measuring, "AnswerPredictor", lambda artifact: SimpleNamespace(read=lambda *texts: None))
    passages = ["x" * 100_000, *(f"passage {number // 2}" + number % 2 * " " for number in range(100))]
    questions = [Question("", "what ?", passage) for passage in passages]
    tracemalloc.start()
    try:
        answers = ServedAnswers.of(None, questions)
        assert tracemalloc.get_traced_memory()[1] < 2e6, "as an array, texts take 40 MB"
    finally:
        tracemalloc.stop()
    assert len(set(answers.passages.tolist())) == 51 and answers.passages[1] == answers.passages[2]


def test_finetuning_is_measured_on_nothing_that_was_learnt_before(tiny_weights, files, tmp_path):
    config = config_of(tiny_weights, files)
    more = write_questions(tmp_path / "more.json", 60, seed=9)
    before, now = (questions_for(replace(config, training_data=(*config.training_data, *new))) for new in ((), (more,)))
    learnt = {question.passage for question in before.learnt}
    assert learnt.isdisjoint(question.passage for question in now.held_out)
    assert 0.05 < len(now.held_out) / len(now.learnt) < 0.5 and len(now.held_out) > len(before.held_out)
    other = questions_for(replace(config, random_seed=1)).held_out
    assert {question.passage for question in other} != {question.passage for question in before.held_out}


@pytest.mark.usefixtures("without_graphs")
def test_finetuning_after_a_training_that_held_nothing_out(tiny_weights, files, tmp_path):
    """Too few passages at first: all of them were learnt, so none can be measured on later."""
    few, more = (write_questions(tmp_path / f"{count}.json", count) for count in (8, 40))
    config = config_of(tiny_weights, {**files, "training_data": few}, epochs=1, pruning={"method": "none"})
    first = train_or_finetune(config, None)
    further = train_or_finetune(replace(config, training_data=(few, more)), first)
    assert first.manifest["held_out"] is further.manifest["held_out"] is None
    assert further.manifest["answers"]["threshold"] == 0.5 and further.manifest["config"]["validation_split"] == 0.1


def test_passages_that_were_learnt_are_not_held_out_later(tiny_weights, files, tmp_path):
    """A first training always holds one out, if need be that with the smallest digest; --finetune may hold out none."""
    config = config_of(tiny_weights, {**files, "training_data": write_questions(tmp_path / "all.json", 100)})
    questions = read_questions(config.training_data, option="test")
    learnt = split_questions(questions, config).learnt
    assert not split_questions(learnt, config, continued=True).held_out and split_questions(learnt, config).held_out


@pytest.mark.usefixtures("without_graphs")
def test_confidences_are_kept_where_too_few_questions_are_held_out(tiny_weights, files, tmp_path):
    """8 questions, of which none is held out, and 40, of which fewer than 20 are."""
    few, some, many = (write_questions(tmp_path / f"{count}.json", count, seed=count) for count in (8, 40, 400))
    options = {"epochs": 1, "pruning": {"method": "none"}, "validation_split": 0.3}
    config = config_of(tiny_weights, {**files, "training_data": many}, **options)
    first = train_or_finetune(config, None)
    chosen = first.manifest["answers"]
    assert first.manifest["held_out"]["questions"] >= 20 and (chosen["slope"], chosen["threshold"]) != (1.0, 0.5)
    for path, is_measured in ((few, False), (some, True)):
        further = train_or_finetune(replace(config, training_data=(path,)), first)
        assert further.manifest["answers"] == chosen and bool(further.manifest["held_out"]) == is_measured
        assert describe(further)["calibrated"]


def test_a_threshold_is_not_scored_on_the_questions_that_chose_it(trained, monkeypatch):
    """All answers on one passage are wrong and all on the other right, with the same margins."""
    answers = ServedAnswers([[]] * 30 + [["hot"]] * 30, ["hot"] * 60, np.ones(60), np.repeat([0, 1], 30))
    monkeypatch.setattr(answer_measuring.ServedAnswers, "of", lambda artifact, questions: answers)
    config, artifact = trained
    for fixed, exact in ((None, 0.0), (0.0, 0.5)):
        options = replace(config, no_answer_threshold=fixed)
        found = answer_measuring.measured(artifact, [None] * 60, options).manifest
        assert found["held_out"]["exact"] == found["held_out"]["f1"] == exact
        assert found["answers"]["threshold"] == fixed or fixed is None


@pytest.mark.parametrize("margin", [-9.0, 9.0])
@pytest.mark.parametrize("right", [False, True])
def test_few_answers_choose_no_threshold(trained, monkeypatch, caplog, right, margin):
    """Otherwise one right answer of a low margin, or a wrong one of a high margin, would decide for all messages."""
    config, artifact = trained
    for count, is_chosen in ((1, False), (19, False), (20, True)):
        caplog.clear()
        found = [["hot"] if right else ["cold"]] * count
        answers = ServedAnswers(found, ["hot"] * count, np.full(count, margin), np.arange(count))
        monkeypatch.setattr(answer_measuring.ServedAnswers, "of", lambda artifact, questions, answers=answers: answers)
        entry = answer_measuring.measured(artifact, [None] * count, config).manifest["answers"]
        chosen = (entry["slope"], entry["intercept"], entry["threshold"]) != (1.0, 0.0, 0.5)
        assert chosen == is_chosen
        assert f"no_answer_threshold: 0.5 is used, as {count} of the {count} held-out question" in caplog.text


@pytest.mark.parametrize(
    "unanswerable, is_chosen", [(0, False), (4, False), (5, True), (55, True), (56, False), (60, False)]
)
def test_a_threshold_needs_questions_of_both_kinds(trained, monkeypatch, caplog, unanswerable, is_chosen):
    """Without unanswerable ones, every answer is given: that is best for the others."""
    config, artifact = trained
    expected = [[]] * unanswerable + [["hot"]] * (60 - unanswerable)
    answers = ServedAnswers(expected, ["hot"] * 60, np.linspace(-9.0, 9.0, 60), np.arange(60))
    monkeypatch.setattr(answer_measuring.ServedAnswers, "of", lambda artifact, questions: answers)
    entry = answer_measuring.measured(artifact, [None] * 60, config).manifest["answers"]
    assert (entry["threshold"] != 0.5) == is_chosen and entry["slope"] != 1.0
    said = f"no_answer_threshold: 0.5 is used, as {60 - unanswerable} of the 60 held-out questions are answerable"
    assert (said in caplog.text) != is_chosen
    caplog.clear()
    fixed = answer_measuring.measured(artifact, [None] * 60, replace(config, no_answer_threshold=0.3)).manifest
    assert fixed["answers"]["threshold"] == 0.3 and "no_answer_threshold" not in caplog.text


@pytest.mark.parametrize("passages, made", [(1, 0), (2, 6)])
def test_documents_of_one_passage_make_no_unanswerable_question(tiny_weights, files, caplog, passages, made):
    config = config_of(tiny_weights, files, validation_split=0.0, unanswerable_questions=0.5)
    given = [Question(str(n), f"what is {n} ?", f"this is {n} .", ((8, 9),), f"doc{n // passages}") for n in range(12)]
    learnt = split_questions(given[:10] if passages == 1 else given, config).learnt
    assert sum(not question.answers for question in learnt) == made
    warned = "unanswerable_questions: only 0 of 5 can be generated, as the other questions are in documents without"
    assert (warned in caplog.text) == (passages == 1)


def test_a_single_passage_that_is_held_out(trained, monkeypatch):
    answers = ServedAnswers([["hot"], []], ["hot", ""], np.array([2.0, -np.inf]), np.zeros(2, int))
    monkeypatch.setattr(answer_measuring.ServedAnswers, "of", lambda artifact, questions: answers)
    config, artifact = trained
    assert answer_measuring.measured(artifact, [None] * 2, config).manifest["held_out"]["exact"] == 1.0


def test_windows_of_questions(tiny_weights, files):
    config = config_of(tiny_weights, files, max_length=24, stride=6)
    questions = questions_for(config).learnt
    run = prepare(questions, config, texts=[])
    messages = run.messages
    assert len(messages.learnt) > len(questions)
    separator = run.start.shape.separator
    for ids, labels in zip(messages.learnt.input_ids, messages.learnt.labels["answers"]):
        assert len(ids) == len(labels) <= 24
        assert np.flatnonzero(ids == separator).size == 2  # its id is kept by trimming


def test_a_question_whose_answer_no_window_has(tiny_weights, files, caplog):
    caplog.set_level(logging.WARNING)
    config = config_of(tiny_weights, files)
    start = prepare(questions_for(config).learnt, config, texts=[]).start
    (question, *_) = (one for one in questions_for(config).learnt if one.answers)
    long = question.__class__("1", "how ?", "hot " * 60, ((0, 200),))
    messages = encode_questions([question, long], AnswerHead(30, 128), start, max_length=32)
    assert len(messages.learnt) == 1
    assert "1 question is not learnt, as no window of 32 wordpieces contains the whole answer: 'how ?'" in caplog.text


def test_questions_without_an_answer(tiny_weights, files, tmp_path):
    path = tmp_path / "none.json"
    path.write_text(
        '{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "1", "question": "b", "is_impossible": true}]}]}]}'
    )
    with pytest.raises(DataError, match="no question with an answer"):
        questions_for(config_of(tiny_weights, files, training_data=str(path)))


def test_trained_further(trained):
    config, artifact = trained
    further = train_or_finetune(config, artifact)
    assert further.manifest["encoder"]["layers"] == artifact.manifest["encoder"]["layers"]
    assert set(further.manifest["training_scores"]) == {"dense", "pruned", "finetuned", "final"}


@pytest.mark.parametrize("quantization", [{}, {"method": "static_int8"}])
@pytest.mark.usefixtures("without_graphs")
def test_a_model_that_is_trained_further_is_compared_as_it_is_served(tiny_weights, files, quantization):
    """An epoch changes weights by less than the distance of two 8-bit values, so that most of them are as before."""
    options = {"pruning": {"method": "none"}, "quantization": quantization}
    config = config_of(tiny_weights, files, **options, epochs=1)
    first = train_or_finetune(config, None)
    further = train_or_finetune(replace(config, learning_rate=1e-4), first)
    distances = [artifact.manifest["parity"]["answers"]["distance"] for artifact in (further, first)]
    assert distances[0] < 1e-4 < distances[1]


def test_some_layers_of_the_weights(tiny_weights, files):
    options = {"pruning": {"layers": [1], "final_sparsity": 0.2, "frequency": 1}}
    artifact = train_or_finetune(config_of(tiny_weights, files, **options), None)
    dense, (layer,) = (EncoderShape.from_dict(artifact.manifest[name]).layers for name in ("dense_encoder", "encoder"))
    assert len(dense) == 2 and 0 < layer.intermediate_size <= dense[1].intermediate_size
    assert artifact.manifest["config"]["pruning"]["layers"] == (1,)
    assert describe(artifact)["layers"][1]["intermediate_size"][1] == 0


def test_layers_that_the_weights_have_not(tiny_weights, files, monkeypatch):
    monkeypatch.setattr(answer_training, "fine_tune", lambda run: pytest.fail("It trains first."))
    with pytest.raises(ConfigError, match=r"pruning.layers: \[0, 2\] names layers that do not exist"):
        train_or_finetune(config_of(tiny_weights, files, pruning={"layers": [0, 2]}), None)


def test_a_model_without_documents(trained):
    _, artifact = trained
    files = {name: data for name, data in artifact.files.items() if name != DOCUMENTS}
    assert AnswerPredictor(Artifact(artifact.manifest, files)).answer("how is the pizza ?") is None


GERMAN = "Das Museum hat täglich von neun bis achtzehn Uhr geöffnet, außer montags. Der Eintritt ist für Kinder frei."
RUSSIAN = "Музей открыт ежедневно с девяти до восемнадцати часов, кроме понедельника."
CHINESE = "博物馆每天九点开门，星期一除外。"
ENGLISH = "The museum is open from nine to six every day except Monday. Children have free entry. Ask Mr. Kowalczyk."


@pytest.mark.parametrize(
    "texts, language, warned",
    [
        ([GERMAN], "en", r"^documents: \d\d% of the words are not in the vocabulary .* which support only 'en'"),
        ([RUSSIAN], "en", "of the words are not in the vocabulary"),
        ([CHINESE], "en", r"documents: \d\d% of the wordpieces are not in the vocabulary of the weights"),
        ([CHINESE], None, "of the wordpieces are not in the vocabulary"),
        ([ENGLISH * 2000, *[GERMAN * 2000] * 3], "en", "of the words are not in the vocabulary"),
        ([ENGLISH], "en", None),
        ([ENGLISH, GERMAN[:20]], "en", None),
        ([GERMAN], None, None),
        (["\u200b"], "en", None),
        (["Warsaw stands on the Vistula River. " * 30] * 5_000, "en", None),
        ([GERMAN * 10] * 5_000, "en", "of the words are not in the vocabulary"),
    ],
)
def test_documents_in_another_language_than_the_weights(texts, language, warned, caplog):
    """Most languages of the Latin and some other scripts have no unknown wordpieces, but words in many pieces."""
    caplog.set_level(logging.WARNING)
    documents = [Document(f"{number}.md", text) for number, text in enumerate(texts)]
    with_documents(Artifact({}, {TOKENIZER: minilm_tokenizer().encode("utf-8")}), documents, language=language)
    assert len(caplog.messages) == (warned is not None)
    assert warned is None or re.search(warned + ".*set model_weights to multilingual-e5-small", caplog.messages[0])


def test_the_language_of_the_weights_is_that_of_the_option(tiny_weights, files, trained, monkeypatch):
    """A vocabulary that was trimmed in an earlier training splits new words of any language."""
    languages = []
    monkeypatch.setattr(answer_training, "only_language", {str(tiny_weights): "en"}.get)
    monkeypatch.setattr(answer_training, "with_documents", lambda *_, language: languages.append(language))
    for name in ("_cached", "prepare_further", "fine_tune_further", "_exported", "measured"):
        monkeypatch.setattr(answer_training, name, lambda *_, **__: None)
    for artifact in (None, trained[1]):
        train_or_finetune(config_of(tiny_weights, files), artifact)
    assert languages == ["en", None]


@pytest.mark.slow
@pytest.mark.parametrize(
    "runtime, method", [("onnxruntime", "static_int8"), ("tensorflow", "none"), ("tflite", "none")]
)
def test_runtimes(tiny_weights, files, runtime, method):
    options = {"runtime": runtime, "quantization": {"method": method}, "pruning": {"method": "none"}}
    artifact = train_or_finetune(config_of(tiny_weights, files, epochs=1, **options), None)
    assert AnswerPredictor(artifact).read("how is the pizza ?", "the pizza is hot .") is not None


@pytest.mark.slow
def test_whether_a_passage_has_the_answer_is_learnt(tiny_weights, tmp_path, files):
    """Questions on new passages are answered, or recognised as unanswerable."""
    training = {**files, "training_data": write_questions(tmp_path / "many.json", 400)}
    options = {"pruning": {"method": "none"}, "epochs": 6, "learning_rate": 3e-3, "unanswerable_questions": 0.0}
    artifact = train_or_finetune(config_of(tiny_weights, training, **options), None)
    others = read_questions([write_questions(tmp_path / "others.json", 100, seed=1)], option="others")
    scores = ServedAnswers.of(artifact, others).scores(AnswerPredictor(artifact).decoder)
    assert scores["answerable_exact"] > 0.8 and scores["unanswerable_exact"] > 0.8
    assert artifact.manifest["held_out"]["exact"] > 0.8
