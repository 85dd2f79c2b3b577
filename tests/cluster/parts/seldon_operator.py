"""Seldon's operator, or where it is not installed a stand-in that keeps the part of its contract that the adapter sees.

The stand-in makes a Deployment of each componentSpec, deletes what no component stands for any more, and reports the state. It
makes no executor and no Services, so graphs run in real pods but answer nobody.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kubernetes.client import ApiClient, AppsV1Api, CustomObjectsApi, V1Deployment
from kubernetes.client.exceptions import ApiException

from cluster.kubectl import Kubectl
from waiting import wait_for

GROUP, VERSION, PLURAL = "machinelearning.seldon.io", "v1", "seldondeployments"
_PERIOD_SECONDS = 0.5
_APPLY = "application/apply-patch+yaml"
_ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_KIND = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "SeldonDeployment", "plural": PLURAL, "singular": "seldondeployment", "shortNames": ["sdep"]},
        "versions": [
            {
                "name": VERSION,
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": _ANYTHING},
            }
        ],
    },
}


def is_installed(admin: Kubectl) -> bool:
    """Whether the real operator runs in the cluster."""
    found = admin.get("deployments", "--all-namespaces", "--selector=control-plane=seldon-controller-manager")
    return any(each["status"].get("availableReplicas") for each in found)


@contextmanager
def stand_in(admin: Kubectl, client: ApiClient) -> Iterator[None]:
    """The kind and the stand-in for its operator, for one namespace, while the context lasts."""
    admin.apply(_KIND)
    admin("wait", "--for=condition=Established", f"crd/{PLURAL}.{GROUP}")
    operator = _StandIn(client, admin.namespace)
    operator.start()
    try:
        yield
    finally:
        operator.stop()
        admin("delete", "crd", f"{PLURAL}.{GROUP}")


class _StandIn(threading.Thread):
    """Reconciles the SeldonDeployments of a namespace again and again."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        super().__init__(daemon=True)
        self._custom, self._apps, self._namespace = CustomObjectsApi(client), AppsV1Api(client), namespace
        self._kind = {"group": GROUP, "version": VERSION, "namespace": namespace, "plural": PLURAL}
        self._stopped = threading.Event()

    def run(self) -> None:
        """See Thread."""
        while not self._stopped.wait(_PERIOD_SECONDS):
            for found in self._custom.list_namespaced_custom_object(**self._kind)["items"]:
                if "deletionTimestamp" in found["metadata"]:
                    continue
                try:
                    self._reconcile(found)
                except ApiException as error:  # it was changed or deleted meanwhile: the next round sees it
                    assert error.status in (404, 409, 422), error

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
        self.join()

    def _reconcile(self, found: dict[str, Any]) -> None:
        (predictor,) = found["spec"]["predictors"]
        wanted = [_deployment(found, predictor, index) for index in range(len(predictor["componentSpecs"]))]
        made = [self._apply(deployment) for deployment in wanted]
        names = {each.metadata.name for each in made}
        if ready := all(_is_ready(each) for each in made):
            for old in self._owned(found):
                if old.metadata.name not in names:
                    self._apps.delete_namespaced_deployment(old.metadata.name, self._namespace)
        status = {"state": "Available" if ready else "Creating"}
        if found.get("status") != status:
            found["status"] = status
            self._custom.replace_namespaced_custom_object_status(**self._kind, name=found["metadata"]["name"], body=found)

    def _apply(self, deployment: Mapping[str, Any]) -> V1Deployment:
        return self._apps.patch_namespaced_deployment(
            deployment["metadata"]["name"],
            self._namespace,
            body=deployment,
            field_manager="seldon-stand-in",
            force=True,
            _content_type=_APPLY,
        )

    def _owned(self, found: Mapping[str, Any]) -> list[V1Deployment]:
        items = self._apps.list_namespaced_deployment(self._namespace).items
        return [
            each for each in items if found["metadata"]["uid"] in {owner.uid for owner in each.metadata.owner_references or ()}
        ]


def _deployment(found: Mapping[str, Any], predictor: Mapping[str, Any], index: int) -> dict[str, Any]:
    """As the operator makes it: named by predictor, index and container; the component's metadata on the pods."""
    name, component = found["metadata"]["name"], predictor["componentSpecs"][index]
    node = component["spec"]["containers"][0]["name"]
    labels = {"seldon-deployment-id": name, "app": f"{name}-{predictor['name']}-{index}-{node}"}
    template = {
        "metadata": {**component["metadata"], "labels": {**component["metadata"]["labels"], **labels}},
        "spec": _with_parameters(component["spec"], predictor["graph"], node),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": labels["app"], "labels": labels, "ownerReferences": [_owner(found)]},
        "spec": {
            "replicas": component["replicas"],
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": "10%"}},
            "template": template,
        },
    }


def _with_parameters(pod: Mapping[str, Any], graph: Mapping[str, Any], node: str) -> dict[str, Any]:
    (container,) = pod["containers"]
    (unit,) = [unit for unit in (graph, *graph["children"]) if unit["name"] == node]
    parameters = {"name": "PREDICTIVE_UNIT_PARAMETERS", "value": json.dumps(unit.get("parameters", []))}
    return {**pod, "containers": [{**container, "env": [*container["env"], parameters]}]}


def _owner(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": found["apiVersion"],
        "kind": found["kind"],
        "name": found["metadata"]["name"],
        "uid": found["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _is_ready(deployment: V1Deployment) -> bool:
    status = deployment.status
    return bool(status.ready_replicas) and not status.unavailable_replicas


def ignored_namespace(admin: Kubectl, name: str) -> Kubectl:
    """A namespace that neither the operator nor its stand-in looks at."""
    metadata = {"name": name, "labels": {"seldon.io/controller-id": "nobody"}}
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    wait_for(lambda: admin.within(name).get("serviceaccount", "default"), 30, "the namespace is usable")
    return admin.within(name)
