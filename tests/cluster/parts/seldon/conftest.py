"""A namespace with graphs in it, under Seldon's own operator where it is installed, else under a stand-in for it."""

import uuid

import pytest

from cluster.parts import seldon_operator
from cluster.parts.seldon_world import SECRET, Graph, client_of, models_in_store, target
from cluster.parts.step_world import ACCESS_KEY, SECRET_KEY
from headrace.adapters.seldon.backend import SeldonBackend


@pytest.fixture(scope="package")
def client(admin):
    return client_of(admin)


@pytest.fixture(scope="package")
def kubectl(admin):
    """The administrator, in a namespace of the package's own."""
    kubectl = admin.within(f"seldon-{uuid.uuid4().hex[:6]}")
    kubectl("create", "namespace", kubectl.namespace)
    keys = {"HEADRACE_MINIO__ACCESS_KEY": ACCESS_KEY, "HEADRACE_MINIO__SECRET_KEY": SECRET_KEY}
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": keys})
    yield kubectl
    kubectl("delete", "namespace", kubectl.namespace)


@pytest.fixture(scope="package")
def real(kubectl, client):
    """Whether Seldon's own operator acts on graphs here; otherwise its stand-in does."""
    if seldon_operator.is_installed(kubectl):
        yield True
    else:
        # Only Seldon's executor needs more than the restricted standard grants: headrace's own containers keep it.
        kubectl("label", "namespace", kubectl.namespace, "pod-security.kubernetes.io/enforce=restricted")
        with seldon_operator.stand_in(kubectl, client):
            yield False


@pytest.fixture(scope="package")
def models(tmp_path_factory, kubectl, minio_program):
    with models_in_store(kubectl, minio_program, tmp_path_factory.mktemp("seldon")) as models:
        yield models


@pytest.fixture(scope="package")
def graphs(client, kubectl, models, real):
    """Makes graphs, which are deleted at the end."""
    made, place = [], target(kubectl.namespace, models.endpoint)

    def make():
        made.append(Graph(SeldonBackend(client), client, place, f"g-{uuid.uuid4().hex[:6]}"))
        return made[-1]

    yield make
    for graph in made:
        graph.delete()


@pytest.fixture(scope="package")
def good(models):
    """Two versions that serve."""
    return models.published(models.make("first"), models.make("second"))


@pytest.fixture(scope="package")
def standing(graphs, good):
    """A graph that serves; who changes it sees to it that it serves the same afterwards."""
    graph = graphs()
    graph.apply(graph.document(good))
    return graph
