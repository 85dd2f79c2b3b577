"""Engines that follow a namespace's ConfigMaps on a real API server, and the adapter that writes them and waits.

The engines are processes of this machine; the same in pods is test_engine_pods.py. The serving backend's contract suite runs here
on the adapter as it is.
"""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from cluster.parts.engine_world import (
    GRAPHS,
    SERVICE,
    await_ready,
    chart_objects,
    client_of,
    config_map,
    engine_namespace,
    local_engines,
    rules_of,
)
from cluster.parts.step_world import node_address
from cluster.tenancy import restricted_user
from headrace.adapters.engine_on_kubernetes import documents
from headrace.adapters.engine_on_kubernetes.backend import EngineOnKubernetes
from headrace.errors import DeploymentFailedError, ForbiddenError, UnavailableError
from headrace.render.seldon import document_digest
from headrace.serving.engine import kubernetes_documents
from serving.conftest import graph  # noqa: F401 - a fixture
from serving.test_backend_contract import (  # noqa: F401 - the suite
    _clean,
    make,
    test_a_deleted_graph_answers_nobody,
    test_a_graph_that_fails_leaves_the_former_one_serving,
    test_a_message_the_graph_refuses_is_the_callers_error,
    test_what_was_applied_is_what_serves_and_what_is_shown,
)
from waiting import wait_for

pytestmark = pytest.mark.timeout(600)
SOON = timedelta(seconds=120)
NAME = "contract"
MESSAGE = {"data": {"ndarray": [[[0] * 28] * 28]}}


@pytest.fixture(scope="module")
def kubectl(admin):
    with engine_namespace(admin) as kubectl:
        yield kubectl


@pytest.fixture(scope="module")
def engines(kubectl, tmp_path_factory):
    with local_engines(kubectl, node_address(kubectl), tmp_path_factory.mktemp("engines")) as engines:
        yield engines


@pytest.fixture(scope="module")
def pair(engines):
    """Two engines that serve all along."""
    with engines.running() as one, engines.running() as other:
        yield one, other


@pytest.fixture(scope="module")
def client(kubectl, tmp_path_factory):
    """A client with the rights that the chart gives Airflow's tasks, and no others."""
    rules = rules_of(chart_objects(kubectl.namespace), GRAPHS)
    user = restricted_user(kubectl, [kubectl.namespace], rules, tmp_path_factory.mktemp("user") / "kubeconfig")
    return client_of(user.kubeconfig)


@pytest.fixture
def backend(client, pair):
    return EngineOnKubernetes(client, service=SERVICE, url=pair[0].url)


@pytest.fixture
def space(kubectl):
    return kubectl.namespace


def test_engine_and_adapter_agree_on_what_a_config_map_holds():
    (label,) = documents.LABEL.items()
    assert "=".join(label) == kubernetes_documents.SELECTOR
    assert (documents.PREFIX, documents.DESIRED, documents.LIVE) == (
        kubernetes_documents.PREFIX,
        kubernetes_documents.DESIRED,
        kubernetes_documents.LIVE,
    )


def test_every_engine_serves_what_was_applied(backend, pair, make):  # noqa: F811
    backend.apply(make(1, 2), timeout=SOON)
    for engine in pair:
        assert engine.status(NAME)["digest"] == document_digest(make(1, 2))
        assert engine.ask(NAME, MESSAGE).status_code == 200
        assert engine.put(make(1)).status_code == 405


def test_a_document_that_one_engine_cannot_run_is_taken_back_from_all(backend, engines, pair, make, space):  # noqa: F811
    """The engine that cannot has no time for a start: half a second."""
    backend.apply(make(1), timeout=SOON)
    with engines.running("--ready-within", "0.5") as slow, pytest.raises(DeploymentFailedError) as failure:
        wait_for(lambda: slow.status(NAME) is not None, 30, "it knows the document")
        backend.apply(make(2), timeout=SOON)
    assert f"{slow.host}" in str(failure.value)
    assert "not ready within 0.5 s" in str(failure.value)
    assert backend.get(space, NAME) == make(1)
    for engine in pair:
        wait_for(lambda engine=engine: engine.status(NAME)["digest"] == document_digest(make(1)), 60, "the former is back")


def test_a_document_that_no_engine_takes_is_told_in_its_words_and_taken_back(backend, pair, make, space):  # noqa: F811
    backend.apply(make(1), timeout=SOON)
    bad = make(1)
    bad["spec"]["predictors"][0]["graph"]["type"] = "ROUTER"
    with pytest.raises(DeploymentFailedError, match="nodes of type ROUTER are not run here"):
        backend.apply(bad, timeout=SOON)
    assert backend.get(space, NAME) == make(1)
    assert pair[0].status(NAME)["state"] == "Available"
    assert pair[0].ask(NAME, MESSAGE).status_code == 200


def test_an_engine_that_starts_while_a_bad_document_is_desired_serves_what_served_before(kubectl, engines, make):  # noqa: F811
    good, bad = make(1), make(11, golden_error=2e-4)
    kubectl.apply(config_map(bad, live=good))
    with engines.running(announced=False) as fresh:
        assert not fresh.ready()
        await_ready(fresh)
        status = fresh.status(NAME)
        assert (status["state"], status["digest"]) == ("Failed", document_digest(good))
        assert fresh.ask(NAME, MESSAGE).status_code == 200


