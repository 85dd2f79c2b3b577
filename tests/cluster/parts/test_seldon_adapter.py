"""Graphs on a real API server, in real pods: applied, waited for, explained when they fail, put back, deleted.

Under Seldon's own operator where it is installed, else under a stand-in for it; what takes the executor is then left out.
"""

import copy
import re
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from kubernetes.client import CoreV1Api, V1ObjectMeta, V1Pod
from kubernetes.client.exceptions import ApiException

from builders import dataset_version, pipeline
from cluster.parts import seldon_operator
from cluster.parts.seldon_world import IMAGE as SERVING_IMAGE
from cluster.parts.seldon_world import SECRET, Graph, Models, cluster_names, ensemble, target
from cluster.parts.step_world import ACCESS_KEY, SECRET_KEY, minio_server, node_address
from cluster.tenancy import make_namespace, restricted_user
from cluster.trickle import trickle
from deployment_world import predictions
from fakes import FakeLocks
from fakes_deployment import FakeHistory
from headrace.adapters.kubernetes.client import api_client, refusal
from headrace.adapters.seldon import resources, watch
from headrace.adapters.seldon.backend import SeldonBackend
from headrace.bootstrap import utc_now
from headrace.errors import DeploymentFailedError, ForbiddenError, InvalidSpecError, NotFoundError, UnavailableError
from headrace.render.seldon import members_of, render_canary
from headrace.specs.canary import CanarySpec
from headrace.specs.serving import NodeResources
from headrace.specs.step import PromoteStep
from headrace.usecases.deploy.reconcile import Reconciler
from headrace.usecases.deploy.rollout import Rollout
from headrace.usecases.gate.predictions import store_predictions
from headrace.usecases.promote import Promoter
from waiting import wait_for

A_MOMENT = timedelta(seconds=15)
EMPTY_IMAGE = [[0] * 28] * 28

pytestmark = pytest.mark.timeout(900)


def _client(user):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(user.kubeconfig))
        patch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        return api_client()


@pytest.fixture(scope="module")
def client(admin):
    return _client(admin)


@pytest.fixture(scope="module")
def kubectl(admin):
    """The administrator, in a namespace of the module's own."""
    kubectl = admin.within(f"seldon-{uuid.uuid4().hex[:6]}")
    kubectl("create", "namespace", kubectl.namespace)
    keys = {"HEADRACE_MINIO__ACCESS_KEY": ACCESS_KEY, "HEADRACE_MINIO__SECRET_KEY": SECRET_KEY}
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": keys})
    yield kubectl
    kubectl("delete", "namespace", kubectl.namespace)


@pytest.fixture(scope="module")
def real(kubectl, client):
    """Whether Seldon's own operator acts on graphs here; otherwise its stand-in does."""
    if seldon_operator.is_installed(kubectl):
        yield True
    else:
        # Only Seldon's executor needs more than the restricted standard grants: headrace's own containers keep it.
        kubectl("label", "namespace", kubectl.namespace, "pod-security.kubernetes.io/enforce=restricted")
        with seldon_operator.stand_in(kubectl, client):
            yield False


@pytest.fixture(scope="module")
def executor(real, client):
    """Services answer under their names; skips where there is no executor behind them."""
    if not real:
        pytest.skip("Seldon's operator is not installed: no executor, so nothing of its endpoint is tested")
    with pytest.MonkeyPatch.context() as patch, cluster_names(client, patch):
        yield


@pytest.fixture(scope="module")
def models(tmp_path_factory, kubectl, minio_program):
    folder = tmp_path_factory.mktemp("seldon")
    with minio_server(minio_program, folder / "minio", node_address(kubectl)) as server:
        yield Models(server.endpoint, folder / "cache")


@pytest.fixture(scope="module")
def graphs(client, kubectl, models, real):
    """Makes graphs, which are deleted at the end."""
    made, place = [], target(kubectl.namespace, models.endpoint)

    def make():
        made.append(Graph(SeldonBackend(client), client, place, f"g-{uuid.uuid4().hex[:6]}"))
        return made[-1]

    yield make
    for graph in made:
        graph.delete()


@pytest.fixture(scope="module")
def good(models):
    """Two versions that serve."""
    return models.published(models.make("first"), models.make("second"))


