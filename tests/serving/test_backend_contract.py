"""The serving backend: one contract, on the fake and on the graph engine's adapter over a real engine."""

from datetime import timedelta

import pytest

from fakes_promotion import FakeServing
from graph_engine import SPACE
from headrace.adapters.graph_engine import GraphEngine
from headrace.errors import DeploymentFailedError, InvalidSpecError, NotFoundError, UnavailableError
from headrace.render.seldon import ServingTarget, members_of, render_canary
from headrace.specs.canary import BranchFigures, CanaryFigures, CanarySpec
from headrace.specs.serving import EnsembleSpec

pytestmark = pytest.mark.timeout(120)
SOON = timedelta(seconds=60)


@pytest.fixture(params=["fake", "engine"])
def backend(request):
    if request.param == "fake":
        return FakeServing()
    return GraphEngine(request.getfixturevalue("engine").url)


@pytest.fixture
def space():
    """The namespace of the graphs."""
    return SPACE


@pytest.fixture
def make(graph, space):
    """Renders one-replica graphs."""
    return lambda *seeds, **options: graph("contract", seeds=seeds, replicas=1, space=space, **options)[0]


@pytest.fixture(autouse=True)
def _clean(backend, space):
    yield
    backend.delete(space, "contract")


IMAGE = [[0] * 28] * 28


def test_what_was_applied_is_what_serves_and_what_is_shown(backend, space, make):
    assert backend.get(space, "contract") is None
    document = make(1, 2)
    backend.apply(document, timeout=SOON)
    backend.apply(document, timeout=SOON)
    assert backend.get(space, "contract") == document
    reply = backend.predict(space, "contract", {"data": {"ndarray": [IMAGE]}})
    assert [vote["name"] for vote in reply["meta"]["tags"]["votes"]] == ["slot-1", "slot-2"]
    assert backend.endpoint(space, "contract").endswith("/api/v1.0/predictions") or isinstance(backend, FakeServing)


def test_a_graph_that_fails_leaves_the_former_one_serving(backend, space, make):
    backend.apply(make(1), timeout=SOON)
    if isinstance(backend, FakeServing):
        backend.refuses.add("contract")
    with pytest.raises(DeploymentFailedError, match="did not become ready"):
        backend.apply(make(11, golden_error=2e-4), timeout=SOON)
    assert backend.get(space, "contract") == make(1)
    reply = backend.predict(space, "contract", {"data": {"ndarray": [IMAGE]}})
    assert [vote["version"] for vote in reply["meta"]["tags"]["votes"]] == ["1"]


def test_a_deleted_graph_answers_nobody(backend, space, make):
    backend.apply(make(1), timeout=SOON)
    backend.delete(space, "contract")
    backend.delete(space, "contract")
    assert backend.get(space, "contract") is None
    with pytest.raises(NotFoundError):
        backend.predict(space, "contract", {"data": {"ndarray": [IMAGE]}})


def test_a_message_the_graph_refuses_is_the_callers_error(backend, space, make):
    backend.apply(make(1), timeout=SOON)
    with pytest.raises(InvalidSpecError, match="expected"):
        backend.predict(space, "contract", {"data": {"ndarray": []}})


def test_what_is_counted_of_a_canary_is_nothing_before_it_is_asked_and_nothing_without_one(backend, space, make):
    assert backend.figures(space, "contract") == CanaryFigures()
    former, new = make(1), make(2)
    backend.apply(former, timeout=SOON)
    backend.predict(space, "contract", {"data": {"ndarray": [IMAGE]}})
    assert backend.figures(space, "contract") == CanaryFigures()
    ensemble = EnsembleSpec(name="contract", model="m", replicas=1)
    target = ServingTarget(namespace=space)
    both = render_canary(ensemble, CanarySpec(share=0.5), members_of(former), members_of(new), target)
    backend.apply(both, timeout=SOON)
    assert backend.get(space, "contract") == both
    if isinstance(backend, FakeServing):
        backend.counted = CanaryFigures(former=BranchFigures(requests=1, seconds=1.0))
    backend.predict(space, "contract", {"data": {"ndarray": [IMAGE]}})
    counted = backend.figures(space, "contract")
    assert counted.former.requests + counted.new.requests == 1
    assert (counted.former.latency or counted.new.latency) > 0


def test_the_members_can_be_read_off_the_document(make):
    assert [(member.alias, member.version) for member in members_of(make(1, 2))] == [("slot-1", 1), ("slot-2", 2)]


def test_an_engine_that_is_not_there_is_unavailable():
    with pytest.raises(UnavailableError, match="headrace up"):
        GraphEngine("http://127.0.0.1:9").get(SPACE, "contract")
