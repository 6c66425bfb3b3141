"""Small tokenizers of every kind, trained on a few sentences in several languages."""

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "Wie wird das Wetter morgen in München?",
    "Stelle den Wecker auf sechs Uhr dreißig.",
    "Reserviere einen Tisch für zwei Personen, bitte!",
    "¿Qué tiempo hará mañana en la Ciudad de México?",
    "Will it rain tomorrow? Don't forget the umbrella (the red one).",
    "今天天气怎么样？明天会下雨吗？",
    "我想订一张去北京的火车票。",
    "ما هي حالة الطقس غدا في القاهرة؟",
    "मौसम कैसा रहेगा कल दिल्ली में?",
    "พรุ่งนี้อากาศเป็นอย่างไร",
    "Погода завтра в Москве 🌧 и 🔥?",
] * 3
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _finished(tokenizer):
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer.to_str()


def unigram(*, splits_at_blanks=True, size=420):
    """SentencePiece's Unigram as in XLM-R or, with separate word marks, as in ALBERT."""
    tokenizer = Tokenizer(models.Unigram())
    # SentencePiece's nmt_nfkc makes line breaks, and characters that are not drawn, blanks
    blanks = normalizers.Replace(Regex("[\\s\u200b-\u200f\ufeff]"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), blanks])
    marks = pre_tokenizers.Metaspace()
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), marks]) if splits_at_blanks else marks
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    )
    return _finished(tokenizer)


def byte_level_bpe(*, begins_with_blank=False, size=520):
    """The BPE of GPT-2 and RoBERTa."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=begins_with_blank)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return _finished(tokenizer)


def wordpiece(*, size=300):
    """BERT's WordPiece."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return _finished(tokenizer)


KINDS = {
    "WordPiece": wordpiece(),
    "Unigram": unigram(),
    "Unigram, marks alone": unigram(splits_at_blanks=False),
    "byte-level BPE": byte_level_bpe(),
    "byte-level BPE, blank first": byte_level_bpe(begins_with_blank=True),
}
