"""Distillation from a teacher to its students, end to end."""

import csv
import json
import sys

import numpy as np
import pytest
from task_harness import EXAMPLES, WORDS, examples_of

from rasa_compressed_bert.artifact.artifact import SPACY_MODEL, VIEWS, WEIGHTS, Artifact, write_artifact
from rasa_compressed_bert.config import DistilledIntentClassifierConfig, PrunedBertIntentClassifierConfig
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.errors import CompressedBertError, ConfigError, DataError, ExportError, RuntimeMissingError
from rasa_compressed_bert.export.packing import state_of
from rasa_compressed_bert.export.standalone import onnx_files, tflite_files
from rasa_compressed_bert.inspection.description import describe
from rasa_compressed_bert.inspection.report import inspection_blocks
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.reporting.terminal import as_text
from rasa_compressed_bert.runtime.predictors import open_predictor
from rasa_compressed_bert.tasks import distillation, teacher
from rasa_compressed_bert.tasks.bert_training import train_bert
from rasa_compressed_bert.tasks.distillation import train_distilled_classifier
from rasa_compressed_bert.tasks.served_outputs import encoder_of, served_outputs
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer
from rasa_compressed_bert.training.scores import evaluate

pytestmark = pytest.mark.slow

STUDENTS = {
    "bilstm": {"embedding_size": 16, "hidden_size": 16, "dense_size": 32},
    "ngrams": {"embedding_size": 16, "buckets": 500},
    "transformer": {"num_layers": 1},
    "spacy_textcat": {},
}
TEACHER = {"epochs": 3, "learning_rate": 8e-3}
QUICK = {"epochs": 5, "batch_size": 16, "learning_rate": 1e-2, "max_length": 32, "validation_split": 0.2}
every_student = pytest.mark.parametrize("architecture", STUDENTS)


@pytest.fixture(scope="module")
def configure(tiny_weights):
    def build(architecture="bilstm", **options):
        quick = {
            "student": {"architecture": architecture, **STUDENTS[architecture]},
            "teacher": {"model_weights": str(tiny_weights), **TEACHER},
            "augmentation": {"n_iter": 5},
            **QUICK,
        }
        quick["learning_rate"] = {"transformer": 3e-3, "spacy_textcat": 1e-2}.get(architecture, 1e-2)
        if architecture == "transformer":
            quick["pruning"] = {"method": "none"}
        return DistilledIntentClassifierConfig.from_dict({**quick, **options})

    return build


@pytest.fixture(scope="module")
def cache():
    """A cache of teachers' predictions, shared by all tests of the module."""
    kept = {}

    def take(key, make):
        if key not in kept:
            kept[key] = make()
        return kept[key]

    take.kept = kept
    return take


def untouched(key, make):
    """A cache that fails the test if a teacher is trained."""
    pytest.fail("a teacher is trained")


@pytest.fixture(scope="module")
def cache_of_repeated():
    """A second cache, for trainings that repeat others: their teacher is trained once more."""
    kept = {}
    return lambda key, make: kept[key] if key in kept else kept.setdefault(key, make())


@pytest.fixture(scope="module")
def students(configure, cache):
    trained = {}

    def get(architecture):
        if architecture not in trained:
            trained[architecture] = train_distilled_classifier(EXAMPLES, configure(architecture), cache=cache)
        return trained[architecture]

    return get


@pytest.fixture(scope="module")
def teacher_model(configure):
    options = configure().teacher_options()
    return train_bert(EXAMPLES, options)


def accuracy(artifact, examples=EXAMPLES):
    predictor = open_predictor(artifact)
    return np.mean([predictor.predict(example.text).ranking[0][0] == example.intent for example in examples])


