"""The advice of an error when an exported model differs from the trained one."""

import pytest
from component_harness import CONTEXT, RESOURCE, load, make_storage, training_data
from rasa.shared.exceptions import RasaException
from small_archives import small_artifact

from rasa_compressed_bert import PrunedBertIntentClassifier
from rasa_compressed_bert.components import resource_io
from rasa_compressed_bert.errors import ExportError
from rasa_compressed_bert.tasks import bert_training


@pytest.mark.parametrize("finetuned", [False, True])
def test_options_cannot_change_with_finetuning(finetuned, tmp_path, monkeypatch):
    """Rasa refuses other options than `epochs` then, so that advice on options alone cannot be followed."""

    def refused(*_, **__):
        raise ExportError("It differs. Set an option.")

    monkeypatch.setattr(bert_training, "train_or_finetune", refused)
    storage, config = make_storage(tmp_path), PrunedBertIntentClassifier.get_default_config()
    component = PrunedBertIntentClassifier.create(config, storage, RESOURCE, CONTEXT)
    if finetuned:
        resource_io.save(small_artifact(), storage, RESOURCE)
        component = load(PrunedBertIntentClassifier, config, storage)
    with pytest.raises(RasaException, match="It differs. Set an option.") as caught:
        component.train(training_data())
    assert ("train for more epochs, or without --finetune" in str(caught.value)) == finetuned
