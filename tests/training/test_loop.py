"""The training loop learns, is reproducible, keeps the best epoch and prunes."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from random_models import random_parameters, random_shape
from scipy.special import softmax

from rasa_compressed_bert.compression.distillation import hidden_state_loss
from rasa_compressed_bert.compression.shrinking import keep_layers
from rasa_compressed_bert.compression.weight_pruning import magnitude_mask
from rasa_compressed_bert.config import DistillationConfig, PruningConfig, StudentDistillationConfig
from rasa_compressed_bert.heads import IntentHead
from rasa_compressed_bert.models.dropout import Dropout
from rasa_compressed_bert.models.task_model import FEATURES, Outputs, TaskModel
from rasa_compressed_bert.training import loop, progress
from rasa_compressed_bert.training.batches import EncodedExamples, batch_count, pad, soft_targets_of
from rasa_compressed_bert.training.loop import Plan, Validation, fit, predict, predict_inputs
from rasa_compressed_bert.training.objectives import DistillationLoss, LabelLoss, SoftTargetLoss, StepInputs
from rasa_compressed_bert.training.optimizer import WarmUpLinearDecay
from rasa_compressed_bert.training.pruning import FixedMask, WeightPruning, pruning_for
from rasa_compressed_bert.training.scores import Score, evaluate

SHAPE = random_shape(((4, 8, 8, 32),), hidden_size=16, vocab_size=12)


def toy_examples(size, *, classes=3, seed=0):
    """Messages of random wordpieces, one of which, between 1 and `classes`, decides the label."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(size) % classes).astype(np.int32)
    input_ids = []
    for label in labels:
        ids = rng.integers(5, 12, rng.integers(3, 7)).astype(np.int32)
        ids[rng.integers(0, len(ids))] = 1 + label
        input_ids.append(ids)
    return EncodedExamples(input_ids, {HEAD.name: labels})


HEAD = IntentHead(("a", "b", "c"))
TRAINING, VALIDATION = toy_examples(60), toy_examples(30, seed=1)
NONE = EncodedExamples([], {HEAD.name: np.zeros(0, np.int32)})


def logits_of(model, examples):
    return predict(model, examples.input_ids)["logits"]


def new_model(*, dropout=0.1, pooler_size=0):
    parameters = random_parameters(SHAPE, num_classes=3, pooler_size=pooler_size)
    return TaskModel(SHAPE, parameters, dropout=Dropout(dropout, seed=0))


def plan(epochs, *, rate=0.01, **options):
    steps = epochs * batch_count(len(TRAINING), 12)
    return Plan("test", epochs, 12, WarmUpLinearDecay(rate, steps), **options)


def train(model, training_plan, *, validation=VALIDATION, training=TRAINING, pruning=None, objective=None):
    return fit(
        model,
        training,
        training_plan,
        objective=objective or LabelLoss([HEAD]),
        rng=np.random.default_rng(0),
        pruning=pruning,
        validation=None if validation is None else Validation(validation, [HEAD]),
    )


@pytest.mark.parametrize("pooler_size", [0, 16])
def test_learns_a_separable_problem(pooler_size):
    model = new_model(pooler_size=pooler_size)
    before = evaluate(logits_of(model, VALIDATION), VALIDATION.labels[HEAD.name])
    score = train(model, plan(12))
    assert before.others["accuracy"] < 0.7 and score.others["accuracy"] > 0.85
    assert score == evaluate(logits_of(model, VALIDATION), VALIDATION.labels[HEAD.name])


def test_same_seed_gives_the_same_model():
    first, second = new_model(), new_model()
    train(first, plan(2))
    train(second, plan(2))
    for name, value in first.values().items():
        np.testing.assert_allclose(value, second.values()[name], atol=1e-6, err_msg=name)
    assert np.abs(first.values()["layers.0.query.kernel"] - new_model().values()["layers.0.query.kernel"]).max() > 1e-3


