"""A trimmed vocabulary of any kind has consecutive ids in the old order, and can encode every text."""

import json
import string

import numpy as np
import pytest
import transformers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from subword_harness import KINDS
from subword_harness import TEXTS as TRAINED_ON
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from rasa_compressed_bert.errors import WeightsError
from rasa_compressed_bert.models.pretrained import local_folder
from rasa_compressed_bert.tokenization import vocabulary
from rasa_compressed_bert.tokenization.scripts import script, scripts_of
from rasa_compressed_bert.tokenization.vocabulary import trim
from rasa_compressed_bert.tokenization.wordpieces import WordpieceTokenizer, unknown_id, well_formed

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
UNUSED = [f"[unused{index}]" for index in range(120)]
CHARACTERS = [*string.ascii_lowercase, *string.digits, *"!?.,'-[]", *"天热🌶"]
SINGLE = [*CHARACTERS, *(f"##{character}" for character in CHARACTERS)]
WORDS = "the of and in it is hot weather ##ing rain order spice ##er chilli pizza unusual".split()
BERT = [*SPECIAL[:1], *UNUSED[:99], *SPECIAL[1:], *UNUSED[99:], *SINGLE, *WORDS]
"""In Google's order: padding, placeholders around the special pieces, characters, then pieces by falling frequency."""

ALWAYS = len(SPECIAL) + len(SINGLE)
TEXTS = ["It is HOT, hot chilli!", "raining spicy chillis"]


