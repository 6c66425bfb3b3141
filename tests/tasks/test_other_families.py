"""Encoders that differ from BERT in more than names are trained, pruned, quantized, served and finetuned."""

import pytest
from task_harness import EXAMPLES, check, parameters_of

from rasa_compressed_bert.models.shape import EncoderShape
from rasa_compressed_bert.tasks.bert_training import finetune_bert, train_bert

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_without_graphs")]


@pytest.mark.parametrize("name", ["electra", "mpnet"])
@pytest.mark.parametrize("method", ["static_int8", "kmeans"])
def test_training(name, method, configure, request):
    folder = request.getfixturevalue(f"tiny_{name}_weights")
    config = configure(
        model_weights=str(folder), pruning={"final_sparsity": 0.5}, quantization={"method": method}, epochs=2
    )
    artifact = train_bert(EXAMPLES, config)
    check(artifact, config)
    before, after = (EncoderShape.from_dict(artifact.manifest[key]) for key in ("dense_encoder", "encoder"))
    assert 0.35 < 1 - after.encoder_size() / before.encoder_size() <= 0.5
    assert (after.embedding_size, after.relative_buckets) == {"electra": (24, 0), "mpnet": (None, 32)}[name]
    further = finetune_bert(EXAMPLES, config, artifact)
    check(further, config)
    shapes = after.parameter_shapes()
    assert {name: value.shape for name, value in parameters_of(further).items() if name in shapes} == shapes
