"""BERT models with Unigram and byte-level BPE vocabularies are trained, distilled and served like any other."""

import json
import shutil

import numpy as np
import pytest
from subword_harness import KINDS
from tokenizers import Tokenizer

from rasa_compressed_bert.artifact.artifact import TOKENIZER
from rasa_compressed_bert.config import (
    DistilledIntentClassifierConfig,
    JointBertClassifierConfig,
    QuantizedBertFeaturizerConfig,
)
from rasa_compressed_bert.data.entities import EntitySpan
from rasa_compressed_bert.data.example import Example
from rasa_compressed_bert.runtime.message_predictor import MessagePredictor
from rasa_compressed_bert.runtime.word_featurizer import JOINED, WordFeaturizer
from rasa_compressed_bert.tasks import start
from rasa_compressed_bert.tasks.bert_training import train_bert
from rasa_compressed_bert.tasks.distillation import train_distilled_classifier
from rasa_compressed_bert.tasks.featurization import compress_encoder
from rasa_compressed_bert.tokenization.wordpieces import unknown_id

NAMES = ["Unigram", "byte-level BPE, blank first"]
PLACES = ["München", "Kairo", "北京", "दिल्ली"]


def examples():
    """Questions about the weather with a place as entity, after a blank or inside a word, and table bookings."""
    found = []
    for place in PLACES:
        for before, after in (("Wetter in ", " morgen"), ("Regen: ", "wetter"), ("wie ist es in ", "?")):
            span = EntitySpan(len(before), len(before) + len(place), "place")
            found.append(Example(f"{before}{place}{after}", "weather", (span,)))
        found.append(Example(f"einen Tisch für {len(found)} Personen", "table", ()))
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module", params=NAMES)
def weights(request, tmp_path_factory, tiny_weights):
    """The tiny BERT with a vocabulary of another kind."""
    import transformers

    folder = tmp_path_factory.mktemp("weights") / "bert"
    shutil.copytree(tiny_weights, folder)
    tokenizer = Tokenizer.from_str(KINDS[request.param])
    config = transformers.BertConfig.from_pretrained(str(folder), vocab_size=tokenizer.get_vocab_size())
    model = transformers.TFBertModel(config)
    model(np.array([[2, 3]]))
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "vocab.txt").unlink()
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    special.update(cls_token="<s>", sep_token="</s>", mask_token="<mask>")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("vocabulary", ["full", "trim"])
def test_intents_and_entities_are_learnt(weights, vocabulary):
    options = {"epochs": 20, "batch_size": 8, "learning_rate": 0.003, "max_length": 32, "validation_split": 0.0}
    options.update(model_weights=str(weights), vocabulary=vocabulary, pruning={"method": "none"})
    if vocabulary == "trim":
        options["vocabulary_size"] = 300
    artifact = train_bert(EXAMPLES, JointBertClassifierConfig.from_dict(options))
    predictor = MessagePredictor(artifact)
    for example in EXAMPLES:
        found = predictor.predict(example.text)
        assert found.ranking[0][0] == example.intent
        assert [entity[:2] for entity in found.entities] == [span[:2] for span in example.entities]
    assert predictor.predict("\u0e1e\u0e23 ᚠᚡ \ud800").ranking, "a script that nothing was trained in"
    runes = [confidence for _, confidence in predictor.predict("ᚠᚡ ᚠ?").ranking]
    assert runes == [0.0, 0.0] or not unknown_id(artifact.files[TOKENIZER].decode("utf-8")), "out of scope"
    assert predictor.predict(" \u200b").entities == []


@pytest.mark.slow
@pytest.mark.usefixtures("without_graphs")
@pytest.mark.parametrize("architecture", ["bilstm", "ngrams", "transformer"])
def test_students_learn(weights, architecture):
    options = {
        "teacher": {"model_weights": str(weights), "epochs": 1},
        "student": {"architecture": architecture, "vocabulary_size": 320},
        "augmentation": {"n_iter": 1, "mask": 0.2, "neighbours": 0.2, "pos": 0.0},
        "epochs": 1,
        "validation_split": 0.0,
        "max_length": 32,
    }
    artifact = train_distilled_classifier(EXAMPLES, DistilledIntentClassifierConfig.from_dict(options))
    assert Tokenizer.from_str(artifact.files[TOKENIZER].decode("utf-8")).get_vocab_size() <= 330
    predictor = MessagePredictor(artifact)
    assert {label for label, _ in predictor.predict("Wetter morgen").ranking} == {"weather", "table"}


def test_words_of_any_tokenizer_get_rows(weights):
    config = QuantizedBertFeaturizerConfig.from_dict({"model_weights": str(weights), "max_length": 32})
    featurizer = WordFeaturizer(compress_encoder([["Wetter", "morgen"]], config))
    for words in (["Wie", "wird", "das", f"{JOINED}?"], ["明天", f"{JOINED}天气"], ["\u200b"], [""]):
        (encoded,) = featurizer.encode_words([words])
        features = featurizer.features(encoded)
        assert features.words.shape[0] == len(words) and np.isfinite(features.words).all()


def test_auto_trims_for_the_teacher_too(weights, monkeypatch):
    monkeypatch.setattr(start, "LARGE_VOCABULARY", 100)
    monkeypatch.setattr(start, "DEFAULT_VOCABULARY_SIZE", 10)
    config = QuantizedBertFeaturizerConfig.from_dict({"model_weights": str(weights)})
    texts = [example.text for example in EXAMPLES]
    begun = start.start_from_pretrained(config, texts)
    assert len(texts) < begun.shape.vocab_size < begun.dense_shape.vocab_size
