"""Architectures: raw images in, probabilities out."""

import numpy as np
import pytest

from headrace.specs.training import Architecture, Schedule
from headrace.training.architectures import build
from headrace.training.export import open_onnx, to_onnx
from headrace.training.schedules import learning_rate


@pytest.fixture(params=list(Architecture))
def network(request):
    return build(request.param, shape=(28, 28), classes=10)


def test_raw_images_become_probabilities(network):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    probabilities = np.asarray(network(images, training=False))
    assert probabilities.shape == (5, 10)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert network.input_shape == (None, 28, 28)
    assert network.inputs[0].dtype == "uint8"


def test_the_exported_network_is_the_trained_one():
    model = build(Architecture.CNN_BATCH_NORM, shape=(28, 28), classes=10)
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    trained = np.asarray(model(images, training=False))
    np.testing.assert_allclose(open_onnx(to_onnx(model))(images), trained, atol=1e-5)


def test_one_cycle_climbs_to_the_peak_and_falls_to_nothing():
    schedule = learning_rate(Schedule.ONE_CYCLE, 0.01, steps=100)
    rates = [float(schedule(step)) for step in range(101)]
    assert rates[0] == pytest.approx(0.001)
    assert max(rates) == pytest.approx(0.01)
    assert rates.index(max(rates)) == 15
    assert rates[100] == pytest.approx(0, abs=1e-6)
    assert learning_rate(Schedule.CONSTANT, 0.01, steps=100) == 0.01