@every_student
def test_student_learns_and_is_all_that_is_stored(students, architecture):
    artifact = students(architecture)
    assert accuracy(artifact) > 0.8
    stored = {SPACY_MODEL} if architecture == "spacy_textcat" else {"tokenizer.json", "model.onnx", WEIGHTS}
    assert set(artifact.files) == {*stored, VIEWS}
    manifest = artifact.manifest
    assert manifest["kind"] == "intent_classifier" and manifest["labels"] == sorted(WORDS)
    assert 0 < manifest["validation"]["student"]["macro_f1"] <= 1
    assert manifest["teacher"]["training_messages"] == 30 and manifest["teacher"]["other_messages"] > 24
    assert manifest["out_of_scope"]["calibrated"] and manifest["out_of_scope"]["compared_messages"] == 30
    json.dumps(manifest, allow_nan=False)


@every_student
def test_training_is_repeatable(students, configure, cache_of_repeated, architecture):
    again = train_distilled_classifier(EXAMPLES, configure(architecture), cache=cache_of_repeated)
    texts = [example.text for example in EXAMPLES[:6]]
    for text in texts:
        one, other = (open_predictor(artifact).predict(text).ranking for artifact in (students(architecture), again))
        assert [name for name, _ in one] == [name for name, _ in other]
        np.testing.assert_allclose([c for _, c in one], [c for _, c in other], atol=1e-5)


@every_student
def test_finetuning_goes_on_with_the_student(students, configure, cache, architecture):
    more = EXAMPLES + [Example(f"zzz {word} qqq", "spice") for word in ("xxx", "yyy")]
    options = {"epochs": 1, "learning_rate": 1e-6}
    tuned = train_distilled_classifier(
        more, configure(architecture, **options), cache=cache, origin=students(architecture)
    )
    assert accuracy(tuned) > 0.8, "one epoch from the start would not be enough"
    if architecture == "transformer":  # an epoch changes its weights by less than the distance of two 8-bit values
        assert tuned.manifest["parity"]["distance"] < 1e-4


def test_finetuning_with_other_intents_is_refused(students, configure):
    with pytest.raises(DataError, match="New: \\['other'\\].*Train without --finetune"):
        train_distilled_classifier([*EXAMPLES, Example("x", "other")], configure(), origin=students("bilstm"))


def test_teacher_is_run_once(configure, cache):
    train_distilled_classifier(EXAMPLES, configure(), cache=cache)
    before = len(cache.kept)
    train_distilled_classifier(EXAMPLES, configure("ngrams"), cache=cache)
    assert len(cache.kept) == before, "another student of the same teacher needs nothing new"
    train_distilled_classifier(EXAMPLES, configure("ngrams", augmentation={"n_iter": 1}), cache=cache)
    assert len(cache.kept) == before + 1, "other messages, the same teacher"
    train_distilled_classifier(EXAMPLES[:-3], configure("ngrams"), cache=cache)
    assert len(cache.kept) == before + 4, "another teacher, and what it says and makes of wordpieces"


def test_a_trained_model_as_the_teacher(configure, teacher_model, tmp_path):
    write_artifact(teacher_model, tmp_path / "teacher")
    given = configure(teacher={"model": str(tmp_path / "teacher")})
    assert accuracy(train_distilled_classifier(EXAMPLES, given)) > 0.8


def test_a_student_as_the_teacher(configure, students, tmp_path):
    write_artifact(students("bilstm"), tmp_path / "teacher")
    config = configure("ngrams", teacher={"model": str(tmp_path / "teacher")})
    with pytest.raises(CompressedBertError, match="is a student itself"):
        train_distilled_classifier(EXAMPLES, config)


@pytest.mark.parametrize(
    "manifest, words",
    [
        ({"kind": "featurizer"}, "no trained components that learn only intents"),
        ({"labels": ["music", "spice"]}, "Missing: \\['weather'\\]; unknown: none"),
        ({"labels": ["music", "other", "spice", "weather"]}, "Missing: none; unknown: \\['other'\\]"),
        ({"format_version": 1}, "format version 1"),
    ],
)
def test_models_that_are_no_teachers(configure, teacher_model, tmp_path, manifest, words):
    write_artifact(Artifact({**teacher_model.manifest, **manifest}, teacher_model.files), tmp_path / "teacher")
    with pytest.raises(CompressedBertError, match=words):
        train_distilled_classifier(EXAMPLES, configure(teacher={"model": str(tmp_path / "teacher")}))


