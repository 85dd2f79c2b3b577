"""SeldonDeployments as objects of the API server."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from kubernetes.client import ApiClient, CustomObjectsApi, V1DeleteOptions
from kubernetes.client.exceptions import ApiException

from headrace.adapters.kubernetes.client import translated_errors
from headrace.errors import UnavailableError
from headrace.ports.serving import Document

FIELD_MANAGER = "headrace"
INSTALL = (
    "Install Seldon Core 1.17.1 (Helm chart `seldon-core-operator`), or serve with headrace's own engine "
    "(HEADRACE_SERVING_BACKEND=engine)."
)
KIND = {"group": "machinelearning.seldon.io", "version": "v1", "plural": "seldondeployments"}
_APPLY = "application/apply-patch+yaml"


class SeldonDeployments:
    """What is asked of the API server about them. All methods may raise UnavailableError and ForbiddenError.

    Rights: get, create, patch and delete on `seldondeployments.machinelearning.seldon.io` in the graphs' namespace.

    Args:
        client: of the cluster.
    """

    def __init__(self, client: ApiClient) -> None:
        self._api = CustomObjectsApi(client)

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The object as it is stored, with its status; None when there is none.

        Raises:
            UnavailableError: the cluster does not know the kind; says how to install it.
        """
        with translated_errors(f"cannot read the SeldonDeployment {namespace}/{name}"):
            try:
                found: dict[str, Any] = self._api.get_namespaced_custom_object(**KIND, namespace=namespace, name=name)
            except ApiException as error:
                if _is_absent(error, name):
                    return None
                raise
        return found

    def apply(self, document: Document) -> dict[str, Any]:
        """Make the object what the document says, whoever else has written to it (server-side apply); returns it as stored.

        Raises:
            UnavailableError: the cluster does not know the kind; says how to install it.
            InvalidSpecError: the API server or Seldon's webhook refuses the document.
        """
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        with translated_errors(f"cannot apply the SeldonDeployment {namespace}/{name}"):
            try:
                stored: dict[str, Any] = self._api.patch_namespaced_custom_object(
                    **KIND,
                    namespace=namespace,
                    name=name,
                    body=dict(document),
                    field_manager=FIELD_MANAGER,
                    force=True,
                    _content_type=_APPLY,
                )
            except ApiException as error:
                _is_absent(error, name)
                raise
        return stored

    def delete(self, namespace: str, name: str) -> None:
        """Begin to delete the object: it stays until all that it owns is gone. An absent one is not an error.

        The operator leaves an object alone that is being deleted. One that goes before its Deployments it brings back to life
        for a moment: it makes the Deployments anew when it sees them go before it sees the object go.
        """
        with translated_errors(f"cannot delete the SeldonDeployment {namespace}/{name}"):
            try:
                options = V1DeleteOptions(propagation_policy="Foreground")
                self._api.delete_namespaced_custom_object(**KIND, namespace=namespace, name=name, body=options)
            except ApiException as error:
                if not _is_absent(error, name):
                    raise


def is_leaving(stored: dict[str, Any]) -> bool:
    """Whether the object is being deleted."""
    return "deletionTimestamp" in stored["metadata"]


def as_document(stored: dict[str, Any]) -> Document:
    """A stored object as the document that was applied: without its status, and without what the API server keeps beside it."""
    written = ("name", "namespace", "labels", "annotations")
    metadata = {key: stored["metadata"][key] for key in written if key in stored["metadata"]}
    return {"apiVersion": stored["apiVersion"], "kind": stored["kind"], "metadata": metadata, "spec": stored["spec"]}


def _is_absent(error: ApiException, name: str) -> bool:
    """Whether the answer says that there is no such object.

    Raises:
        UnavailableError: it says that there is no such kind of objects.
    """
    if error.status != HTTPStatus.NOT_FOUND:
        return False
    try:
        details = json.loads(error.body).get("details", {})
    except ValueError:  # an API server that does not know the kind answers in plain text
        details = {}
    if details.get("name") == name:
        return True
    if details.get("kind") == "namespaces":
        return False
    raise UnavailableError("this cluster has no SeldonDeployments", where=KIND["group"], remedy=INSTALL) from error
