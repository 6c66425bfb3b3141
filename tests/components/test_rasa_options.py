"""All options of Rasa's components that ours may replace are recognised and explained in the error."""

import pytest
from rasa.nlu.classifiers.diet_classifier import DIETClassifier
from rasa.nlu.classifiers.logistic_regression_classifier import LogisticRegressionClassifier
from rasa.nlu.classifiers.sklearn_intent_classifier import SklearnIntentClassifier
from rasa.nlu.extractors.crf_entity_extractor import CRFEntityExtractor
from rasa.nlu.extractors.regex_entity_extractor import RegexEntityExtractor
from rasa.nlu.extractors.spacy_entity_extractor import SpacyEntityExtractor
from rasa.nlu.featurizers.dense_featurizer.lm_featurizer import LanguageModelFeaturizer
from rasa.nlu.selectors.response_selector import ResponseSelector

from rasa_compressed_bert.config import JointBertClassifierConfig, QuantizedBertFeaturizerConfig
from rasa_compressed_bert.errors import ConfigError

PAIRS = [
    (DIETClassifier, JointBertClassifierConfig),
    (ResponseSelector, JointBertClassifierConfig),
    (CRFEntityExtractor, JointBertClassifierConfig),
    (LanguageModelFeaturizer, QuantizedBertFeaturizerConfig),
    (SklearnIntentClassifier, JointBertClassifierConfig),
    (LogisticRegressionClassifier, JointBertClassifierConfig),
    (RegexEntityExtractor, JointBertClassifierConfig),
    (SpacyEntityExtractor, JointBertClassifierConfig),
]


@pytest.mark.parametrize("theirs, ours", PAIRS, ids=lambda cls: cls.__name__)
def test_every_option_of_rasas_component_is_known(theirs, ours):
    own = ours.default_config()
    brought = {name: "\n" for name in theirs.get_default_config() if name not in own}
    with pytest.raises(ConfigError) as caught:
        ours.from_dict(brought)
    assert len(caught.value.problems) == len(brought) > 0
    assert all("it is an option of Rasa's" in problem for problem in caught.value.problems)
