"""The chart's engine pods under a trickle of predictions: documents roll, pods come and go, replicas die; no request is lost."""

from datetime import timedelta

import pytest
from kubernetes.client import CoreV1Api

from cluster.parts.engine_world import GRAPHS, SERVICE, chart_objects, client_of, engine_namespace, rules_of
from cluster.parts.seldon_world import ensemble, models_in_store, target
from cluster.programs import TAG
from cluster.tenancy import restricted_user
from cluster.trickle import trickle
from headrace.adapters.engine_on_kubernetes.backend import EngineOnKubernetes
from headrace.adapters.engine_on_kubernetes.pods import EnginePods
from headrace.errors import DeploymentFailedError
from headrace.render.seldon import document_digest, members_of, render_canary, render_deployment
from headrace.specs.canary import CanarySpec
from waiting import wait_for

pytestmark = pytest.mark.timeout(900)
SOON = timedelta(minutes=4)
NAME = "shoes"
DEPLOYMENT = f"deployment/{SERVICE}"


@pytest.fixture(scope="module")
def kubectl(admin):
    with engine_namespace(admin) as kubectl:
        yield kubectl


@pytest.fixture(scope="module")
def models(tmp_path_factory, kubectl, minio_program):
    with models_in_store(kubectl, minio_program, tmp_path_factory.mktemp("models")) as models:
        yield models


@pytest.fixture(scope="module")
def chart(kubectl, models):
    """The chart's serving part, installed: two engine pods."""
    objects = chart_objects(kubectl.namespace, f"images.serving.tag={TAG}", store=models.endpoint)
    for document in objects:
        kubectl.apply(document)
    kubectl("rollout", "status", DEPLOYMENT, "--timeout=180s", timeout=200)
    return objects


@pytest.fixture(scope="module")
def client(kubectl, chart, tmp_path_factory):
    """A client with the rights that the chart gives Airflow's tasks, and no others."""
    rules = rules_of(chart, GRAPHS)
    user = restricted_user(kubectl, [kubectl.namespace], rules, tmp_path_factory.mktemp("user") / "kubeconfig")
    return client_of(user.kubeconfig)


@pytest.fixture(scope="module")
def backend(kubectl, client, admin):
    address = CoreV1Api(client_of(admin.kubeconfig)).read_namespaced_service(SERVICE, kubectl.namespace).spec.cluster_ip
    return EngineOnKubernetes(client, service=SERVICE, url=f"http://{address}:9000")


@pytest.fixture(scope="module")
def document(kubectl, models):
    """Renders the graph over members, as the platform renders it for a cluster."""

    def render(*members, replicas=2):
        return render_deployment(ensemble(NAME, replicas=replicas), members, target(kubectl.namespace, models.endpoint))

    return render


@pytest.fixture(scope="module")
def live(backend, models, document):
    """A graph of two models that serves: its document."""
    wanted = document(*models.published(models.make("first"), models.make("second")))
    backend.apply(wanted, timeout=SOON)
    return wanted


@pytest.fixture
def asked(kubectl, live):
    """Somebody asks all the time; not one request may fail."""
    url = f"http://{SERVICE}.{kubectl.namespace}.svc:9000/seldon/{kubectl.namespace}/{NAME}/api/v1.0/predictions"
    with trickle(kubectl, url, image=f"headrace/serving:{TAG}") as answers:
        yield
    assert answers.failures == {}
    assert answers.counts["200"] > 50


@pytest.fixture
def reports(kubectl, client):
    """What each engine pod says of the graph, by pod."""
    pods = EnginePods(client, SERVICE)
    return lambda: {report.pod.name: report for report in pods.reports(kubectl.namespace, NAME)}


def settled(reports, digest, *, without=()):
    """Whether two pods, none of them among those that should be gone, are ready and serve the document whole."""
    found = reports()
    return (
        len(found) == 2
        and not set(without) & set(found)
        and all(report.pod.ready and report.serves(digest) for report in found.values())
        and all(replica["state"] == "ready" for report in found.values() for replica in report.status["replicas"])
    )


def test_every_pod_serves_two_replicas_of_each_node_with_models_out_of_the_store(backend, kubectl, live, reports):
    assert backend.get(kubectl.namespace, NAME) == live
    found = reports()
    assert len(found) == 2
    for report in found.values():
        nodes = [replica["node"] for replica in report.status["replicas"]]
        assert sorted(nodes) == ["combiner", "combiner", "slot-1", "slot-1", "slot-2", "slot-2"]
        assert kubectl("exec", report.pod.name, "--", "sh", "-c", "ls /models/shoes").split() == ["1", "2"]
    votes = backend.predict(kubectl.namespace, NAME, {"data": {"ndarray": [[[0] * 28] * 28]}})["meta"]["tags"]["votes"]
    assert [(vote["name"], vote["version"]) for vote in votes] == [("slot-1", "1"), ("slot-2", "2")]


