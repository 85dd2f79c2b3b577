"""Graphs on a real API server, in real pods: applied, waited for, explained when they fail, put back, deleted.

Under Seldon's own operator where it is installed, else under a stand-in for it.
"""

import copy
import re
from datetime import timedelta

import pytest
from kubernetes.client import CoreV1Api, V1ObjectMeta, V1Pod
from kubernetes.client.exceptions import ApiException

from cluster.parts import seldon_operator
from cluster.parts.seldon_world import Graph, client_of, ensemble, target
from cluster.tenancy import make_namespace, restricted_user
from headrace.adapters.kubernetes.client import refusal
from headrace.adapters.seldon import resources, watch
from headrace.adapters.seldon.backend import SeldonBackend
from headrace.errors import DeploymentFailedError, ForbiddenError, InvalidSpecError, UnavailableError
from headrace.render.seldon import render_canary
from headrace.specs.canary import CanarySpec
from headrace.specs.serving import NodeResources
from waiting import wait_for

A_MOMENT = timedelta(seconds=15)

pytestmark = pytest.mark.timeout(900)


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
    powerless = SeldonBackend(client_of(nobody))
    with pytest.raises(ForbiddenError, match=rf'cannot get resource "seldondeployments" .*"{kubectl.namespace}"'):
        powerless.get(kubectl.namespace, standing.name)


def test_a_shadow_is_refused_because_the_executor_would_not_ask_it(standing, good):
    place = standing.place.model_copy(update={"mirrors": False})
    with pytest.raises(InvalidSpecError, match="no shadow without a service mesh"):
        render_canary(ensemble(standing.name), CanarySpec(share=0.5, mode="shadow"), good, good, place)