def test_no_teacher_there(configure, tmp_path):
    with pytest.raises(CompressedBertError, match="there is no '.*none.tar.gz'"):
        train_distilled_classifier(EXAMPLES, configure(teacher={"model": str(tmp_path / "none.tar.gz")}))


def test_a_teacher_in_the_home_folder(configure, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    with pytest.raises(CompressedBertError, match=str(tmp_path / "models")):  # is found, and empty
        train_distilled_classifier(EXAMPLES, configure(teacher={"model": "~/models"}))


def write_predictions(path, texts):
    """Writes the predictions of a black box that classifies by words."""
    labels = sorted(WORDS)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", *labels])
        for text in texts:
            hits = np.array([0.1 + any(word in text for word in WORDS[label]) for label in labels])
            writer.writerow([text, *(hits / hits.sum()).round(4)])
    return path


def test_predictions_of_a_black_box(configure, tiny_weights, tmp_path):
    more = [example.text for example in examples_of(40)]
    path = write_predictions(tmp_path / "p.csv", [example.text for example in EXAMPLES] + more)
    config = configure(
        teacher={"predictions": str(path), "model_weights": str(tiny_weights)}, augmentation={}, epochs=15
    )
    artifact = train_distilled_classifier(EXAMPLES, config)
    assert accuracy(artifact) > 0.8
    assert artifact.manifest["teacher"]["other_messages"] > 0


def test_predictions_that_lack_a_message(configure, tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_predictions(tmp_path / "p.csv", [example.text for example in EXAMPLES[1:]])
    config = configure(teacher={"predictions": "~/p.csv", "model_weights": str(tiny_weights)}, augmentation={})
    with pytest.raises(DataError, match=f"no row for 1 of 30 training messages, such as '{EXAMPLES[0].text}'"):
        train_distilled_classifier(EXAMPLES, config)


def test_unlabelled_messages_are_labelled_too(configure, cache, tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("what a rain\n\n  what a rain \nstop this song\n", encoding="utf-8")
    artifact = train_distilled_classifier(
        EXAMPLES, configure("ngrams", augmentation={"n_iter": 0, "unlabelled": str(path)}, epochs=1), cache=cache
    )
    assert artifact.manifest["teacher"]["other_messages"] == 2


def test_unlabelled_messages_that_are_not_there(configure, cache, tmp_path):
    config = configure(augmentation={"unlabelled": str(tmp_path / "none.txt")})
    with pytest.raises(DataError, match="augmentation.unlabelled: .*none.txt' cannot be read"):
        train_distilled_classifier(EXAMPLES, config, cache=cache)


def test_messages_with_an_unconfident_teacher_are_dropped():
    logits = np.log(np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]]))
    kept = distillation._confident(logits, np.array([0, 1]), np.array([0, 0, -1]), 0.5)
    assert kept.tolist() == [0, 2], "an unlabelled message has no intent of its own"
    assert distillation._confident(logits, np.array([0, 1]), np.array([0, 0, -1]), 0.0).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("temperature", "is_kept"), [(0.01, True), (100.0, False)])
def test_the_confidence_of_a_teacher_is_calibrated(configure, cache, teacher_model, tmp_path, temperature, is_kept):
    """As the confidences that it answers with: logits of a regularised layer alone are far from probabilities."""
    changed = Artifact({**teacher_model.manifest, "temperature": temperature}, teacher_model.files)
    write_artifact(changed, tmp_path / "teacher")
    options = {"teacher": {"model": str(tmp_path / "teacher")}, "epochs": 1, "augmentation": {"n_iter": 5}}
    every, confident = (
        train_distilled_classifier(EXAMPLES, configure("ngrams", **given), cache=cache).manifest["teacher"]
        for given in (options, {**options, "augmentation": {"n_iter": 5, "min_confidence": 0.5}})
    )
    assert every["other_messages"] > 20
    assert (confident["other_messages"] > 0.5 * every["other_messages"]) == is_kept