@pytest.fixture(scope="module")
def standing(graphs, good):
    """A graph that serves; who changes it sees to it that it serves the same afterwards."""
    graph = graphs()
    graph.apply(graph.document(good))
    return graph


@pytest.fixture
def refuses(standing, good):
    """Expects a document to fail, to be explained in these words, and to leave the standing graph as it was."""

    def check(document, *says, **options):
        with pytest.raises(DeploymentFailedError, match="did not become ready") as failure:
            standing.apply(document, **options)
        for words in says:
            failure.match(words)
        assert standing.shown() == standing.document(good)
        assert all(each.status.available_replicas == each.spec.replicas for each in standing.deployments().values())

    return check


def test_what_was_applied_is_what_serves_and_what_is_shown(standing, good):
    assert standing.shown() == standing.document(good)
    before = {node: each.metadata.generation for node, each in standing.deployments().items()}
    assert before.keys() == {"combiner", "slot-1", "slot-2"}
    standing.apply(standing.document(good))
    assert {node: each.metadata.generation for node, each in standing.deployments().items()} == before


def test_what_cannot_start_is_explained_node_by_node_and_the_former_graph_serves_on(standing, refuses, models, good, monkeypatch):
    monkeypatch.setattr(watch, "GIVE_UP_AFTER", timedelta(seconds=60))  # until the slowest has had its say
    off = models.published(models.make("off", golden_error=2e-4))[0]
    another_digest = good[1].model_copy(update={"digest": "f" * 64})
    members = [off, another_digest, *(good[0].model_copy(update={"slot": slot}) for slot in (3, 4))]
    members[1] = members[1].model_copy(update={"slot": 2})
    document = copy.deepcopy(standing.document(members))
    components = document["spec"]["predictors"][0]["componentSpecs"]
    components[3]["spec"]["containers"][0]["image"] = "headrace/no-such-image:0"
    components[4]["spec"]["initContainers"][0]["envFrom"][0]["secretRef"]["name"] = "absent"
    refuses(
        document,
        r"slot-1: container slot-1 of pod \S+ ended with code \d+ .*last lines:\n(?s:.*)golden batch comes out",
        r"slot-2: container fetch-model of pod \S+ ended with code 1 .*last lines:\nthe files are not those that were published",
        r"slot-3: container slot-3 of pod \S+ has no image headrace/no-such-image:0 \(ErrImageNeverPull\)",
        r'slot-4: container fetch-model of pod \S+ cannot be made \(CreateContainerConfigError\): secret "absent" not found',
    )


def test_a_full_quota_is_explained(kubectl, standing, refuses, good):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    kubectl.apply(quota)
    try:
        wait_for(lambda: kubectl.get("resourcequota", "none").get("status", {}).get("hard"), 30, "the quota counts")
        changed = standing.document(good, tolerance=1e-3)
        refuses(changed, r"slot-1: no pod can be made: .*exceeded quota: none", within=A_MOMENT)
    finally:
        kubectl("delete", "resourcequota", "none")


def test_a_pod_without_a_place_is_explained_in_the_schedulers_words(standing, refuses, good):
    huge = standing.document(good, resources=NodeResources(cpu="1000"))
    refuses(huge, r"slot-1: pod \S+ has no place: .*Insufficient cpu", within=A_MOMENT)


def test_pods_are_restricted_but_for_seldons_executor(client, kubectl, standing, real):
    strict = f"{kubectl.namespace}-restricted"
    make_namespace(kubectl, strict)
    try:
        complaints = {node: _complaint(client, strict, each.spec.template) for node, each in standing.deployments().items()}
    finally:
        kubectl("delete", "namespace", strict, "--wait=false")
    assert complaints["slot-1"] == complaints["slot-2"] == ""
    assert set(re.findall(r'container "([^"]+)"', complaints["combiner"])) == ({"seldon-container-engine"} if real else set())


def _complaint(client, namespace, template):
    """Why a pod of this template may not run there; empty when it may."""
    core = CoreV1Api(client)
    wait_for(lambda: core.list_namespaced_service_account(namespace).items, 30, "the namespace is usable")
    pod = V1Pod(metadata=V1ObjectMeta(name="p", labels=template.metadata.labels), spec=template.spec)
    try:
        core.create_namespaced_pod(namespace, pod, dry_run="All")
    except ApiException as error:
        return refusal(error)
    return ""