@pytest.mark.parametrize("method", [None, "neuron", "weight"])
def test_a_graph_trains_as_python_does(monkeypatch, method):
    trained = []
    for few in (0, 10):  # thresholds for 10 steps: with a graph, and without
        monkeypatch.setattr(loop, "_FEW_STEPS", few)
        model, traced = new_model(), []
        monkeypatch.setattr(loop.TrainStep, "_update", noted(loop.TrainStep._update, traced))
        pruning = pruning_for(config(method, final_sparsity=0.5), model, 5) if method else None
        train(model, plan(2), pruning=pruning, validation=None)
        monkeypatch.undo()
        assert traced == ([False] * 10 if few else [True])
        trained.append(model.values())
    for name, value in trained[0].items():
        np.testing.assert_allclose(value, trained[1][name], atol=1e-5, err_msg=name)


def noted(update, traced):
    """Wraps the update of a train step to record whether it is traced into a graph."""

    def update_and_note(*given):
        traced.append(not tf.executing_eagerly())
        return update(*given)

    return update_and_note


def scripted(monkeypatch, model, f1_scores):
    """Replaces the scores of the epochs; returns a list that gets the classifier's bias at the end of each."""
    biases, scores = [], iter(f1_scores)
    original = loop._in_batches

    def predict_and_note(function, input_ids):
        biases.append(model.values()["classifier.bias"])
        return original(function, input_ids)

    monkeypatch.setattr(loop, "_in_batches", predict_and_note)
    monkeypatch.setattr(loop, "score_of", lambda *_: Score(1.0, {"macro_f1": next(scores)}))
    return biases


@pytest.mark.parametrize(
    "f1_scores, keep_from, kept", [((0.3, 0.9, 0.5), 1, 2), ((0.9, 0.2, 0.5), 2, 3), ((0.5, 0.5, 0.5), 1, 1)]
)
def test_best_epoch_is_kept(monkeypatch, f1_scores, keep_from, kept):
    model = new_model()
    biases = scripted(monkeypatch, model, f1_scores)
    score = train(model, plan(3, keep_from=keep_from))
    assert score.f1["macro_f1"] == f1_scores[kept - 1]
    np.testing.assert_array_equal(model.values()["classifier.bias"], biases[kept - 1])
    assert len({bias.tobytes() for bias in biases}) == 3


def test_a_stage_that_is_stopped_early_says_which_epoch_it_keeps(monkeypatch, caplog):
    caplog.set_level("INFO")
    model = new_model()
    scripted(monkeypatch, model, [0.5, 0.8, 0.6, 0.7, 0.9])
    assert train(model, plan(5, patience=2)).f1["macro_f1"] == 0.8
    assert "test: stopped early, epoch 2 kept." in caplog.messages


def test_without_validation_the_last_epoch_is_kept():
    model, unscored, without_any = new_model(), new_model(), new_model()
    assert train(unscored, plan(2), validation=NONE) is None
    assert train(without_any, plan(2), validation=None) is None
    train(model, plan(2, keep_from=2))
    for other in (unscored, without_any):
        np.testing.assert_allclose(other.values()["classifier.bias"], model.values()["classifier.bias"], atol=1e-6)


def test_better_score():
    score = Score(1.0, {"macro_f1": 0.5})
    assert score.better_than(None)
    assert not score.better_than(score)
    assert Score(2.0, {"macro_f1": 0.6}).better_than(score)
    assert replace(score, loss=0.9).better_than(score)
    assert not replace(score, loss=1.1).better_than(score)


def test_predictions_are_in_the_order_of_the_examples():
    model = new_model()
    together, features = logits_of(model, VALIDATION), predict_inputs(model, FEATURES, VALIDATION.input_ids)
    for index in (0, 7, 29):
        alone = VALIDATION.input_ids[index][np.newaxis]
        np.testing.assert_allclose(together[index], model.predict(alone, np.ones_like(alone))["logits"][0], atol=1e-5)
        np.testing.assert_allclose(
            features[index], model.head_inputs(alone, np.ones_like(alone))[FEATURES][0], atol=1e-5
        )