def test_neighbours_and_confidence(configure, cache):
    options = {"n_iter": 3, "neighbours": 0.3, "min_confidence": 0.5}
    assert accuracy(train_distilled_classifier(EXAMPLES, configure("ngrams", augmentation=options), cache=cache)) > 0.8


def test_transformer_from_chosen_layers(configure, teacher_model, tmp_path):
    write_artifact(teacher_model, tmp_path / "teacher")
    student = {"architecture": "transformer", "layers": [1]}
    options = {"teacher": {"model": str(tmp_path / "teacher")}, "epochs": 1, "student": student}
    options.update(learning_rate=1e-9, quantization={"method": "none"}, augmentation={"n_iter": 0})
    artifact = train_distilled_classifier(EXAMPLES, configure("transformer", **options))
    tensors = teacher.tensors_from_bytes(artifact.files[WEIGHTS])
    of_teacher = teacher.tensors_from_bytes(teacher_model.files[WEIGHTS])
    for name in ("output.kernel", "intermediate.bias"):
        np.testing.assert_allclose(tensors[f"layers.0.{name}"], of_teacher[f"layers.1.{name}"], atol=1e-4)
    assert len(artifact.manifest["encoder"]["layers"]) == 1 and len(artifact.manifest["dense_encoder"]["layers"]) == 2


def test_hidden_states_are_matched_on_demand(configure, cache, teacher_model, tmp_path):
    """After equally many steps, the student's are closer to those of the teacher's layer that it started from."""
    write_artifact(teacher_model, tmp_path / "teacher")
    given = {"teacher": {"model": str(tmp_path / "teacher")}, "epochs": 2, "quantization": {"method": "none"}}
    encoder = state_of(teacher_model)
    ids = WordpieceTokenizer(encoder.tokenizer, 32).encode_all([example.text for example in EXAMPLES])
    before = [BertEncoder(encoder.shape, encoder.parameters)(row[np.newaxis], np.ones((1, len(row))))[1] for row in ids]
    distances = []
    for weight in (0.0, 100.0):
        student = {"architecture": "transformer", "layers": [1], "vocabulary_size": 1000}
        options = {**given, "student": student, "distillation": {"hidden_states": weight}}
        begun = state_of(train_distilled_classifier(EXAMPLES, configure("transformer", **options), cache=cache))
        assert begun.tokenizer == encoder.tokenizer
        after = [BertEncoder(begun.shape, begun.parameters)(row[np.newaxis], np.ones((1, len(row))))[0] for row in ids]
        distances.append(np.mean([np.mean((one - other) ** 2) for one, other in zip(before, after)]))
    assert distances[1] < 0.9 * distances[0]


@pytest.mark.parametrize("student", [{"num_layers": 3}, {"layers": [0, 2]}])
def test_layers_that_the_teacher_has_not(configure, student):
    config = configure("transformer", student={"architecture": "transformer", **student})
    with pytest.raises(ConfigError, match="the teacher has 2 layers, 0 to 1"):
        train_distilled_classifier(EXAMPLES, config, cache=untouched)


def test_teacher_with_fewer_positions(configure, teacher_model, tmp_path):
    write_artifact(teacher_model, tmp_path / "teacher")
    config = configure("transformer", teacher={"model": str(tmp_path / "teacher")}, max_length=64)
    with pytest.raises(ConfigError, match="max_length: 64 is more than the 32 positions of the teacher"):
        train_distilled_classifier(EXAMPLES, config)