def bert_json(vocabulary, template=True, special=SPECIAL, added=(), lowercase=True):
    """The JSON of a BERT tokenizer; `vocabulary` is a list of pieces or a dict with ids."""
    ids = vocabulary if isinstance(vocabulary, dict) else {piece: index for index, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if template:
        ends = [(piece, ids[piece]) for piece in ("[CLS]", "[SEP]")]
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.add_special_tokens(list(special))
    tokenizer.add_tokens(list(added))
    return tokenizer.to_str()


def pieces_of(tokenizer_json):
    """All pieces, including added ones, in the order of their ids, which must be consecutive."""
    ids = Tokenizer.from_str(tokenizer_json).get_vocab()
    assert sorted(ids.values()) == list(range(len(ids)))
    return sorted(ids, key=ids.get)


def encode(tokenizer_json, text):
    return Tokenizer.from_str(tokenizer_json).encode(well_formed(text))


BERT_JSON = bert_json(BERT)


def test_keeps_what_is_special_single_or_used_then_the_old_order():
    trimmed = trim(BERT_JSON, TEXTS, ALWAYS + 9)
    used, first = {"it", "is", "hot", "rain", "##ing", "chilli"}, {"the", "of", "and"}
    assert pieces_of(trimmed.tokenizer) == [piece for piece in BERT if piece in {*SPECIAL, *SINGLE, *used, *first}]
    assert trimmed.rows.tolist() == [BERT.index(piece) for piece in pieces_of(trimmed.tokenizer)]
    assert trimmed.rows.dtype == np.int64


@pytest.mark.parametrize(
    "extra, expected",
    [(1, {"chilli"}), (2, {"chilli", "hot"}), (3, {"chilli", "hot", "it"}), (4, {"chilli", "hot", "it", "is"})],
)
def test_the_most_frequent_come_first_then_those_of_lower_id(extra, expected):
    texts = ["chilli chilli chilli", "hot hot", "is it"]
    assert set(pieces_of(trim(BERT_JSON, texts, ALWAYS + extra).tokenizer)) - {*SPECIAL, *SINGLE} == expected


def test_without_texts_the_old_order_decides():
    assert pieces_of(trim(BERT_JSON, [], ALWAYS + 4).tokenizer)[-4:] == WORDS[:4]


def test_placeholders_go_first():
    kept = pieces_of(trim(BERT_JSON, [], ALWAYS + len(WORDS) + 2).tokenizer)
    assert [piece for piece in kept if piece in UNUSED] == UNUSED[:2]
    assert set(WORDS) <= set(kept)


@pytest.mark.parametrize("size", [-1, 0, ALWAYS - 1, ALWAYS])
def test_special_and_single_ones_are_kept_whatever_the_size(size):
    trimmed = trim(BERT_JSON, TEXTS, size)
    assert pieces_of(trimmed.tokenizer) == [piece for piece in BERT if piece in {*SPECIAL, *SINGLE}]
    assert trimmed.rows[0] == 0


@pytest.mark.parametrize("size", [len(BERT), len(BERT) + 1, 10**9])
def test_a_large_size_keeps_all(size):
    trimmed = trim(BERT_JSON, TEXTS, size)
    assert trimmed.rows.tolist() == list(range(len(BERT)))
    assert json.loads(trimmed.tokenizer) == json.loads(BERT_JSON)


def test_special_wordpieces_get_their_new_ids_everywhere():
    trimmed = trim(BERT_JSON, TEXTS, ALWAYS + 1)
    encoding = encode(trimmed.tokenizer, "hot [MASK] chilli")
    ids = {piece: index for index, piece in enumerate(pieces_of(trimmed.tokenizer))}
    assert [ids[piece] for piece in SPECIAL] == [0, 1, 2, 3, 4]
    assert encoding.tokens == ["[CLS]", "hot", "[MASK]", "c", "##h", "##i", "##l", "##l", "##i", "[SEP]"]
    assert encoding.ids == [ids[piece] for piece in encoding.tokens]


@pytest.mark.parametrize(
    "processor",
    [
        processors.BertProcessing(("[SEP]", BERT.index("[SEP]")), ("[CLS]", BERT.index("[CLS]"))),
        processors.Sequence(
            [
                processors.TemplateProcessing(
                    single="[CLS] $A [SEP]",
                    special_tokens=[(piece, BERT.index(piece)) for piece in ("[CLS]", "[SEP]")],
                )
            ]
        ),
    ],
    ids=["BertProcessing", "Sequence"],
)
def test_other_post_processors(processor):
    tokenizer = Tokenizer.from_str(BERT_JSON)
    tokenizer.post_processor = processor
    trimmed = trim(tokenizer.to_str(), ["hot"], ALWAYS + 1)
    ids = encode(trimmed.tokenizer, "hot").ids
    assert trimmed.rows[ids].tolist() == [BERT.index(piece) for piece in ("[CLS]", "hot", "[SEP]")]
    assert ids == [2, len(SPECIAL) + len(SINGLE), 3]


def test_special_wordpieces_need_not_be_added_ones():
    spellable = [*BERT, *(f"##{character}" for character in "CLSEPUNK")]
    trimmed = trim(bert_json(spellable, special=()), ["hot"], 0)
    assert {"[UNK]", "[CLS]", "[SEP]"} <= set(pieces_of(trimmed.tokenizer))
    assert encode(trimmed.tokenizer, "ᚠ").tokens == ["[CLS]", "[UNK]", "[SEP]"]


def test_no_post_processor():
    trimmed = trim(bert_json(BERT, template=False), ["hot"], ALWAYS + 1)
    assert trimmed.rows[encode(trimmed.tokenizer, "hot").ids].tolist() == [BERT.index("hot")]


def test_added_wordpieces_stay_behind_the_others():
    whole = bert_json(BERT, added=["<name>", "room101"])
    trimmed = trim(whole, ["hot"], ALWAYS + 3)
    assert pieces_of(trimmed.tokenizer)[-3:] == ["hot", "<name>", "room101"]
    assert trimmed.rows[-3:].tolist() == [BERT.index("hot"), len(BERT), len(BERT) + 1]
    assert encode(trimmed.tokenizer, "hot room101 <name>").tokens[1:-1] == ["hot", "room101", "<name>"]


def test_ids_with_gaps_become_dense():
    ids = {piece: 3 * index + 1 for index, piece in enumerate(BERT)}
    trimmed = trim(bert_json(ids, added=["<name>"]), ["hot"], ALWAYS + 2)
    assert pieces_of(trimmed.tokenizer)[-2:] == ["hot", "<name>"]
    assert trimmed.rows[:-1].tolist() == [ids[piece] for piece in pieces_of(trimmed.tokenizer)[:-1]]


def test_what_single_characters_cannot_spell_is_kept():
    kept = pieces_of(trim(bert_json([*BERT, "schön", "##über", "hotter"]), [], 0).tokenizer)
    assert kept[-2:] == ["schön", "##über"]


def test_texts_are_counted_to_their_ends_and_padding_goes():
    tokenizer = Tokenizer.from_str(BERT_JSON)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=128, pad_id=0, pad_token="[PAD]")
    trimmed = trim(tokenizer.to_str(), ["! ! ! ! pizza"], ALWAYS + 1)
    assert pieces_of(trimmed.tokenizer)[-1] == "pizza"
    assert len(encode(trimmed.tokenizer, "pizza")) == 3
    assert json.loads(trimmed.tokenizer)["truncation"]["max_length"] == 4