def test_nothing_is_left_of_a_former_graph_or_of_a_deleted_one(graphs, models, good):
    graph = graphs()
    graph.apply(graph.document(good))
    (other,) = models.published(models.make("third"))
    graph.apply(graph.document([other]))
    assert graph.deployments().keys() == {"combiner", "slot-1"}
    assert {_folder(pod) for pod in graph.pods()} == {"", f"/models/shoes/{other.version}"}
    graph.delete()
    assert (graph.shown(), graph.deployments(), graph.pods()) == (None, {}, [])
    graph.delete()


def _folder(pod):
    """Where the pod's model is put; empty for one without."""
    variables = [variable for container in pod.spec.init_containers or () for variable in container.env]
    return next((each.value for each in variables if each.name == "HEADRACE_MODEL_FOLDER"), "")


def test_a_cluster_without_an_operator_says_how_to_get_one(client, kubectl, models, good, real, monkeypatch):
    monkeypatch.setattr(watch, "OPERATOR_WITHIN", timedelta(seconds=5))
    ignored = seldon_operator.ignored_namespace(kubectl, f"{kubectl.namespace}-ignored")
    graph = Graph(SeldonBackend(client), client, target(ignored.namespace, models.endpoint), "g")
    try:
        with pytest.raises(UnavailableError, match=r"operator is missing.*seldon-core-operator"):
            graph.apply(graph.document(good))
        assert graph.shown() is None
    finally:
        kubectl("delete", "namespace", ignored.namespace, "--wait=false")


def test_a_cluster_without_the_kind_says_how_to_get_it(standing, monkeypatch):
    document = standing.shown()
    monkeypatch.setitem(resources.KIND, "version", "v0")
    for call in (standing.shown, standing.delete, lambda: standing.apply(document)):
        with pytest.raises(UnavailableError, match=r"no SeldonDeployments.*seldon-core-operator"):
            call()


def test_a_missing_right_is_named(kubectl, standing, tmp_path):
    nobody = restricted_user(kubectl, [kubectl.namespace], [], tmp_path / "kubeconfig")
    powerless = SeldonBackend(_client(nobody))
    with pytest.raises(ForbiddenError, match=rf'cannot get resource "seldondeployments" .*"{kubectl.namespace}"'):
        powerless.get(kubectl.namespace, standing.name)


# --- through Seldon's executor ---


@pytest.mark.usefixtures("executor")
def test_the_endpoint_answers_and_refuses(standing, graphs):
    reply = standing.predict([EMPTY_IMAGE])
    assert [vote["name"] for vote in reply["meta"]["tags"]["votes"]] == ["slot-1", "slot-2"]
    with pytest.raises(InvalidSpecError, match="expected"):
        standing.predict([])
    with pytest.raises(NotFoundError):
        graphs().predict([EMPTY_IMAGE])


@pytest.mark.usefixtures("executor")
def test_a_pipelines_candidates_are_promoted_and_verified(standing, graphs, models):
    graph, history = graphs(), FakeHistory()
    rollout = Rollout(registry=models.registry, serving=graph.backend, store=models.store, target=graph.place)
    reconciler = Reconciler(registry=models.registry, history=history, rollout=rollout, locks=FakeLocks(), clock=utc_now)
    promoter = Promoter(registry=models.registry, history=history, store=models.store, reconciler=reconciler)
    made = [models.make(member) for member in ("fourth", "fifth")]
    for candidate in made:
        store_predictions(models.store, dataset_version(), candidate.model, candidate.version, predictions(0.9))
    declared = {**ensemble(graph.name).model_dump(), "minimum": 2}
    step = PromoteStep(
        pipeline=pipeline(ensemble=declared), run="r", candidates=made, dataset=dataset_version(), size=2, who="test"
    )
    assert promoter.promote(step).revision == 1
    assert reconciler.reconcile(step.pipeline.ensemble, who="test").done == ()
    assert {member.version for member in members_of(graph.shown())} == {candidate.version for candidate in made}
    assert graph.backend.get(graph.place.namespace, f"{graph.name}-preview") is None