def test_transformer_is_scored_as_it_is_served(configure, cache, monkeypatch):
    """On held-out messages, after pruning."""
    split, kept = distillation._with_held_out, []
    monkeypatch.setattr(distillation, "_with_held_out", lambda *a, **k: kept.append(split(*a, **k)) or kept[-1])
    config = configure("transformer", pruning={"final_sparsity": 0.9}, quantization={"method": "none"})
    artifact = train_distilled_classifier(EXAMPLES, config, cache=cache)
    logits, _ = served_outputs(artifact, kept[0].validation_texts, name="held out")
    expected = evaluate(logits, kept[0].validation_classes).to_dict()
    assert artifact.manifest["validation"]["student"] == pytest.approx(expected, rel=1e-3)


def test_transformer_is_pruned(configure, cache):
    pruning = {"final_sparsity": 0.5, "frequency": 2, "end_epoch": 1}
    artifact = train_distilled_classifier(EXAMPLES, configure("transformer", pruning=pruning, epochs=2), cache=cache)
    layer, before = (artifact.manifest[name]["layers"][0] for name in ("encoder", "dense_encoder"))
    assert layer["intermediate_size"] < before["intermediate_size"]
    assert set(artifact.manifest["validation"]) == {"student"}


@pytest.mark.parametrize("architecture", ["bilstm", "ngrams", "transformer"])
def test_one_intent(configure, cache, architecture):
    examples = [Example(f"hello {word}", "greet") for word in "a the it you".split()]
    artifact = train_distilled_classifier(examples, configure(architecture, epochs=1), cache=cache)
    ((label, confidence),) = open_predictor(artifact).predict("hello you").ranking
    assert label == "greet" and 0.3 < confidence <= 1.0
    alone = Artifact({name: value for name, value in artifact.manifest.items() if name != "views"}, artifact.files)
    assert open_predictor(alone).predict("hello you").ranking == [("greet", 1.0)]


def test_one_intent_is_none_for_spacy(configure):
    examples = [Example(f"hello {word}", "greet") for word in "a the it you".split()]
    with pytest.raises(DataError, match="needs at least two intents; choose another architecture"):
        train_distilled_classifier(examples, configure("spacy_textcat"))


def test_no_validation_examples(configure, cache):
    artifact = train_distilled_classifier(EXAMPLES, configure("ngrams", validation_split=0.0), cache=cache)
    assert artifact.manifest["validation"] == {} and artifact.manifest["temperature"] == 1.0
    assert not artifact.manifest["out_of_scope"]["calibrated"]


def test_a_student_is_calibrated_if_its_teacher_was(configure, cache, tiny_weights, tmp_path):
    """Without a detector too, and whether or not there are synthetic messages to score it on."""
    without = {"out_of_scope": {"detector": "none"}, "epochs": 1}
    fitted = train_distilled_classifier(
        EXAMPLES, configure("ngrams", augmentation={"n_iter": 0}, **without), cache=cache
    )
    assert fitted.manifest["validation"] == {} and fitted.manifest["temperature"] != 1.0
    path = write_predictions(tmp_path / "p.csv", [*(one.text for one in EXAMPLES), *(f"rain {n}" for n in range(120))])
    given = {"teacher": {"predictions": str(path), "model_weights": str(tiny_weights)}, "augmentation": {}}
    unfitted = train_distilled_classifier(EXAMPLES, configure("ngrams", **given, **without))
    assert unfitted.manifest["validation"] and unfitted.manifest["temperature"] == 1.0
    assert [describe(artifact)["calibrated"] for artifact in (fitted, unfitted)] == [True, False]


def test_no_examples(configure):
    with pytest.raises(DataError, match="no examples with an intent"):
        train_distilled_classifier([], configure())


def test_spacy_does_not_know_the_language(configure):
    config = configure("spacy_textcat", student={"architecture": "spacy_textcat", "language": "qqq"})
    with pytest.raises(ConfigError, match="student.language: spaCy does not support 'qqq'"):
        train_distilled_classifier(EXAMPLES, config, cache=untouched)