@pytest.mark.parametrize("text", ["\ud800 pizza", "pizza\udf36\ud83c", "\x00pizza\u200b", "Pízzá"])
def test_any_string_can_be_counted(text):
    assert "pizza" in pieces_of(trim(BERT_JSON, [text], ALWAYS + 1).tokenizer)


def test_surrogate_pairs_are_characters():
    trimmed = trim(bert_json([*BERT, "🌶🌶"]), ["\ud83c\udf36\ud83c\udf36"], ALWAYS + 1)
    assert pieces_of(trimmed.tokenizer)[-1] == "🌶🌶"


def test_the_longest_word_is_as_long_as_before():
    trimmed = trim(BERT_JSON, [], 0)
    assert encode(trimmed.tokenizer, "hot" * 33 + "x").tokens[1:-1] == [
        "h",
        *("##" + c for c in "ot" + "hot" * 32 + "x"),
    ]
    assert encode(trimmed.tokenizer, "hot" * 33 + "xx").tokens[1:-1] == ["[UNK]"]


@pytest.mark.parametrize("model", [models.BPE(), models.WordLevel({"a": 0}, "a")])
def test_other_kinds_of_vocabularies_are_refused(model):
    with pytest.raises(WeightsError, match="not supported; use WordPiece, Unigram or byte-level BPE"):
        trim(Tokenizer(model).to_str(), ["a"], 100)


@pytest.mark.parametrize("kind", [transformers.BertTokenizerFast, transformers.DistilBertTokenizerFast])
def test_tokenizers_of_transformers(kind, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(BERT), encoding="utf-8")
    whole = kind(vocab_file=str(tmp_path / "vocab.txt")).backend_tokenizer.to_str()
    trimmed = trim(whole, TEXTS, ALWAYS + 6)
    for text in ["hot chilli", "is it?"]:
        ids = WordpieceTokenizer(trimmed.tokenizer, 16).encode(text)
        assert trimmed.rows[ids].tolist() == WordpieceTokenizer(whole, 16).encode(text).tolist()


def words_of(encoding):
    """The pieces of each word of an encoding, without special wordpieces."""
    words = {}
    for word, piece in zip(encoding.word_ids, encoding.tokens):
        if word is not None:
            words.setdefault(word, []).append(piece)
    return list(words.values())


def spelled(word):
    return "".join(piece[2:] if index else piece for index, piece in enumerate(word))


LETTERS = "abcÄ́天🌶"
STRINGS = st.text(st.sampled_from(LETTERS), min_size=1, max_size=5)
MESSAGES = st.one_of(
    st.text(st.sampled_from(LETTERS + "  A!z")),
    st.text(st.characters(codec=None, exclude_categories=())),
    st.lists(st.sampled_from([*SPECIAL, "abc", "cab", "c"]), max_size=6).map(" ".join),
)


@st.composite
def vocabularies(draw):
    """Vocabularies in any order with, as in trained ones, a piece for every single character of the others."""
    pieces = {*draw(st.sets(STRINGS, max_size=30)), *(f"##{piece}" for piece in draw(st.sets(STRINGS, max_size=30)))}
    initial = {piece[0] for piece in pieces if not piece.startswith("##")}
    later = {f"##{c}" for piece in pieces for c in (piece[2:] if piece.startswith("##") else piece[1:])}
    return draw(st.permutations(sorted({*pieces, *initial, *later, *SPECIAL, *UNUSED[:2]})))


@st.composite
def trims(draw):
    """The JSON of a tokenizer, its vocabulary, texts and a size to trim to."""
    vocabulary = draw(vocabularies())
    whole = bert_json(vocabulary, lowercase=draw(st.booleans()))
    return whole, vocabulary, draw(st.lists(MESSAGES, max_size=5)), draw(st.integers(0, len(vocabulary) + 2))


@settings(max_examples=150, deadline=None)
@given(trims())
def test_rows_are_the_same_pieces_in_the_same_order(case):
    whole, vocabulary, texts, size = case
    trimmed = trim(whole, texts, size)
    assert [vocabulary[row] for row in trimmed.rows] == pieces_of(trimmed.tokenizer)
    assert np.all(np.diff(trimmed.rows) > 0)
    always = {piece for piece in vocabulary if piece in SPECIAL or len(piece.replace("##", "", 1)) == 1}
    assert always <= set(pieces_of(trimmed.tokenizer))
    assert len(trimmed.rows) == min(max(size, len(always)), len(vocabulary))