def _answered(graph, *, routed):
    """The first reply of an executor that tells routes, or of one that does not: a former one answers on until it ends."""

    def told():
        reply = graph.predict([EMPTY_IMAGE])
        return reply if ("routing" in reply["meta"]) == routed else None

    return wait_for(told, 60, "the new executor answers")


@pytest.mark.usefixtures("executor")
def test_a_canary_gets_its_share_from_the_executor_which_counts_both(graphs, good, models):
    graph = graphs()
    graph.apply(graph.document(good))
    former = {node: each.metadata.generation for node, each in graph.deployments().items()}
    new = models.published(models.make("eighth"))
    both = render_canary(ensemble(graph.name), CanarySpec(share=0.5), good, new, graph.place)
    graph.apply(both)
    assert graph.shown() == both
    now = {node: each.metadata.generation for node, each in graph.deployments().items()}
    assert now.keys() == {"combiner", "slot-1", "slot-2", "new-combiner", "new-slot-1"}
    assert all(now[node] == former[node] for node in ("slot-1", "slot-2")), "the models run on"
    first = _answered(graph, routed=True)
    replies = [first, *(graph.predict([EMPTY_IMAGE]) for _ in range(60))]
    drawn = Counter(reply["meta"]["routing"]["canary"] for reply in replies)
    assert drawn.keys() == {0, 1}
    for reply in replies:
        names = [vote["name"] for vote in reply["meta"]["tags"]["votes"]]
        assert names == (["new-slot-1"] if reply["meta"]["routing"]["canary"] else ["slot-1", "slot-2"])
    figures = graph.backend.figures(graph.place.namespace, graph.name)
    assert (figures.former.requests, figures.new.requests) == (drawn[0], drawn[1])
    assert figures.former.errors == figures.new.errors == 0
    assert 0 < figures.new.latency < 10
    graph.apply(graph.document(good))
    assert graph.deployments().keys() == {"combiner", "slot-1", "slot-2"}
    _answered(graph, routed=False)


def test_a_shadow_is_refused_because_the_executor_would_not_ask_it(standing, good):
    place = standing.place.model_copy(update={"mirrors": False})
    with pytest.raises(InvalidSpecError, match="no shadow without a service mesh"):
        render_canary(ensemble(standing.name), CanarySpec(share=0.5, mode="shadow"), good, good, place)


@pytest.fixture(scope="module")
def doubled(executor, graphs, good):
    """A graph of two replicas a node."""
    graph = graphs()
    graph.apply(graph.document(good, replicas=2))
    return graph


def test_a_replica_that_is_killed_costs_the_platform_no_answer(doubled, kubectl):
    """The executor asks no other replica; whoever asks it through the adapter does."""
    (victim, *_) = kubectl.get("pods", f"--selector=headrace.dev/graph={doubled.name},headrace.dev/node=slot-1")
    asked = 0

    def restarted():
        nonlocal asked
        doubled.predict([EMPTY_IMAGE])
        asked += 1
        (status,) = kubectl.get("pod", victim["metadata"]["name"])["status"]["containerStatuses"]
        return status["restartCount"] == 1 and status["ready"]

    kill_its_processes = "kill -9 $(cat /proc/1/task/1/children)"
    kubectl("exec", victim["metadata"]["name"], "--container=slot-1", "--", "sh", "-c", kill_its_processes)
    wait_for(restarted, 120, "the replica is back")
    assert asked > 1


def test_a_rolling_update_loses_no_request_in_the_nodes(doubled, kubectl, models):
    """What may be lost is the executor's own: as released, it hangs up at once when its pod is asked to end."""
    newer = models.published(models.make("sixth"), models.make("seventh"))
    with trickle(kubectl, doubled.backend.endpoint(kubectl.namespace, doubled.name), image=SERVING_IMAGE) as answers:
        doubled.apply(doubled.document(newer, replicas=2))
    assert answers.counts["200"] > 100
    assert all(answer.startswith("ClientConnectorError") for answer in answers.failures), answers.failures
    assert sum(answers.failures.values()) < 0.01 * sum(answers.counts.values()), answers.counts
