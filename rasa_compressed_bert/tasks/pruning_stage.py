"""The stage that prunes a dense model."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from rasa_compressed_bert.compression.shrinking import keep_layers, require_layers
from rasa_compressed_bert.tasks.fitting import DROPOUT, STUDENT_RATE, make_model, plan_of, scored, train
from rasa_compressed_bert.tasks.training_run import TrainingRun
from rasa_compressed_bert.training.batches import batch_count
from rasa_compressed_bert.training.loop import Plan
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.pruning import pruning_for


def prune(run: TrainingRun) -> TrainingRun:
    """Prunes a copy of the dense model, which serves as the teacher, removes what is pruned and trains the rest.

    Unlabelled synthetic messages, if there are any, are part of each epoch; there are fewer epochs in proportion. If
    these are rounded down to fewer steps than pruning would take, pruning ends with them.
    """
    config, learnt = run.config, run.messages.learnt
    if config.pruning.method == "none":
        return run
    examples = learnt.joined(run.messages.synthetic)
    share = len(learnt) / len(examples)
    epochs = max(1, round(config.epochs * share))
    teacher = run.model if config.distillation.enabled else None
    dropout, rate = (0.0, STUDENT_RATE) if teacher else (DROPOUT, 1.0)
    make = partial(make_model, config=config, dropout=dropout)
    shape, values, layers = run.model.encoder.shape, run.model.values(), config.pruning.layers
    if layers is not None:
        require_layers(layers, shape)
        shape, values = keep_layers(shape, values, layers)
    run = replace(run, model=make(shape, values))
    whole = plan_of(run, f"prune ({config.pruning.method})", epochs, rate=rate, size=len(examples))
    pruning_epochs = min(epochs, max(1, math.ceil(config.pruning.end_epoch * share)))
    plan = replace(whole, epochs=pruning_epochs)
    per_epoch, done = batch_count(len(learnt), plan.batch_size), _steps_of(plan, whole)
    ending = replace(config.pruning, end_epoch=min(config.pruning.end_epoch, done / per_epoch))
    pruning = pruning_for(ending, run.model, per_epoch)
    train(run, plan, teacher=teacher, layers=layers, pruning=pruning, examples=examples)
    model, fixed = pruning.finish(make)
    run = replace(run, model=model)
    if pruning_epochs < epochs:
        plan = replace(whole, name="recover", epochs=epochs - pruning_epochs, schedule=_rest(whole, plan))
        train(run, plan, teacher=teacher, layers=layers, pruning=fixed, examples=examples)
    return scored(run, "pruned")


def _steps_of(part: Plan, whole: Plan) -> int:
    return whole.schedule.steps * part.epochs // whole.epochs


def _rest(whole: Plan, done: Plan) -> WarmUpLinearDecay:
    return WarmUpLinearDecay(whole.schedule.peak, whole.schedule.steps, first_step=_steps_of(done, whole))
