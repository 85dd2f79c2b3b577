"""How often two ensembles agree, from stored predictions."""

import numpy as np
import pytest

from builders import DIGEST, dataset_version
from fakes import FakeStore
from headrace.specs.serving import SlotMember
from headrace.usecases.canary.agreement import agreement
from headrace.usecases.gate.predictions import Predictions, predictions_key, store_predictions

LABELS = np.zeros(4, np.int64)


def member(version, weight=1.0, slot=1):
    return SlotMember(slot=slot, model="m", version=version, run_id="r", location="l", digest=DIGEST, weight=weight)


def measured(store, version, classes, sure=0.9, dataset=None):
    probabilities = np.full((len(classes), 2), 1 - sure, np.float32)
    probabilities[np.arange(len(classes)), classes] = sure
    store_predictions(store, dataset or dataset_version(), "m", version, Predictions(probabilities, LABELS[: len(classes)]))


@pytest.fixture
def store():
    return FakeStore()


def test_it_is_the_share_of_equal_classes_of_the_weighted_means(store):
    measured(store, 1, [0, 0, 0, 0])
    measured(store, 2, [0, 0, 1, 1])
    measured(store, 3, [0, 0, 0, 1], sure=0.95)
    assert agreement(store, [member(1)], [member(2)]) == 0.5
    assert agreement(store, [member(1)], [member(3)]) == 0.75
    assert agreement(store, [member(1)], [member(2), member(3, slot=2)]) == 0.75, "the surer one"
    assert agreement(store, [member(1)], [member(2, 9.0), member(3, slot=2)]) == 0.5, "the weightier one"


def test_it_is_not_known_unless_all_were_asked_the_same_examples(store):
    assert agreement(store, [member(1)], [member(2)]) is None
    measured(store, 1, [0, 0])
    older = dataset_version().model_copy(update={"version": "20250101T000000Z-000000"})
    measured(store, 2, [0, 0], dataset=older)
    assert agreement(store, [member(1)], [member(2)]) is None
    measured(store, 1, [1, 0], dataset=older)
    assert agreement(store, [member(1)], [member(2)]) == 0.5
    measured(store, 2, [0, 0])
    assert agreement(store, [member(1)], [member(2)]) == 1.0, "the newest dataset version that knows both"


def test_a_file_that_cannot_be_read_is_as_good_as_none(store):
    measured(store, 1, [0, 0])
    store.put_bytes(predictions_key(dataset_version(), "m", 2), b"PK\x03\x04 no archive")
    assert agreement(store, [member(1)], [member(2)]) is None