@settings(max_examples=150, deadline=None)
@given(trims(), st.lists(MESSAGES, min_size=1, max_size=5))
def test_every_word_is_encoded_as_before_or_in_shorter_pieces(case, messages):
    whole, _, texts, size = case
    trimmed = trim(whole, texts, size).tokenizer
    kept = set(pieces_of(trimmed))
    for message in [*texts, *messages]:
        before, after = words_of(encode(whole, message)), words_of(encode(trimmed, message))
        assert list(map(spelled, before)) == list(map(spelled, after))  # so no [UNK] is added or lost
        for old, new in zip(before, after):
            assert old == new if kept.issuperset(old) else len(new) > 1


@settings(max_examples=100, deadline=None)
@given(trims())
def test_the_same_input_gives_the_same_vocabulary(case):
    whole, _, texts, size = case
    first, second = trim(whole, texts, size), trim(whole, texts[::-1], size)
    assert first.tokenizer == second.tokenizer
    assert first.rows.tolist() == second.rows.tolist()


@settings(max_examples=100, deadline=None)
@given(trims(), st.integers(0, 20))
def test_a_smaller_size_keeps_a_subset(case, fewer):
    whole, _, texts, size = case
    assert set(trim(whole, texts, size - fewer).rows) <= set(trim(whole, texts, size).rows)


@settings(max_examples=100, deadline=None)
@given(trims())
def test_trimming_what_is_trimmed(case):
    whole, _, texts, size = case
    first = trim(whole, texts, size)
    assert trim(first.tokenizer, texts, len(first.rows)).tokenizer == first.tokenizer


MINILM = (local_folder("all-MiniLM-L6-v2") / "tokenizer.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def minilm_trimmed():
    return trim(MINILM, ["how hot is it in Córdoba today"], 4000)


def test_shipped_weights_write_any_text(minilm_trimmed):
    whole, trimmed = Tokenizer.from_str(MINILM), Tokenizer.from_str(minilm_trimmed.tokenizer)

    @settings(max_examples=150, deadline=None)
    @given(st.text(st.characters(codec=None, exclude_categories=())))
    @example("antidisestablishmentarianism ☀ 天气 naïve [MASK] [unused7] 🧿")
    def written_alike(text):
        before, after = (words_of(library.encode(well_formed(text))) for library in (whole, trimmed))
        assert list(map(spelled, before)) == list(map(spelled, after))

    written_alike()


def test_shipped_weights_keep_the_pieces_of_the_texts(minilm_trimmed):
    assert len(minilm_trimmed.rows) == 4000
    for text in ["how hot is it in Córdoba today", "Is the 天 in hot Córdoba?", ""]:
        ids = WordpieceTokenizer(minilm_trimmed.tokenizer, 32).encode(text)
        assert minilm_trimmed.rows[ids].tolist() == WordpieceTokenizer(MINILM, 32).encode(text).tolist()


SUBWORDS = {name: json_text for name, json_text in KINDS.items() if name != "WordPiece"}
each_kind = pytest.mark.parametrize("name", SUBWORDS)
NEAR_TEXTS = st.one_of(
    st.sampled_from(TRAINED_ON),
    st.lists(st.sampled_from([word for text in TRAINED_ON for word in text.split()]), max_size=5).map(" ".join),
    st.text(st.sampled_from("aeWtäß 今天मौसمพ،😀(1"), max_size=10),
)


def originals(trimmed, text):
    """The original ids of a text's pieces from the trimmed vocabulary."""
    return trimmed.rows[WordpieceTokenizer(trimmed.tokenizer, 512).encode(text)].tolist()


@each_kind
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(NEAR_TEXTS, min_size=1, max_size=4), size=st.integers(0, 600))
def test_what_a_subword_vocabulary_was_trimmed_on_has_the_same_pieces(name, texts, size):
    trimmed = trim(SUBWORDS[name], texts, size, with_texts=True)
    whole = WordpieceTokenizer(SUBWORDS[name], 512)
    assert len(pieces_of(trimmed.tokenizer)) == len(trimmed.rows) and np.all(np.diff(trimmed.rows) > 0)
    for text in texts:
        assert originals(trimmed, text) == whole.encode(text).tolist()


@each_kind
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(NEAR_TEXTS, max_size=3), message=NEAR_TEXTS, size=st.integers(0, 600))
def test_a_subword_vocabulary_writes_what_it_wrote(name, texts, message, size):
    whole, trimmed = Tokenizer.from_str(SUBWORDS[name]), Tokenizer.from_str(trim(SUBWORDS[name], texts, size).tokenizer)
    before, after = (library.encode(well_formed(message)) for library in (whole, trimmed))
    assert before.tokens.count("<unk>") == after.tokens.count("<unk>")
    if "<unk>" not in before.tokens:
        assert "".join(before.tokens) == "".join(after.tokens)


