"""What a version answers on a validation split, kept in the store: measured once, read by every later decision."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.ports.models import Probabilities
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import DatasetVersion
from headrace.usecases.gate.statistics import Answers, answers_of

EVALUATIONS = "evaluations/"
"""Below it lie all predictions."""


@dataclass(frozen=True)
class Predictions:
    """A version's answers on a validation split, row by row.

    Attributes:
        probabilities: `float32[n, classes]`.
        labels: the truth, `int64[n]`.
    """

    probabilities: Probabilities
    labels: Answers

    @property
    def answers(self) -> Answers:
        """The most probable classes, `int64[n]`."""
        return answers_of(self.probabilities)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which examples are answered with their class, `bool[n]`."""
        right: NDArray[np.bool_] = self.answers == self.labels
        return right


def predictions_key(dataset: DatasetVersion, model: str, version: int) -> str:
    """Where they lie: `evaluations/<dataset>/<dataset version>/<model>/<version>.npz`."""
    return f"{EVALUATIONS}{dataset.dataset}/{dataset.version}/{model}/{version}.npz"


def load_predictions(store: ObjectStore, dataset: DatasetVersion, model: str, version: int) -> Predictions:
    """The stored predictions.

    Raises:
        NotFoundError: the version was never measured on that dataset version.
    """
    return read_predictions(store, predictions_key(dataset, model, version))


def read_predictions(store: ObjectStore, key: str) -> Predictions:
    """The predictions that lie there.

    Raises:
        NotFoundError: there are none.
    """
    with np.load(store.fetch(key)) as arrays:
        return Predictions(arrays["probabilities"], arrays["labels"])


def store_predictions(store: ObjectStore, dataset: DatasetVersion, model: str, version: int, found: Predictions) -> None:
    """Keep predictions, in place of any that are there."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, probabilities=found.probabilities, labels=found.labels)
    store.put_bytes(predictions_key(dataset, model, version), content.getvalue())
