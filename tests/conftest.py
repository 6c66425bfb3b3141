"""Fixtures of all tests: a quiet environment and tiny pretrained weights, made here and never downloaded."""

import os

os.environ["RASA_TELEMETRY_ENABLED"] = "false"
os.environ["SQLALCHEMY_SILENCE_UBER_WARNING"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
if "PYTEST_XDIST_WORKER" in os.environ:  # one process per core: more threads would only wait for each other
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import contextlib  # noqa: E402
import string  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile("any_speed", deadline=None)  # a busy machine or coverage is not a failure
settings.load_profile("any_speed")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = (
    "a the is it my i you me to of in on what how when will please hello hi hey good morning bye goodbye thanks "
    "weather rain sun warm hot cold today tomorrow spice spicy food pizza curry order table book play stop music song "
    "turn light off yes no not oh very much call bank card money"
).split()
CHARACTERS = string.ascii_lowercase + string.digits
SUFFIXES = [*(f"##{character}" for character in CHARACTERS), "##s"]
VOCABULARY = list(dict.fromkeys([*SPECIAL, *"!?.,'-", *CHARACTERS, *SUFFIXES, *WORDS]))
SIZES = {"vocab_size": len(VOCABULARY), "max_position_embeddings": 160}


def save_tiny_weights(folder, model, tokenizer_class):
    """Writes `model`, with every parameter (biases and norms too) moved away from its initial value."""
    model(np.array([[2, 3]]))
    rng = np.random.default_rng(7)
    for variable in model.variables:
        variable.assign(variable + rng.normal(0.0, 0.05, variable.shape).astype(np.float32))
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    tokenizer_class(vocab_file=str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder)
    return folder


LONGEST = [  # files that take a minute or more, and the longest without their slow tests
    *("test_example_bot.py", "test_rasa_life.py", "test_featurizer_in_rasa.py", "test_rasa_commands.py"),
    *("test_spacy_in_rasa.py", "test_bert_quantization.py", "test_distilled_classifier.py", "test_pipelines.py"),
    *("test_component_storage.py", "test_entities.py", "test_bert_training.py", "test_component_training.py"),
    *("test_real_bots.py", "test_command_line.py", "test_documents_bot.py"),
]


def pytest_collection_modifyitems(items):
    """Puts the longest files first, then other files with slow tests, those of the whole package before its parts.

    So at the end no process is still busy with one of them while the others wait.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (place.get(item.path.name, len(place)), item.path not in slow, len(item.path.parts)))


@pytest.fixture(scope="session", autouse=True)
def quick_graphs():
    """Switches graph optimization off, which takes longer than running tiny models; not in child processes."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@contextlib.contextmanager
def functions_run_eagerly():
    """Runs functions eagerly: for trainings of a few steps, tracing a graph takes longer than the training."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(before)


@pytest.fixture
def without_graphs():
    """Runs a test eagerly, whose trainings have few steps."""
    with functions_run_eagerly():
        yield


@pytest.fixture(scope="module")
def module_without_graphs():
    """Runs the tests and fixtures of a file eagerly, whose trainings have few steps."""
    with functions_run_eagerly():
        yield


@pytest.fixture
def archive(tmp_path):
    """A Rasa model archive with one pruned component of ours."""
    from small_archives import NODE, small_artifact, write_archive

    return write_archive(tmp_path / "model.tar.gz", {NODE: small_artifact()})


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """A folder with a random BERT: 2 layers, 2 heads of size 16, 64 neurons per layer, about 140 wordpieces."""
    import transformers

    transformers.set_seed(7)  # what it learns within a few steps depends on the seed
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, **SIZES
    )
    folder = tmp_path_factory.mktemp("tiny_bert")
    return save_tiny_weights(folder, transformers.TFBertModel(config), transformers.BertTokenizerFast)


@pytest.fixture(scope="session")
def tiny_distilbert_weights(tmp_path_factory):
    """A folder with a random DistilBERT of the same sizes."""
    import transformers

    transformers.set_seed(7)
    config = transformers.DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=64, **SIZES)
    folder = tmp_path_factory.mktemp("tiny_distilbert")
    return save_tiny_weights(folder, transformers.TFDistilBertModel(config), transformers.DistilBertTokenizerFast)


@pytest.fixture(scope="session")
def tiny_rembert_weights(tmp_path_factory):
    """A folder with a random RemBERT, whose embeddings are narrower than its hidden states."""
    import transformers

    transformers.set_seed(7)
    config = transformers.RemBertConfig(
        input_embedding_size=24,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        **SIZES,
    )
    folder = tmp_path_factory.mktemp("tiny_rembert")
    return save_tiny_weights(folder, transformers.TFRemBertModel(config), transformers.BertTokenizerFast)


WIDTHS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, **SIZES}


@pytest.fixture(scope="session")
def tiny_electra_weights(tmp_path_factory):
    """A folder with a random ELECTRA of the sizes of the tiny BERT, whose embeddings are narrower."""
    import transformers

    transformers.set_seed(7)
    model = transformers.TFElectraModel(transformers.ElectraConfig(embedding_size=24, **WIDTHS))
    return save_tiny_weights(tmp_path_factory.mktemp("tiny_electra"), model, transformers.BertTokenizerFast)


@pytest.fixture(scope="session")
def tiny_mpnet_weights(tmp_path_factory):
    """A folder with a random MPNet of the sizes of the tiny BERT."""
    import transformers

    transformers.set_seed(7)
    model = transformers.TFMPNetModel(transformers.MPNetConfig(**WIDTHS))
    return save_tiny_weights(tmp_path_factory.mktemp("tiny_mpnet"), model, transformers.BertTokenizerFast)