def test_a_replica_killed_in_a_pod_is_replaced(kubectl, live, reports, asked):
    digest = document_digest(live)
    pod, report = sorted(reports().items())[0]
    victims = [str(replica["pid"]) for replica in report.status["replicas"] if replica["replica"] == 0]
    kubectl("exec", pod, "--", "sh", "-c", f"kill -9 {' '.join(victims)}")
    wait_for(
        lambda: sum(replica["restarts"] for replica in reports()[pod].status["replicas"]) >= 3, 120, "they were started again"
    )
    wait_for(lambda: settled(reports, digest), 120, "all replicas are back")


def test_a_deleted_engine_pod_is_replaced(kubectl, live, reports, asked):
    digest = document_digest(live)
    gone = sorted(reports())[0]
    kubectl("delete", "pod", gone)
    wait_for(lambda: settled(reports, digest, without=[gone]), 240, "its successor serves")


def test_a_new_document_rolls(backend, kubectl, live, models, document, reports, asked):
    wanted = document(*models.published(models.make("third"), models.make("fourth")))
    backend.apply(wanted, timeout=SOON)
    assert settled(reports, document_digest(wanted))
    backend.apply(live, timeout=SOON)
    assert settled(reports, document_digest(live))


def test_a_rollout_of_the_engine_itself(kubectl, live, reports, asked):
    former = list(reports())
    kubectl("rollout", "restart", DEPLOYMENT)
    kubectl("rollout", "status", DEPLOYMENT, "--timeout=300s", timeout=320)
    wait_for(lambda: settled(reports, document_digest(live), without=former), 120, "the new pods serve")


def test_a_model_that_does_not_prove_itself_leaves_the_former_serving_and_is_named(
    backend, kubectl, live, models, document, reports, asked
):
    bad = document(*models.published(models.make("fifth"), models.make("wrong", golden_error=2e-4)))
    with pytest.raises(DeploymentFailedError) as failure:
        backend.apply(bad, timeout=SOON)
    assert "node slot-2 did not become ready" in str(failure.value)
    assert "golden batch comes out" in str(failure.value)
    assert backend.get(kubectl.namespace, NAME) == live
    assert settled(reports, document_digest(live))


def test_a_model_that_is_not_in_the_store_is_named(backend, kubectl, live, models, document, reports):
    (member, *_) = models.published(models.make("lost"))
    missing = member.model_copy(update={"version": 99, "location": member.location.replace(f"/{member.version}/", "/99/")})
    with pytest.raises(DeploymentFailedError, match=r"init container fetch-model of slot-1 failed.*\n.*NoSuchKey"):
        backend.apply(document(missing), timeout=SOON)
    assert settled(reports, document_digest(live))


@pytest.mark.parametrize("mode", ["canary", "shadow"])
def test_a_canary_costs_no_request_and_the_pods_figures_are_summed(kubectl, backend, models, live, asked, reports, mode):
    former = processes(reports, "combiner", "slot-1", "slot-2")
    new = models.published(models.make(f"tried-as-{mode}"))
    tried = CanarySpec(share=0.5, mode=mode)
    spec, place = ensemble(NAME, replicas=2), target(kubectl.namespace, models.endpoint)
    backend.apply(render_canary(spec, tried, members_of(live), new, place), timeout=SOON)

    def counted():
        found = backend.figures(kubectl.namespace, NAME)
        return found if min(found.former.requests, found.new.requests) >= 20 else None

    found = wait_for(counted, 60, "both are asked")
    assert found.former.errors == found.new.errors == 0
    assert (found.compared > 0) == (mode == "shadow")
    assert processes(reports, "combiner", "slot-1", "slot-2") == former, "what serves runs on"
    backend.apply(live, timeout=SOON)
    assert processes(reports, "combiner", "slot-1", "slot-2") == former


def test_a_deleted_graph_is_gone_from_every_pod(backend, kubectl, live, reports):
    backend.delete(kubectl.namespace, NAME)
    assert [report.status for report in reports().values()] == [None, None]


def processes(reports, *nodes):
    """Of the replicas of these nodes, in every pod."""
    replicas = [(pod, each) for pod, report in reports().items() for each in report.status["replicas"]]
    return {(pod, each["node"], each["replica"]): each["pid"] for pod, each in replicas if each["node"] in nodes}
