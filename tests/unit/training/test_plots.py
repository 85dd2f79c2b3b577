"""The pictures can be drawn, whatever the training was like."""

import io

import numpy as np
import pytest

from headrace.training.plots import confusion_matrix, learning_curve

EPOCH = {"loss": 0.5, "accuracy": 0.8, "validation_loss": 0.6, "validation_accuracy": 0.79}


def _png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("epochs", [1, 30])
def test_a_learning_curve_is_drawn(epochs):
    figure = learning_curve([EPOCH] * epochs, title="cnn")
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    assert _png(figure).startswith(b"\x89PNG")


def test_a_confusion_matrix_shows_shares_of_each_true_class():
    confusion = np.array([[90, 10, 0], [0, 50, 50], [0, 0, 0]])
    figure = confusion_matrix(confusion, ["shoe", "bag", "never seen"], title="cnn")
    assert {text.get_text() for text in figure.axes[0].texts} == {"90%", "10%", "50%"}
    assert _png(figure).startswith(b"\x89PNG")