def test_an_engine_is_not_ready_while_it_lacks_what_serves_elsewhere_and_tries_until_it_has_it(kubectl, engines, make):  # noqa: F811
    document = make(1)
    predictor = document["spec"]["predictors"][0]
    parameters = {each["name"]: each for each in predictor["graph"]["children"][0]["parameters"]}
    folder = parameters["model_path"]["value"]
    parameters["model_path"]["value"] = link = f"{folder}-late-{time.monotonic_ns()}"
    kubectl.apply(config_map(document, live=document))
    with engines.running(announced=False) as fresh:
        assert fresh.settled(NAME)["state"] == "Failed"
        assert not fresh.ready()
        kubectl("annotate", "configmap", f"graph-{NAME}", "touched=1", "--overwrite")
        assert not fresh.ready()
        Path(link).symlink_to(folder)
        await_ready(fresh)
        assert fresh.status(NAME)["state"] == "Available"


def test_no_document_makes_an_engine_unready_that_has_once_been_ready(kubectl, pair, make):  # noqa: F811
    await_ready(pair[0])
    kubectl.apply(config_map(make(1), content="{no json"))
    wait_for(lambda: pair[0].status(NAME), 30, "it has seen the document")
    assert pair[0].status(NAME)["state"] == "Failed"
    assert "it is no JSON" in pair[0].status(NAME)["description"]
    assert pair[0].ready()


def test_without_the_api_server_it_goes_on_serving_and_catches_up_afterwards(backend, engines, pair, kubectl, make):  # noqa: F811
    backend.apply(make(1), timeout=SOON)
    with engines.proxy.away():
        kubectl.apply(config_map(make(2), live=make(1)))
        time.sleep(3)
        for engine in pair:
            assert engine.ready()
            assert engine.ask(NAME, MESSAGE).status_code == 200
            assert engine.status(NAME)["desiredDigest"] == document_digest(make(1))
    for engine in pair:
        wait_for(lambda engine=engine: engine.status(NAME)["digest"] == document_digest(make(2)), 90, "it has caught up")


def test_a_deletion_that_was_missed_is_made_up_for(backend, engines, pair, kubectl, make):  # noqa: F811
    backend.apply(make(1), timeout=SOON)
    with engines.proxy.away():
        kubectl("delete", "configmap", f"graph-{NAME}")
    for engine in pair:
        wait_for(lambda engine=engine: engine.status(NAME) is None, 60, "the graph is gone")


def test_a_graph_that_is_deleted_and_written_again_at_once_serves(backend, client, pair, make, space):  # noqa: F811
    backend.apply(make(1), timeout=SOON)
    written = documents.EngineDocuments(client)
    for _ in range(5):
        written.delete(space, NAME)
        written.write(documents.Kept(desired=make(1), live=None))
    for engine in pair:
        wait_for(lambda engine=engine: (engine.status(NAME) or {}).get("state") == "Available", 120, "it serves")
        assert engine.ask(NAME, MESSAGE).status_code == 200


def test_an_engine_restarted_without_an_api_server_serves_what_it_served_and_is_not_ready(backend, engines, pair, make):  # noqa: F811
    backend.apply(make(1), timeout=SOON)
    with engines.running(announced=False) as engine:
        await_ready(engine)
        with engines.proxy.away():
            engine.process.kill()
            engine.process.wait()
            engine.start()
            assert engine.settled(NAME)["state"] == "Available"
            assert engine.ask(NAME, MESSAGE).status_code == 200
            assert not engine.ready()
        await_ready(engine)


def test_told_to_end_it_is_unready_answers_on_and_then_ends(backend, engines, pair, make):  # noqa: F811
    backend.apply(make(1), timeout=SOON)
    with engines.running("--drain-seconds", "4", announced=False) as engine:
        await_ready(engine)
        engine.process.terminate()
        wait_for(lambda: not engine.ready(), 2, "it is not ready any more")
        reply = engine.ask(NAME, MESSAGE)
        assert reply.status_code == 200
        assert reply.headers["Connection"] == "close"
        assert engine.process.poll() is None
        engine.process.wait(20)
        assert engine.process.returncode == 0


def test_an_engine_that_is_silent_is_named(client, engines, pair, make, space):  # noqa: F811
    backend = EngineOnKubernetes(client, service=SERVICE, url=pair[0].url)
    with engines.running(announced=False) as gone, engines.announced(gone):
        gone.process.kill()
        with pytest.raises(DeploymentFailedError, match=rf"does not answer at {gone.url}"):
            backend.apply(make(1), timeout=timedelta(seconds=15))
    assert backend.get(space, NAME) is None


def test_without_any_engine_nothing_is_left_and_the_remedy_is_named(client, kubectl, make):  # noqa: F811
    backend = EngineOnKubernetes(client, service="no-such-service", url="http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match=r"no engine runs.*no-such-service.*serving\.backend=engine"):
        backend.apply(make(1), timeout=SOON)
    assert backend.get(kubectl.namespace, NAME) is None


def test_another_namespace_is_refused_with_the_right_that_is_missing(backend, make):  # noqa: F811
    with pytest.raises(ForbiddenError, match="configmaps"):
        backend.get("default", NAME)
