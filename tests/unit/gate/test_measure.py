"""Measuring real networks on a real dataset version, and what the gate makes of spoilt ones."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

import tiny_networks
from gate_world import MODEL, GateWorld, failed
from headrace.errors import CorruptError, NotFoundError
from headrace.usecases.gate.predictions import load_predictions, predictions_key
from tiny_networks import model_files
from training_data import CLASSES


@pytest.fixture
def world(good):
    """What serves is version 1: a good network."""
    world = GateWorld()
    world.publish(1, model_files(good))
    return world


def test_a_good_network_passes_with_nothing_to_compare_it_with(world):
    verdict = world.judge(1)
    assert verdict.passed, verdict.failed
    assert verdict.champion is None


def test_another_of_its_kind_may_take_its_place(world):
    world.publish(2, model_files(tiny_networks.train(seed=6)))
    verdict = world.judge(2, champion=1)
    assert verdict.passed, verdict.failed
    assert verdict.champion == 1


def test_a_candidate_trained_on_shuffled_labels_is_refused(world, shuffled):
    world.publish(2, model_files(shuffled))
    refused = failed(world.judge(2, champion=1))
    assert {"not_worse", "floor", "slice_floor", "slice_drop", "functionality"} <= refused
    # Parity and cost have nothing to say of what it learned.
    assert not refused & {"parity", "size", "latency", "hostile_input"}


def test_a_candidate_that_is_worse_on_one_class_alone_is_refused_for_that_class(world, good):
    world.publish(2, model_files(good.reluctant(3, by=4)))
    verdict = world.judge(2, champion=1, margin=0.05)
    assert failed(verdict) == {"slice_drop"}
    assert verdict.failed[0].detail.startswith("class-3 0.683 (was 0.976)")


def test_a_candidate_with_skewed_preprocessing_is_refused_though_it_is_as_accurate(world, good):
    """What was exported divides by 256, what was trained by 255: no accuracy shows it."""
    world.publish(2, model_files(replace(good, scale=256.0), trained=good))
    verdict = world.judge(2, champion=1)
    assert failed(verdict) == {"parity"}
    assert verdict.failed[0].figure > 1e-3


def test_a_version_without_the_trained_networks_answers_is_refused_where_parity_is_asked_for(world, good):
    world.publish(2, model_files(good, recorded=False))
    assert failed(world.judge(2)) == {"parity"}
    assert world.judge(2, parity=None).passed


def test_a_network_that_divides_by_nothing_is_refused_though_no_example_shows_it(world, good):
    """It scales each image by its lightest pixel: 255 in most of the examples, 0 in a black one."""
    world.publish(2, model_files(replace(good, scale=None)))
    verdict = world.judge(2, champion=1)
    assert failed(verdict) == {"hostile_input"}
    assert verdict.failed[0].detail == "not finite: all 0"


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_a_network_that_gives_no_numbers_at_all_is_judged_like_any_other(world, good):
    world.publish(2, model_files(replace(good, scale=0.0), trained=good))
    found = world.evaluate(2, champion=1)
    assert (found.right, sum(map(sum, found.confusion)), found.parity) == (0, 0, None)
    assert found.champion.only_champion == found.champion.right
    refused = failed(world.judge(2, champion=1, comparison="bootstrap"))
    assert refused == {"not_worse", "floor", "slice_floor", "slice_drop", "functionality", "hostile_input", "parity"}


def test_losses_are_compared_where_the_author_asks_for_it(world, shuffled):
    world.publish(2, model_files(shuffled))
    refused = {check.name: check for check in world.judge(2, champion=1, comparison="bootstrap").failed}
    assert refused["not_worse"].unit == "nats"
    assert refused["not_worse"].figure > 1


def test_nothing_of_the_other_splits_is_ever_read(world):
    world.publish(2, model_files(tiny_networks.train(rows=900)))
    world.evaluate(2, champion=1)
    shards = {key.rsplit("/", 2)[1] for key in world.store.read if key.endswith(".arrow")}
    assert shards == {"validation"}


def test_predictions_are_kept_and_used_again(world, good):
    first = world.evaluate(1)
    kept = load_predictions(world.store, world.dataset, MODEL, 1)
    assert predictions_key(world.dataset, MODEL, 1) == f"evaluations/synthetic/v1/{MODEL}/1.npz"
    assert (kept.probabilities.dtype, kept.probabilities.shape) == (np.float32, (2000, len(CLASSES)))
    assert (kept.labels.dtype, kept.labels.shape) == (np.int64, (2000,))
    assert int(kept.right.sum()) == first.right
    (stored,) = world.store.list("evaluations/")
    world.publish(2, model_files(good.reluctant(3, by=4)))
    champion = world.evaluate(2, champion=1).champion
    assert champion.right == first.right
    assert stored in list(world.store.list("evaluations/"))


def test_what_was_measured_adds_up(world, good):
    world.publish(2, model_files(good.reluctant(3, by=4)))
    found = world.evaluate(2, champion=1)
    assert sum(each.right for each in found.slices) == found.right
    assert sum(each.champion_right for each in found.slices) == found.champion.right
    assert found.right - found.champion.right == found.champion.only_candidate - found.champion.only_champion
    assert sum(map(sum, found.confusion)) == found.rows == 2000
    assert [sum(row) for row in found.confusion] == [each.rows for each in found.slices]
    assert sum(found.confusion[label][label] for label in range(len(CLASSES))) == found.right
    assert sum(each.rows for each in found.calibration) == found.rows
    assert found.cost.size_bytes == len(good.onnx())


def test_a_prediction_takes_what_the_least_disturbed_round_says(good):
    """The clock says 1 ms a prediction, and 5 ms in the first of the three rounds."""
    ticks = itertools.chain(*([0.0, 0.005] for _ in range(200)), *([0.0, 0.001] for _ in range(400)))
    world = GateWorld(timer=lambda: next(ticks))
    world.publish(1, model_files(good))
    cost = world.evaluate(1).cost
    assert (cost.p50_ms, cost.p99_ms) == (pytest.approx(1), pytest.approx(1))


def test_a_version_that_was_never_published_is_not_found(world):
    with pytest.raises(NotFoundError):
        world.evaluate(9)


def test_a_network_of_other_classes_is_refused_in_words(world, good):
    smaller = replace(good, weights=good.weights[:, :9], bias=good.bias[:9])
    world.publish(2, model_files(smaller))
    with pytest.raises(CorruptError, match="answers with 9 numbers, the dataset has 10 classes"):
        world.evaluate(2)


def test_a_dataset_version_that_was_replaced_is_not_used(world):
    other = world.dataset.model_copy(update={"digest": "1" * 64})
    with pytest.raises(CorruptError, match="was asked for"):
        world.evaluator.evaluate(world.step(1).model_copy(update={"dataset": other}))
