"""What a finished model is worth, measured on the exported network: the file that will serve, not the one that was trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.training.examples import Examples
from headrace.training.export import Predict

BATCH = 1000


@dataclass(frozen=True)
class Evaluation:
    """A split's outcome.

    Attributes:
        confusion: int64[classes, classes]: rows are the truth, columns what the model said.
        loss: mean cross-entropy.
    """

    confusion: NDArray[np.int64]
    loss: float

    @property
    def accuracy(self) -> float:
        """The share of examples whose most probable class is the truth."""
        return float(np.trace(self.confusion) / self.confusion.sum())


def evaluate(predict: Predict, examples: Examples, *, classes: int) -> Evaluation:
    """Ask for every example, in batches.

    Args:
        predict: `uint8[n, h, w]` to probabilities `float32[n, classes]`.
        examples: at least one.
        classes: how many there are.
    """
    confusion = np.zeros((classes, classes), np.int64)
    loss = 0.0
    for start in range(0, len(examples), BATCH):
        images, labels = examples.take(np.arange(start, min(start + BATCH, len(examples))))
        probabilities = predict(images)
        np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
        true = probabilities[np.arange(len(labels)), labels]
        loss -= float(np.log(np.maximum(true, np.finfo(np.float32).tiny)).sum())
    return Evaluation(confusion, loss / len(examples))
