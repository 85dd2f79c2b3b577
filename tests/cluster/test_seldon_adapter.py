"""Graphs on a real API server, in real pods: applied, waited for, explained when they fail, put back, deleted.

Under Seldon's own operator where it is installed, else under a stand-in for it; what takes the executor is then left out.
"""

import re
import uuid
from datetime import timedelta

import pytest
from kubernetes.client import AppsV1Api, CoreV1Api, V1ObjectMeta, V1Pod
from kubernetes.client.exceptions import ApiException

from builders import pipeline
from cluster import seldon_operator
from cluster.seldon_world import SECRET, Models, cluster_names, ensemble, target
from cluster.step_world import ACCESS_KEY, SECRET_KEY, minio_server
from cluster.tenancy import make_namespace, restricted_user
from fakes import FakeLocks
from headrace.adapters.kubernetes.client import api_client, refusal
from headrace.adapters.seldon import resources, watch
from headrace.adapters.seldon.backend import SeldonBackend
from headrace.errors import DeploymentFailedError, ForbiddenError, InvalidSpecError, NotFoundError, UnavailableError
from headrace.render.seldon import members_of, render_deployment
from headrace.specs.serving import NodeResources
from headrace.specs.step import PromoteStep, VerifyStep
from headrace.usecases.promote import Promoter
from minio_server import minio_binary
from waiting import wait_for

SOON = timedelta(minutes=3)
A_MOMENT = timedelta(seconds=15)
IMAGE = [[0] * 28] * 28

pytestmark = pytest.mark.timeout(600)


def _client(user):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(user.kubeconfig))
        patch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        return api_client()


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
def client(admin):
    return _client(admin)


@pytest.fixture(scope="module")
def real(kubectl, client):
    """Whether Seldon's own operator acts on graphs here; otherwise its stand-in does."""
    if seldon_operator.is_installed(kubectl):
        yield True
    else:
        # Only Seldon's executor needs less than the restricted standard: headrace's own containers keep it.
        kubectl("label", "namespace", kubectl.namespace, "pod-security.kubernetes.io/enforce=restricted")
        with seldon_operator.stand_in(kubectl, client):
            yield False


@pytest.fixture
def executor(real, client, monkeypatch):
    """Services answer under their names; skips where there is no executor behind them."""
    if not real:
        pytest.skip("Seldon's operator is not installed: no executor, so nothing of its endpoint is tested")
    with cluster_names(client, monkeypatch):
        yield


@pytest.fixture(scope="module")
def backend(client, real):
    return SeldonBackend(client)


