"""Checkpoints: what comes back is bit by bit what was saved, and nothing else is taken for it."""

import numpy as np
import pytest

from fakes import FakeStore
from headrace.errors import CorruptError
from headrace.training.checkpoint import Checkpoints, capture, restore


class Variable:
    """As a Keras variable."""

    def __init__(self, value, path="layer/kernel"):
        self.value, self.path = value, path

    def numpy(self):
        return self.value

    def assign(self, value):
        self.value = value


HISTORY = ({"loss": 0.1 + 0.2, "validation_accuracy": 0.9},)


@pytest.fixture
def store():
    return FakeStore()


@pytest.fixture
def checkpoints(store):
    return Checkpoints(store, "runs/p/r/train.cnn/", fingerprint="f")


def _arrays():
    random = np.random.default_rng(0)
    special = np.array([np.nan, -0.0, np.inf, np.nextafter(np.float32(1), np.float32(2))], np.float32)
    return random.normal(size=(3, 3, 1, 8)).astype(np.float32), special, np.array(17, np.int64), np.array([1, 2**31], np.uint32)


def test_a_round_trip_is_exact(checkpoints):
    arrays = _arrays()
    checkpoints.save(epoch=1, history=HISTORY, arrays=capture([Variable(array) for array in arrays]))
    found = checkpoints.latest()
    variables = [Variable(np.zeros_like(array)) for array in arrays]
    restore(found.arrays, variables)
    for array, variable in zip(arrays, variables, strict=True):
        assert variable.value.dtype == array.dtype
        assert variable.value.tobytes() == array.tobytes()
    assert (found.epoch, found.history) == (1, HISTORY)


def test_the_newest_is_found_and_the_last_two_stay(checkpoints, store):
    for epoch in (1, 2, 3, 10):
        checkpoints.save(epoch=epoch, history=HISTORY * epoch, arrays=_arrays())
    assert checkpoints.latest().epoch == 10
    assert [found.key for found in store.list("runs/")] == [
        "runs/p/r/train.cnn/checkpoints/epoch-0003.npz",
        "runs/p/r/train.cnn/checkpoints/epoch-0010.npz",
    ]


def test_without_one_there_is_none(checkpoints):
    assert checkpoints.latest() is None


def test_another_jobs_is_refused(checkpoints, store):
    checkpoints.save(epoch=1, history=HISTORY, arrays=_arrays())
    with pytest.raises(CorruptError, match="other parameters"):
        Checkpoints(store, "runs/p/r/train.cnn/", fingerprint="g").latest()


def test_a_damaged_one_is_named(checkpoints, store):
    store.put_bytes("runs/p/r/train.cnn/checkpoints/epoch-0001.npz", b"half a file")
    with pytest.raises(CorruptError, match=r"epoch-0001\.npz"):
        checkpoints.latest()


def test_a_variable_of_another_shape_is_named():
    with pytest.raises(CorruptError, match="layer/kernel"):
        restore([np.zeros((2, 3), np.float32)], [Variable(np.zeros((3, 2), np.float32))])
    with pytest.raises(CorruptError, match="holds 1 variables, the model has 0"):
        restore([np.zeros(2)], [])
