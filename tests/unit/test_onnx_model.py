"""ONNX networks as `ports.models` has them."""

import numpy as np
import pytest

from headrace.adapters.onnx_model import OnnxRunner
from headrace.errors import CorruptError
from tiny_networks import Regression
from training_data import SHAPE, smooth

RANDOM = np.random.default_rng(0)
NETWORK = Regression(RANDOM.normal(0, 1, (784, 10)).astype(np.float32), RANDOM.normal(0, 1, 10).astype(np.float32))


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model.onnx").write_bytes(NETWORK.onnx())
    return OnnxRunner().open(tmp_path / "model.onnx")


def test_it_answers_what_the_network_says(model):
    images = smooth(7, seed=1)[0]
    answers = model.predict(images)
    assert (answers.shape, answers.dtype) == ((7, 10), np.float32)
    np.testing.assert_allclose(answers, NETWORK(images), atol=1e-5)


def test_images_that_it_does_not_take_are_refused_in_words(model):
    with pytest.raises(CorruptError, match=r"does not take uint8 \[2, 5, 5\]"):
        model.predict(np.zeros((2, 5, 5), np.uint8))
    with pytest.raises(CorruptError, match="does not take float32"):
        model.predict(np.zeros((2, *SHAPE), np.float32))


def test_a_file_that_holds_no_network_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a network")
    with pytest.raises(CorruptError, match="cannot be loaded") as refused:
        OnnxRunner().open(tmp_path / "model.onnx")
    assert refused.value.where == str(tmp_path / "model.onnx")
