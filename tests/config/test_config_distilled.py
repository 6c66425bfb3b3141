"""Options of the distilled classifier: defaults that depend on the architecture, and contradictions."""

import json
from dataclasses import asdict

import pytest

from rasa_compressed_bert.config import DistilledIntentClassifierConfig, student_of, student_options
from rasa_compressed_bert.errors import ConfigError, ExportError

TRANSFORMER = {"student": {"architecture": "transformer"}}
SPACY = {"student": {"architecture": "spacy_textcat"}}


def read(**options):
    return DistilledIntentClassifierConfig.from_dict(options)


def problems_of(**options):
    with pytest.raises(ConfigError) as caught:
        read(**options)
    return caught.value.problems


def test_defaults_are_those_of_the_contract():
    config = read()
    assert config.student.architecture == "bilstm"
    augmentation = config.augmentation
    assert (augmentation.n_iter, augmentation.mask, augmentation.pos, augmentation.ngram) == (20, 0.1, 0.1, 0.25)
    assert augmentation.sentence == 0.0
    assert config.weights_to_start_from == "all-MiniLM-L6-v2"
    assert config.pruning.method == "none" and config.quantization.method == "dynamic_int8"


@pytest.mark.parametrize("architecture", ["bilstm", "transformer", "ngrams", "spacy_textcat"])
def test_every_architecture_survives_the_round_trip(architecture):
    config = read(student={"architecture": architecture})
    options = json.loads(json.dumps(config.to_dict()))
    assert DistilledIntentClassifierConfig.from_dict(options) == config
    assert config.learning_rate > 0


def test_another_student_has_the_same_teacher():
    """So the cached teacher is reused."""
    students = [read(student={"architecture": name}) for name in ("bilstm", "transformer", "ngrams", "spacy_textcat")]
    assert len({json.dumps(config.teacher_options().to_dict()) for config in students}) == 1


def test_default_config_reads_as_the_defaults():
    assert read(**DistilledIntentClassifierConfig.default_config()) == read()


def test_a_transformer_is_pruned_like_any_bert():
    config = read(student={"architecture": "transformer"}, epochs=8)
    assert (config.pruning.method, config.pruning.end_epoch, config.student.num_layers) == ("neuron", 5.0, 2)
    assert "embedding_size" not in config.to_dict()["student"]


def test_layers_say_how_many_there_are():
    student = read(student={"architecture": "transformer", "layers": [0, 2, 5]}).student
    assert (student.num_layers, student.layers) == (3, (0, 2, 5))


def test_null_is_the_default_of_an_own_option_and_ignored_for_others():
    student = {"architecture": "ngrams", "buckets": None, "hidden_size": None}
    assert read(student=student).student == read(student={"architecture": "ngrams"}).student
    assert read(student=student).student.buckets == 20_000


def test_students_from_manifests_with_options_of_all_architectures_are_read():
    unused = dict.fromkeys(["hidden_size", "dense_size", "pooling", "num_layers", "layers", "language"])
    stored = {**unused, "architecture": "ngrams", "vocabulary_size": 9, "embedding_size": 8, "buckets": 7}
    assert asdict(student_options(stored)) == {name: value for name, value in stored.items() if value is not None}


def test_a_student_that_is_not_registered_is_named():
    with pytest.raises(ConfigError, match="'gru' is not registered here, only bilstm, .*; import"):
        student_options({"architecture": "gru", "units": 3})


def test_a_student_without_a_graph_is_not_exported():
    with pytest.raises(ExportError, match="architecture spacy_textcat has no ONNX graph"):
        student_of("spacy_textcat").graph(student_options({"architecture": "spacy_textcat"}), {})


def test_predictions_of_a_file_are_not_augmented():
    assert read(teacher={"predictions": "p.csv"}).augmentation.n_iter == 0


def test_loss_follows_the_targets():
    assert read().distillation.loss == "kl"
    assert read(distillation={"targets": "logits"}).distillation.loss == "mse"
    assert read(distillation={"loss": "mse"}).distillation.loss == "mse"
    assert read(student={"architecture": "spacy_textcat"}).distillation.loss == "mse"


def test_epochs_of_finetuning():
    options = {"student": {"architecture": "transformer"}, "pruning": {"end_epoch": 4}, "epochs": 4}
    assert read(**options, finetuning_epoch_fraction=0.5).pruning.end_epoch == 2.0