@pytest.fixture(scope="module")
def models(tmp_path_factory, kubectl):
    (node, *_) = kubectl.get("nodes")
    address = next(each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP")
    folder = tmp_path_factory.mktemp("seldon")
    with minio_server(minio_binary(), folder / "minio", address) as server:
        yield Models(server.endpoint, folder / "cache")


@pytest.fixture(scope="module")
def good(models):
    """Two versions that serve."""
    return models.published(models.make("first"), models.make("second"))


@pytest.fixture
def name(backend, kubectl):
    name = f"g-{uuid.uuid4().hex[:6]}"
    yield name
    backend.delete(kubectl.namespace, name)


@pytest.fixture
def document(kubectl, models, name):
    """Renders graphs of one replica a node under the test's name."""

    def render(members, place=None, **options):
        place = place or target(kubectl.namespace, models.endpoint)
        return render_deployment(ensemble(name, **{"replicas": 1, **options}), members, place)

    return render


@pytest.fixture
def deployments(client, kubectl, name):
    """The Deployments made of the test's graph, by node."""

    def look():
        found = AppsV1Api(client).list_namespaced_deployment(kubectl.namespace, label_selector=f"seldon-deployment-id={name}")
        return {each.spec.template.spec.containers[0].name: each for each in found.items}

    return look


def test_what_was_applied_is_what_serves_and_what_is_shown(backend, kubectl, document, deployments, good, name):
    assert backend.get(kubectl.namespace, name) is None
    wanted = document(good, replicas=2)
    backend.apply(wanted, timeout=SOON)
    assert backend.get(kubectl.namespace, name) == wanted
    assert {node: each.status.available_replicas for node, each in deployments().items()} == {
        "combiner": 2,
        "slot-1": 2,
        "slot-2": 2,
    }
    before = {node: each.metadata.generation for node, each in deployments().items()}
    backend.apply(wanted, timeout=SOON)
    assert {node: each.metadata.generation for node, each in deployments().items()} == before


def test_a_graph_is_live_only_when_no_pod_of_the_former_one_is_left(backend, client, kubectl, models, document, good, name):
    backend.apply(document(good), timeout=SOON)
    newer = models.published(models.make("third"))
    backend.apply(document(newer), timeout=SOON)
    pods = CoreV1Api(client).list_namespaced_pod(kubectl.namespace, label_selector=f"seldon-deployment-id={name}").items
    staying = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
    folders = {
        variable.value
        for pod in staying
        for container in pod.spec.init_containers or ()
        for variable in container.env
        if variable.name == "HEADRACE_MODEL_FOLDER"
    }
    assert folders == {f"/models/shoes/{newer[0].version}"}
    assert len(staying) == 2


def test_a_deleted_graph_leaves_no_deployment(backend, kubectl, document, deployments, good, name):
    backend.apply(document(good[:1]), timeout=SOON)
    backend.delete(kubectl.namespace, name)
    assert deployments() == {}
    assert backend.get(kubectl.namespace, name) is None
    backend.delete(kubectl.namespace, name)


def _with_another_digest(models, good):
    return {"members": [good[0].model_copy(update={"digest": "f" * 64})]}


def _with_a_wrong_golden_batch(models, good):
    return {"members": models.published(models.make("off", golden_error=2e-4))}


def _without_an_image(models, good):
    return {"members": good, "image": "headrace/no-such-image:0"}


def _with_an_absent_secret(models, good):
    return {"members": good, "secrets": ("absent",)}


HOPELESS = {
    "a digest that differs": (_with_another_digest, r"slot-1: .*fetch-model.*last lines:\n(?s:.*)digest"),
    "a golden batch that comes out differently": (_with_a_wrong_golden_batch, r"slot-1: .*ended with code(?s:.*)golden batch"),
    "an image that is not there": (_without_an_image, r"no image .*headrace/no-such-image:0"),
    "a Secret that is not there": (_with_an_absent_secret, r'slot-1: .*CreateContainerConfigError.*secret "absent" not found'),
}


@pytest.mark.parametrize("case", HOPELESS)
def test_what_cannot_start_is_explained_and_the_former_graph_serves_on(
    backend, kubectl, models, document, deployments, good, case
):
    former = document(good)
    backend.apply(former, timeout=SOON)
    change, says = HOPELESS[case]
    options = change(models, good)
    members = options.pop("members")
    cluster = target(kubectl.namespace, models.endpoint).cluster.model_copy(
        update={"secrets": options.pop("secrets", (SECRET,)), "pull_policy": "Never"}
    )
    place = target(kubectl.namespace, models.endpoint, **options).model_copy(update={"cluster": cluster})
    with pytest.raises(DeploymentFailedError, match="did not become ready") as failure:
        backend.apply(document(members, place), timeout=SOON)
    assert failure.match(says)
    assert backend.get(kubectl.namespace, former["metadata"]["name"]) == former
    assert all(each.status.available_replicas == each.spec.replicas for each in deployments().values())


def test_a_full_quota_is_explained(backend, kubectl, document, good, name):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    kubectl.apply(quota)
    try:
        with pytest.raises(DeploymentFailedError, match=r"slot-1: no pod can be made: .*exceeded quota: none"):
            backend.apply(document(good), timeout=A_MOMENT)
    finally:
        kubectl("delete", "resourcequota", "none")
    assert backend.get(kubectl.namespace, name) is None


def test_a_pod_without_a_place_is_explained_in_the_schedulers_words(backend, document, good):
    with pytest.raises(DeploymentFailedError, match=r"slot-1: pod .* has no place: .*Insufficient cpu"):
        backend.apply(document(good, resources=NodeResources(cpu="1000")), timeout=A_MOMENT)


def test_pods_of_models_are_restricted_and_the_others_but_for_seldons_executor(
    backend, client, kubectl, document, deployments, good, real
):
    backend.apply(document(good[:1]), timeout=SOON)
    strict = f"{kubectl.namespace}-restricted"
    make_namespace(kubectl, strict)
    try:
        complaints = {node: _complaint(client, strict, each.spec.template) for node, each in deployments().items()}
    finally:
        kubectl("delete", "namespace", strict, "--wait=false")
    assert complaints["slot-1"] == ""
    assert set(re.findall(r'container "([^"]+)"', complaints["combiner"])) == ({"seldon-container-engine"} if real else set())


def _complaint(client, namespace, template):
    """Why a pod of this template may not run there; empty when it may."""
    pod = V1Pod(metadata=V1ObjectMeta(name="p", labels=template.metadata.labels), spec=template.spec)
    wait_for(lambda: CoreV1Api(client).list_namespaced_service_account(namespace).items, 30, "the namespace is usable")
    try:
        CoreV1Api(client).create_namespaced_pod(namespace, pod, dry_run="All")
    except ApiException as error:
        return refusal(error)
    return ""


def test_a_cluster_without_an_operator_says_how_to_get_one(client, kubectl, models, good, real, monkeypatch):
    monkeypatch.setattr(watch, "OPERATOR_WITHIN", timedelta(seconds=5))
    ignored = seldon_operator.ignored_namespace(kubectl, f"{kubectl.namespace}-ignored")
    try:
        document = render_deployment(ensemble("g"), good, target(ignored.namespace, models.endpoint))
        with pytest.raises(UnavailableError, match=r"operator is missing.*seldon-core-operator"):
            SeldonBackend(client).apply(document, timeout=SOON)
        assert SeldonBackend(client).get(ignored.namespace, "g") is None
    finally:
        kubectl("delete", "namespace", ignored.namespace, "--wait=false")


def test_a_cluster_without_the_kind_says_how_to_get_it(client, kubectl, document, good, monkeypatch):
    monkeypatch.setitem(resources.KIND, "version", "v0")
    for call in (lambda: SeldonBackend(client).get(kubectl.namespace, "g"), lambda: SeldonBackend(client).delete("ns", "g")):
        with pytest.raises(UnavailableError, match=r"no SeldonDeployments.*seldon-core-operator"):
            call()
    with pytest.raises(UnavailableError, match=r"no SeldonDeployments.*seldon-core-operator"):
        resources.SeldonDeployments(client).apply(document(good))


def test_a_missing_right_is_named(kubectl, backend, document, good, tmp_path):
    nobody = restricted_user(kubectl, [kubectl.namespace], [], tmp_path / "kubeconfig")
    powerless = SeldonBackend(_client(nobody))
    with pytest.raises(
        ForbiddenError, match=rf'cannot get resource "seldondeployments" .* in the namespace "{kubectl.namespace}"'
    ):
        powerless.apply(document(good), timeout=A_MOMENT)


# --- through Seldon's executor ---


@pytest.mark.usefixtures("executor")
def test_the_endpoint_answers_refuses_and_ends(backend, kubectl, document, good, name):
    backend.apply(document(good), timeout=SOON)
    reply = backend.predict(kubectl.namespace, name, {"data": {"ndarray": [IMAGE]}})
    assert [vote["name"] for vote in reply["meta"]["tags"]["votes"]] == ["slot-1", "slot-2"]
    with pytest.raises(InvalidSpecError, match="expected"):
        backend.predict(kubectl.namespace, name, {"data": {"ndarray": []}})
    backend.delete(kubectl.namespace, name)
    with pytest.raises(NotFoundError):
        backend.predict(kubectl.namespace, name, {"data": {"ndarray": [IMAGE]}})


@pytest.mark.usefixtures("executor")
def test_a_pipelines_candidates_are_promoted_and_verified(backend, kubectl, models, name):
    promoter = Promoter(
        registry=models.registry,
        serving=backend,
        store=models.store,
        locks=FakeLocks(),
        target=target(kubectl.namespace, models.endpoint),
    )
    made = [models.make(member).model_copy(update={"metrics": {"validation_accuracy": 0.9}}) for member in ("fourth", "fifth")]
    step = PromoteStep(pipeline=pipeline(ensemble=ensemble(name).model_dump()), run="r", candidates=made, size=2)
    promotion = promoter.promote(step)
    verified = promoter.verify(VerifyStep(pipeline=step.pipeline, run="r", promotion=promotion))
    assert verified.largest_difference < 1e-6
    live = backend.get(kubectl.namespace, name)
    assert {member.version for member in members_of(live)} == {candidate.version for candidate in made}
    assert backend.get(kubectl.namespace, f"{name}-preview") is None