def test_spacy_is_not_installed(configure, monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(RuntimeMissingError, match="needs spaCy: pip install 'spacy>=3.4,<3.5'"):
        train_distilled_classifier(EXAMPLES, configure("spacy_textcat"), cache=untouched)


@pytest.mark.parametrize("installed", [True, False])
def test_spacy_model_is_not_installed(configure, monkeypatch, installed):
    if not installed:
        monkeypatch.setitem(sys.modules, "spacy", None)
    config = configure(augmentation={"n_iter": 1, "spacy_model": "en_no_such_model"})
    with pytest.raises(
        ConfigError, match="spacy_model: 'en_no_such_model'.*(spacy download|pip install 'spacy>=3.4,<3.5')"
    ):
        train_distilled_classifier(EXAMPLES, config, cache=untouched)


@pytest.mark.parametrize("model", ["rasa", "folder"], ids=["another package", "a damaged model"])
def test_what_spacy_cannot_load(configure, tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "meta.json").write_text("{")
    config = configure(augmentation={"n_iter": 1, "spacy_model": model})
    with pytest.raises(ConfigError, match=f"augmentation.spacy_model: '{model}' cannot be loaded"):
        train_distilled_classifier(EXAMPLES, config, cache=untouched)


def test_spacy_model_without_a_tagger(configure, cache, tmp_path, monkeypatch):
    import spacy

    monkeypatch.setenv("HOME", str(tmp_path))
    spacy.blank("en").to_disk(tmp_path / "model")
    config = configure(augmentation={"n_iter": 1, "spacy_model": "~/model"})
    with pytest.raises(ConfigError, match="has no tagger"):
        train_distilled_classifier(EXAMPLES, config, cache=cache)


def test_training_leaves_the_global_random_numbers_alone(configure, cache):
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    train_distilled_classifier(EXAMPLES, configure("spacy_textcat", epochs=1), cache=cache)
    assert np.random.random() == expected


def test_teacher_is_neither_pruned_nor_quantized(configure):
    options = configure(teacher={"epochs": 3, "learning_rate": 0.01}).teacher_options()
    assert isinstance(options, PrunedBertIntentClassifierConfig)
    assert (options.pruning.method, options.quantization.method) == ("none", "none")
    assert (options.epochs, options.learning_rate) == (3, 0.01)


def test_export_for_other_programs(students):
    """The file includes the weights and predicts as the artifact does."""
    import onnxruntime

    for architecture in ("bilstm", "ngrams", "transformer"):
        artifact = students(architecture)
        session = onnxruntime.InferenceSession(onnx_files(artifact)["model.onnx"], providers=["CPUExecutionProvider"])
        text = "it is very hot today"
        ids = encoder_of(artifact)(text)[np.newaxis]
        logits = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        np.testing.assert_allclose(logits[0], served_outputs(artifact, [text], name="test")[0], atol=1e-6)


@pytest.mark.parametrize(
    "architecture, words", [("bilstm", "export it with --format onnx"), ("spacy_textcat", "spaCy")]
)
def test_what_cannot_be_exported(students, architecture, words):
    with pytest.raises(ExportError, match=words):
        tflite_files(students(architecture), quantization="none", texts=[])


@every_student
def test_inspection_says_what_a_student_is(students, architecture):
    """In the description of the artifact and in its printed form."""
    report = describe(students(architecture))
    text = as_text(inspection_blocks({"archive": "model", "archive_bytes": 1, "components": {"student": report}}))
    assert "intents" in text and "MB" in text
    if architecture == "transformer":
        assert [layer["num_attention_heads"] for layer in report["layers"]] == [[2, 2], [2, 0]]
        assert report["sparsity"] == pytest.approx(0.5)
    else:
        assert architecture in text and f"and {report['teacher']['other_messages']} others" in text
