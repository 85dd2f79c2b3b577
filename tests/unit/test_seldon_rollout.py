"""How far a rollout is, read off the objects of the API server."""

import copy

import pytest
from kubernetes.client import (
    V1Container,
    V1Deployment,
    V1DeploymentSpec,
    V1DeploymentStatus,
    V1LabelSelector,
    V1ObjectMeta,
    V1OwnerReference,
    V1PodSpec,
    V1PodTemplateSpec,
)

from headrace.adapters.seldon.rollout import rollout
from headrace.render.seldon import ClusterTarget, ServingTarget, render_deployment
from headrace.render.seldon.marks import MARK
from headrace.specs.serving import Autoscaling, EnsembleSpec, SlotMember

TARGET = ServingTarget(namespace="ml", cluster=ClusterTarget())


def _document(versions=(1,), **options):
    members = [
        SlotMember(slot=slot, model="m", version=version, run_id="r", location=f"s3://b/m/{version}/", digest="0" * 64)
        for slot, version in enumerate(versions, start=1)
    ]
    return render_deployment(EnsembleSpec(name="g", model="m", **{"replicas": 2, **options}), members, TARGET)


def _stored(state="Available"):
    return {"metadata": {"uid": "u"}, "status": {"state": state}}


def _deployments(document, uid="u"):
    """As the operator makes them, all ready."""
    return [_deployment(each, uid) for each in document["spec"]["predictors"][0]["componentSpecs"]]


def _deployment(component, uid):
    node, replicas = component["spec"]["containers"][0]["name"], component.get("replicas", 2)
    owner = V1OwnerReference(api_version="v1", kind="SeldonDeployment", name="g", uid=uid)
    template = V1PodTemplateSpec(
        metadata=V1ObjectMeta(annotations={"other": "x", MARK: component["metadata"]["annotations"][MARK]}),
        spec=V1PodSpec(containers=[V1Container(name=node), V1Container(name="sidecar-of-" + node)]),
    )
    return V1Deployment(
        metadata=V1ObjectMeta(name=f"g-{node}", generation=3, owner_references=[owner]),
        spec=V1DeploymentSpec(replicas=replicas, selector=V1LabelSelector(), template=template),
        status=V1DeploymentStatus(
            observed_generation=3, replicas=replicas, updated_replicas=replicas, available_replicas=replicas
        ),
    )


def test_it_is_finished_when_every_replica_of_every_node_runs_what_the_document_says():
    document = _document()
    assert rollout(document, _stored(), _deployments(document)).finished


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: setattr(d.status, "observed_generation", 2), "2 of 2"),
        (lambda d: setattr(d.status, "replicas", 3), "2 of 2"),
        (lambda d: setattr(d.status, "updated_replicas", 1), "2 of 2"),
        (lambda d: setattr(d.status, "available_replicas", None), "0 of 2"),
        (lambda d: d.spec.template.metadata.annotations.update({MARK: "former"}), "not acted on it yet"),
        (lambda d: setattr(d.spec, "replicas", 1), "not acted on it yet"),
        (lambda d: setattr(d.metadata, "owner_references", None), "not acted on it yet"),
    ],
)
def test_one_deployment_that_is_behind_keeps_it_unfinished(change, says):
    document = _document()
    deployments = _deployments(document)
    change(deployments[1])
    progress = rollout(document, _stored(), deployments)
    assert not progress.finished
    (part,) = progress.unfinished()
    assert part.node == "slot-1"
    assert says in part.describe()


def test_it_is_unfinished_until_the_operator_says_available():
    document = _document()
    assert not rollout(document, _stored("Creating"), _deployments(document)).finished
    assert not rollout(document, {"metadata": {"uid": "u"}}, _deployments(document)).finished


def test_what_is_left_of_a_former_document_keeps_it_unfinished():
    former, document = _document((1, 2)), _document((1,))
    left = [each for each in _deployments(former) if each.metadata.name == "g-slot-2"]
    progress = rollout(document, _stored(), [*_deployments(document), *left])
    assert progress.superfluous == ["g-slot-2"]
    assert not progress.finished


def test_another_graphs_deployments_do_not_count():
    document = _document()
    others = _deployments(document, uid="another")
    assert rollout(document, _stored(), [*_deployments(document), *others]).finished
    assert not rollout(document, _stored(), others).acted_on


def test_an_autoscaler_may_have_made_more_replicas():
    document = _document(autoscaling=Autoscaling(max_replicas=5))
    deployments = copy.deepcopy(_deployments(document))
    deployments[1].spec.replicas = deployments[1].status.replicas = 4
    deployments[1].status.updated_replicas = deployments[1].status.available_replicas = 4
    assert rollout(document, _stored(), deployments).finished
