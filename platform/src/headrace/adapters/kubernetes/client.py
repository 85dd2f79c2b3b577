"""The way to a Kubernetes API server, and its refusals as the platform's errors."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from headrace.errors import ForbiddenError, HeadraceError, InvalidSpecError, NotFoundError, UnavailableError

TIMEOUT_SECONDS = (5.0, 30.0)
"""Of a request that sets none of its own: to connect, and between two reads."""


class _ImpatientClient(ApiClient):  # type: ignore[misc]
    """An ApiClient whose requests end: the library's own wait for ever on a server that has gone."""

    def request(self, method: str, url: str, **options: Any) -> Any:
        options["_request_timeout"] = options.get("_request_timeout") or TIMEOUT_SECONDS
        return super().request(method, url, **options)


def api_client(context: str | None = None) -> ApiClient:
    """A client of the cluster.

    Args:
        context: of the kubeconfig ($KUBECONFIG, or ~/.kube/config). Without one: inside a pod its own service account, elsewhere
            the kubeconfig's current context.

    Raises:
        InvalidSpecError: there is no usable kubeconfig, or no such context in it.
    """
    settings = Configuration()
    try:
        if context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=settings)
        else:
            file = os.environ.get("KUBECONFIG")
            config.load_kube_config(config_file=file, context=context, client_configuration=settings)
    except config.ConfigException as error:
        raise InvalidSpecError(
            f"no way to the Kubernetes API server: {error}",
            where=f"context {context or '(current)'}",
            remedy="Set KUBECONFIG to a kubeconfig, and HEADRACE_KUBERNETES__CONTEXT to one of its contexts.",
        ) from error
    return _ImpatientClient(settings)


@contextmanager
def translated_errors(what: str) -> Iterator[None]:
    """Raise the platform's errors in place of the client library's.

    A caller that handles an `ApiException` itself (a 404 or a 409 that is no error) does so inside the block.

    Args:
        what: what is being done, as a sentence's beginning: `cannot delete Job ml/train`.

    Raises:
        ForbiddenError: the account lacks the right, or its credentials are not accepted; names verb, resource and namespace.
        NotFoundError: the object, its namespace or its kind does not exist.
        InvalidSpecError: the server, or an admission policy, refuses the object.
        UnavailableError: the server does not answer, or cannot do it now: a conflict, a full quota, too many requests.
    """
    try:
        yield
    except ApiException as error:
        raise _translated(what, error) from error
    except HTTPError as error:
        raise UnavailableError(
            f"{what}: the Kubernetes API server does not answer: {error}", remedy="Look at the cluster, then try again."
        ) from error


def refusal(error: ApiException) -> str:
    """The API server's own words."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, TypeError, KeyError):
        return str(error.body or error.reason)


def _translated(what: str, error: ApiException) -> HeadraceError:
    words = refusal(error)
    text = f"{what}: {words}"
    match error.status:
        case HTTPStatus.UNAUTHORIZED:
            return ForbiddenError(text, remedy="The API server does not accept the credentials: renew them.")
        case HTTPStatus.FORBIDDEN if " cannot " in words:  # the authorizer's; it names user, verb, resource and namespace
            return ForbiddenError(text, remedy="Grant the account that right with a Role and a RoleBinding in the namespace.")
        case HTTPStatus.FORBIDDEN if "exceeded quota" in words:
            return UnavailableError(text, remedy="Wait until something ends, or raise the namespace's ResourceQuota.")
        case HTTPStatus.NOT_FOUND:
            return NotFoundError(text)
        case HTTPStatus.FORBIDDEN | HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
            return InvalidSpecError(text)
        case _:
            return UnavailableError(text, remedy="Try again.")