def test_teacher_is_imitated():
    """With alpha 0 only the teacher counts, not the labels."""
    teacher = new_model(dropout=0.0)
    wrong = replace(TRAINING, labels={HEAD.name: np.zeros(len(TRAINING), np.int32)})
    model = TaskModel(SHAPE, random_parameters(SHAPE, num_classes=3, seed=5))
    ids, mask = pad(TRAINING.input_ids)

    def distances():
        ours, theirs = (softmax(logits_of(one, TRAINING), axis=1) for one in (model, teacher))
        states = hidden_state_loss(model(ids, mask).states, teacher(ids, mask).states, mask)
        return np.array([np.abs(ours - theirs).mean(), np.mean(states)])

    before, expected = distances(), logits_of(teacher, TRAINING)
    objective = DistillationLoss(teacher, DistillationConfig(alpha=0.0), [HEAD])
    train(model, plan(15), training=wrong, validation=NONE, objective=objective)
    assert (distances() < 0.5 * before).all()
    np.testing.assert_array_equal(logits_of(teacher, TRAINING), expected)


def test_a_student_of_some_layers_is_compared_with_the_inputs_of_these_layers():
    """Both have the same logits, so the loss is the distance of hidden states."""
    two = random_shape(((4, 8, 8, 32), (4, 8, 8, 32)), hidden_size=16, vocab_size=12)
    teacher = TaskModel(two, random_parameters(two, num_classes=3))
    ids, mask = pad(TRAINING.input_ids[:4])
    inputs = StepInputs(ids, mask, {HEAD.name: np.zeros(4, np.int32)})
    options = DistillationConfig(alpha=0.0, hidden_states=1.0)

    def distance(layers, *, kept):
        outputs = TaskModel(*keep_layers(two, teacher.values(), kept))(ids, mask)
        outputs = Outputs(teacher(ids, mask).heads, outputs.states)
        return np.asarray(DistillationLoss(teacher, options, [HEAD], layers=layers).losses(outputs, inputs))

    np.testing.assert_allclose(distance(None, kept=[0, 1]), 0.0, atol=1e-5)
    np.testing.assert_allclose(distance([0, 1], kept=[0, 1]), 0.0, atol=1e-5)
    states, short = teacher(ids, mask).states, distance([1], kept=[1])
    model = TaskModel(*keep_layers(two, teacher.values(), [1]))(ids, mask).states
    expected = hidden_state_loss(model, [states[1], states[2]], mask)
    np.testing.assert_allclose(short, expected, atol=1e-4)


def test_so_is_a_student_that_learns_soft_targets():
    two = random_shape(((4, 8, 8, 32), (4, 8, 8, 32)), hidden_size=16, vocab_size=12)
    teacher = TaskModel(two, random_parameters(two, num_classes=3))
    student = TaskModel(*keep_layers(two, teacher.values(), [1]))
    ids, mask = pad(TRAINING.input_ids[:4])
    found, states = student(ids, mask), teacher(ids, mask).states
    soft = {HEAD.name: np.zeros(4, np.int32), soft_targets_of(HEAD.name): found.heads[HEAD.layer.output]}
    options = StudentDistillationConfig(hidden_states=1.0)
    loss = SoftTargetLoss([HEAD], options, teacher=teacher, layers=[1])
    expected = hidden_state_loss(found.states, [states[1], states[2]], mask)
    np.testing.assert_allclose(loss.losses(found, StepInputs(ids, mask, soft)), expected, atol=1e-5)


def config(method, **options):
    return PruningConfig(**{"method": method, "begin_epoch": 0.0, "end_epoch": 2.0, "frequency": 2, **options})


def pruned_without_training(options, model):
    """The masks after pruning without any change to the weights."""
    pruning = pruning_for(options, model, 5)
    for step in range(1, 11):
        pruning.after_step(step)
    return pruning


def check_sparsity(pruning, sparsity):
    assert sparsity - 0.35 < pruning.sparsity <= sparsity + 1e-6
    open_weights = sum(2 * 16 * gate.sum() for layer in pruning.final_gates() for gate in layer.values())
    assert pruning.sparsity == pytest.approx(1 - open_weights / SHAPE.encoder_size())


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.6, 0.9])
def test_neuron_pruning_by_magnitude_reaches_its_sparsity(sparsity):
    model = new_model()
    assert pruning_for(config("neuron"), model, 5).sparsity == 0.0
    check_sparsity(
        pruned_without_training(config("neuron", final_sparsity=sparsity, importance="magnitude"), model), sparsity
    )


