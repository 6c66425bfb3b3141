"""The stage that fine-tunes: a dense model, whose linear layers start from a linear probe, or a trained model."""

from __future__ import annotations

import math

from rasa_compressed_bert.compression.quantization import dithered
from rasa_compressed_bert.models.encoder import Parameters
from rasa_compressed_bert.tasks.fitting import plan_of, scored, train
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.training.loop import predict_inputs
from rasa_compressed_bert.training.pruning import FixedMask
from rasa_compressed_bert.training.scores import FINETUNED

_DENSE_SHARE = 0.5  # of the epochs: a dense model that starts from a linear probe is done sooner than a pruned one


def fine_tune(run: TrainingRun) -> TrainingRun:
    """Trains the dense model; only for half of the epochs if it is to be pruned afterwards."""
    fit_dense(run, "fine-tune", halved=run.config.pruning.method != "none")
    return scored(run, "dense")


def fine_tune_further(run: TrainingRun) -> TrainingRun:
    """Continues to train a model; weights that are zero stay zero."""
    run.model.assign(dithered(run.model.values(), run.config.quantization, run.rng))
    train(run, plan_of(run, "fine-tune", run.config.epochs), pruning=FixedMask(run.model.encoder))
    return scored(run, FINETUNED)


def fit_dense(run: TrainingRun, name: str, *, halved: bool) -> None:
    """Trains the model of a run in place; its linear layers start from a linear probe (logistic regression).

    Args:
        run: the training run.
        name: the label of the progress bar.
        halved: trains for half of the epochs.
    """
    run.model.assign(_probed(run))
    epochs = math.ceil(run.config.epochs * _DENSE_SHARE) if halved else run.config.epochs
    train(run, plan_of(run, name, epochs))


def _probed(run: TrainingRun) -> Parameters:
    encoded, seed = run.messages.encoded, run.config.random_seed
    lengths = [len(ids) for ids in encoded.input_ids]
    parameters: Parameters = {}
    for head in run.heads:
        probed = encoded[head.places_to_probe(lengths, seed=seed)]
        inputs = predict_inputs(run.model, head.layer.name, probed.input_ids)
        fitted = head.probe(inputs, probed.labels[head.name], seed=seed)
        if fitted is not None:
            parameters.update(zip((head.layer.kernel, head.layer.bias), fitted))
    return parameters
