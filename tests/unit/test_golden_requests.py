"""Golden requests: a graph proves that each member answers as at training, and that their votes count as they should."""

import io
from datetime import timedelta

import numpy as np
import pytest

from fakes import FakeStore
from fakes_promotion import FakeServing, fake_probabilities
from headrace.errors import DeploymentFailedError
from headrace.render.seldon import ServingTarget, render_deployment
from headrace.specs.serving import EnsembleSpec, SlotMember
from headrace.usecases.golden import ask_golden

ENSEMBLE = EnsembleSpec(name="shoes", model="shoes")
TARGET = ServingTarget(namespace="test")


def member(slot, version, weight):
    return SlotMember(slot=slot, model="shoes", version=version, run_id="r", location="models/", digest="0" * 64, weight=weight)


def serve(members):
    """A graph of the members, asked for what `expected` would answer."""
    serving = FakeServing()
    serving.apply(render_deployment(ENSEMBLE, members, TARGET), timeout=timedelta(seconds=1))
    return serving


@pytest.fixture
def store():
    """Holds the golden answers of the versions 1 and 2."""
    store, inputs = FakeStore(), np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    for version in (1, 2):
        golden = io.BytesIO()
        np.savez(golden, inputs=inputs, outputs=fake_probabilities(inputs, version))
        store.put_bytes(f"models/shoes/{version}/golden.npz", golden.getvalue())
    return store


def test_the_aggregate_is_expected_to_be_the_weighted_mean(store):
    members = [member(1, 1, 3.0), member(2, 2, 1.0)]
    result = ask_golden(serve(members), store, namespace="test", name="shoes", members=members, tolerance=1e-9)
    assert result.requests == 6
    assert result.largest_difference < 1e-12


def test_a_graph_that_weighs_its_members_otherwise_is_refused(store):
    serving = serve([member(1, 1, 1.0), member(2, 2, 1.0)])
    members = [member(1, 1, 3.0), member(2, 2, 1.0)]
    with pytest.raises(DeploymentFailedError, match="away from what was recorded"):
        ask_golden(serving, store, namespace="test", name="shoes", members=members, tolerance=1e-4)