def test_neuron_pruning_by_gradient_reaches_its_sparsity():
    model = new_model()
    pruning = pruning_for(config("neuron", final_sparsity=0.6), model, 5)
    train(model, plan(2), pruning=pruning)
    check_sparsity(pruning, 0.6)


def test_head_pruning_leaves_neurons_alone():
    gates = pruned_without_training(
        config("head", final_sparsity=0.5, importance="magnitude"), new_model()
    ).final_gates()
    assert gates[0]["intermediate"].all()
    assert gates[0]["value"].any(axis=1).sum() == gates[0]["query_key"].any(axis=1).sum() == 2


@pytest.mark.parametrize("sparsity, left", [(None, 16), (0.5, 8)])
def test_pooler_is_pruned_only_when_asked(sparsity, left):
    options = config("neuron", pooler=sparsity, importance="magnitude")
    gates = pruned_without_training(options, new_model(pooler_size=16)).final_gates()
    assert gates[-1]["pooler"].sum() == left


def test_neuron_pruning_closes_what_does_nothing():
    """Neurons whose output weights are zero and cannot recover have a gate gradient of zero."""
    model = new_model(dropout=0.0)
    values = model.values()
    values["layers.0.output.kernel"][:16] = 0.0
    model.assign(values)
    pruning = pruning_for(config("neuron", final_sparsity=0.1), model, 5)
    step = loop.TrainStep(model, plan(1, rate=1e-9), pruning, LabelLoss([HEAD]), TRAINING)
    batch = next(loop.sorted_batches(TRAINING.input_ids, 60))
    step(batch, TRAINING.targets(batch.indices))
    scores = pruning._criterion.scores()[0]["intermediate"]
    assert scores[:16].max() < 1e-8 < scores[16:].min()


@pytest.mark.parametrize("pattern, sparsity", [("unstructured", 0.7), ("block_4x4", 0.5), ("n2_m4", 0.5)])
def test_weight_pruning_reaches_its_sparsity(pattern, sparsity):
    model = new_model()
    before = model.values()
    pruning = pruned_without_training(config("weight", final_sparsity=sparsity, pattern=pattern), model)
    assert isinstance(pruning, WeightPruning) and pruning.sparsity == pytest.approx(sparsity, abs=0.01)
    for name, value in model.values().items():
        pruned = name in SHAPE.kernel_names()
        mask = magnitude_mask(before[name], sparsity, pattern=pattern) if pruned else np.ones_like(value)
        np.testing.assert_array_equal(value, before[name] * mask)


def test_weight_pruning_and_held_zeros_keep_zeros_while_training():
    model = new_model()
    pruning = pruning_for(config("weight", final_sparsity=0.7), model, 5)
    train(model, plan(3), pruning=pruning, validation=NONE)  # pruning ends after two of the three epochs
    zeros = {name: model.values()[name] == 0 for name in SHAPE.kernel_names()}
    assert all(zero.mean() == pytest.approx(0.7, abs=0.01) for zero in zeros.values())

    held, before = FixedMask(model.encoder), model.values()
    train(model, plan(1), pruning=held, validation=NONE)
    assert held.sparsity == pytest.approx(pruning.sparsity)
    for name, zero in zeros.items():
        np.testing.assert_array_equal(model.values()[name] == 0, zero)
        assert np.abs(model.values()[name] - before[name]).max() > 1e-5


def test_pruning_does_not_depend_on_the_progress_bar(monkeypatch):
    visible = progress.tqdm
    monkeypatch.setattr(progress, "tqdm", lambda *args, **kwargs: visible(*args, **{**kwargs, "disable": True}))
    model = new_model()
    pruning = pruning_for(config("weight", final_sparsity=0.5), model, 5)
    train(model, plan(2), pruning=pruning)
    assert pruning.sparsity == pytest.approx(0.5, abs=0.01)