@pytest.mark.parametrize(
    "options, words",
    [
        (
            {"student": {"hidden_size": 64, "architecture": "ngrams"}},
            "student.hidden_size: 64 is only for student.arch",
        ),
        ({"student": {"architecture": "ngrams", "layers": [0, 1]}}, "student.layers: [0, 1] is only for"),
        ({"student": {"num_layers": 3}}, "only for student.architecture: transformer, not bilstm"),
        (
            {"student": {"architecture": "transformer", "layers": [0, 1], "num_layers": 3}},
            "contradicts student.num_layers: 3",
        ),
        ({"student": {"architecture": "transformer", "layers": [1, 1]}}, "not a list of different integers >= 0"),
        ({"student": {"architecture": "transformer", "layers": "0,1"}}, "not a list of different integers >= 0"),
        (
            {"student": {"architecture": "ngrams", "pooling": "mean"}},
            "'mean' is not one of: max, last",
        ),
        ({"student": {"architecture": "gru", "buckets": 3}}, "one of: bilstm, transformer, ngrams, spacy_textcat"),
        ({"student": {"bucket": 3}}, "did you mean 'buckets'?"),
        ({"student": {"architecture": "gru"}}, "one of: bilstm, transformer, ngrams, spacy_textcat"),
        ({"pruning": {"final_sparsity": 0.5}}, "pruning is only for student.architecture: transformer"),
        ({"distillation": {"hidden_states": 1.0}}, "hidden_states: 1.0 is only for student.architecture: transformer"),
        ({"quantization": {"method": "kmeans"}}, "kmeans is only for student.architecture: transformer"),
        ({"quantization": {"aware_training": True}}, "aware_training: true is only for student.architecture: transf"),
        ({"teacher": {"model": "a", "predictions": "b"}}, "teacher.model and teacher.predictions are two teachers"),
        ({"teacher": {"model": "a", "model_weights": "b"}}, "teacher.model and teacher.model_weights are two teachers"),
        (
            {"teacher": {"predictions": "b"}, "augmentation": {"n_iter": 2}},
            "null, not b, as a file has no predictions",
        ),
        ({"teacher": {"predictions": "b"}, "augmentation": {"min_confidence": 0.5}}, "min_confidence: 0.5 is only for"),
        (
            {"teacher": {"predictions": "b"}, "augmentation": {"unlabelled": "c"}},
            "unlabelled: 'c' is only for teacher",
        ),
        (
            {"teacher": {"predictions": "b", "epochs": 3}},
            "epochs: 3 is only for teacher.predictions: null, not b, as a teacher that is given is not fine-tuned",
        ),
        (
            {"teacher": {"model": "a", "learning_rate": 0.1}},
            "learning_rate: 0.1 is only for teacher.model: null",
        ),
        (
            {**SPACY, "quantization": {"per_channel": False}},
            "quantization is not for student.architecture: spacy_text",
        ),
        ({"teacher": {"predictions": "b"}, "student": {"architecture": "transformer"}}, "choose another architecture"),
        ({"distillation": {"targets": "logits", "loss": "kl"}}, "kl is a distance between probabilities"),
        (
            {"distillation": {"loss": "kl"}, "student": {"architecture": "spacy_textcat"}},
            "learns probabilities by their mse",
        ),
        ({**TRANSFORMER, "pruning": {"end_epoch": 20}}, "pruning.end_epoch: 20.0 is after the end of training"),
        (
            {**TRANSFORMER, "pruning": {"layers": [0, 2]}},
            "names layers that the student does not have: student.num_layers is 2; name those from 0",
        ),
        ({**TRANSFORMER, "pruning": {"pooler": 0.5}}, "is for a pooler, which a student does not have"),
        ({"augmentation": {"mask": 0.6, "pos": 0.6}}, "add up to 1.3; their sum must be at most 1"),
        ({"augmentation": {"pos": 0, "spacy_model": "en_core_web_sm"}}, "'en_core_web_sm' is only for pos"),
        ({"augmentation": {"n_iters": 2}}, "did you mean 'n_iter'"),
    ],
)
def test_contradictions(options, words):
    (problem,) = problems_of(**options)
    assert words in problem


def test_probabilities_that_are_one_together_but_for_their_rounding():
    assert 0.33 + 0.56 + 0.11 > 1
    assert read(augmentation={"mask": 0.33, "pos": 0.56, "neighbours": 0.11}).augmentation.pos == 0.56