@each_kind
def test_special_pieces_of_a_subword_vocabulary_get_their_new_ids(name):
    trimmed = trim(SUBWORDS[name], ["Wetter"], 0)
    library = Tokenizer.from_str(trimmed.tokenizer)
    encoding = library.encode("Wetter <mask>")
    assert encoding.tokens[0] == "<s>" and encoding.tokens[-1] == "</s>" and "<mask>" in encoding.tokens
    assert [library.token_to_id(token) for token in encoding.tokens] == encoding.ids
    assert unknown_id(trimmed.tokenizer) == (3 if "Unigram" in name else None)


@each_kind
def test_a_size_is_kept(name):
    fewest = len(trim(SUBWORDS[name], [], 0).rows)
    for size in (fewest + 5, fewest + 9):
        assert size <= len(trim(SUBWORDS[name], ["Wetter morgen"], size).rows) <= size + 4, "parts of the last piece"
    whole = trim(SUBWORDS[name], [], 10**6)
    assert json.loads(whole.tokenizer)["model"] == json.loads(SUBWORDS[name])["model"]


def test_all_characters_of_the_scripts_of_the_texts_are_kept_and_no_others():
    texts = ["Погода в Москве", "погода"]
    whole = Tokenizer.from_str(SUBWORDS["Unigram"]).get_vocab()
    kept = Tokenizer.from_str(trim(SUBWORDS["Unigram"], texts, 0, one_language=True).tokenizer).get_vocab()
    single = {piece for piece in whole if len(piece) == 1}
    assert {piece for piece in single if script(piece) in (None, "CYRILLIC", "LATIN")} <= kept.keys()
    others = {piece for piece in single if script(piece) in ("CJK", "ARABIC", "DEVANAGARI", "THAI")}
    assert len(others) > 10 and len(others & kept.keys()) <= 1, "that with the lowest score"


def test_a_text_in_a_script_that_is_left_out_is_unknown_and_no_error():
    trimmed = trim(SUBWORDS["Unigram"], ["Погода в Москве"], 0, one_language=True)
    assert unknown_id(trimmed.tokenizer) in Tokenizer.from_str(trimmed.tokenizer).encode("天气").ids


def test_pieces_similar_to_those_of_the_texts_come_first():
    """Of two languages, one is marked by the first column of the embeddings."""
    words = [f"\u2581{a}{b}{c}" for a in "kmt" for b in "aei" for c in "rsn"]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "\u2581", *"kmtaeirsn", *words]
    tokenizer = Tokenizer(models.Unigram([(piece, -0.01 * place) for place, piece in enumerate(pieces)], 3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    rng = np.random.default_rng(0)
    table = rng.normal(size=(len(pieces), 4)).astype(np.float32) * 0.1
    ours = words[1::2]
    table[[pieces.index(word) for word in ours], 0] += 5.0
    texts = [" ".join(word[1:] for word in ours[:6])]
    always = len(trim(tokenizer.to_str(), [], 0).rows)
    trimmed = trim(tokenizer.to_str(), texts, always + len(ours), table=table, one_language=True)
    assert set(ours) <= set(pieces_of(trimmed.tokenizer))
    plain = trim(tokenizer.to_str(), texts, always + len(ours))
    assert set(words[:7]) <= set(pieces_of(plain.tokenizer)), "the order of the vocabulary"


@pytest.mark.parametrize(
    "character, expected",
    [("ä", "LATIN"), ("я", "CYRILLIC"), ("天", "CJK"), ("か", "HIRAGANA"), ("ใ", "THAI"), ("ا", "ARABIC"), ("1", None)]
    + [("\u0301", None), ("ー", None), ("😀", None), ("▁", None), ("्", "DEVANAGARI"), ("\x00", None)],
)
def test_scripts(character, expected):
    assert script(character) == expected


def test_a_few_letters_do_not_make_a_script():
    assert scripts_of(["x" * 200 + "天"]) == {"LATIN"}
    assert scripts_of(["天气"]) == {"LATIN", "CJK"} and scripts_of([]) == {"LATIN"}


@pytest.mark.parametrize("normalizer", [normalizers.NFKC(), normalizers.Sequence([normalizers.NFKC()])])
def test_scripts_are_those_of_normalized_texts(normalizer):
    """Half-width katakana is katakana, also for weights with several normalizers such as multilingual-e5-small."""
    library = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    library.normalizer = normalizer
    assert vocabulary._normalized(library, ["\uff76"]) == ["\u30ab"]
