"""What changes in the registry, over MLflow's REST API: who asks every second cannot do with a client library of 120 MB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from headrace.errors import NotFoundError, UnavailableError

TIMEOUT_SECONDS = 10.0


class MlflowWatch:
    """Implements `ports.registry.RegistryWatch`; keeps one connection to the server open.

    https://mlflow.org/docs/latest/api_reference/rest-api.html#get-registeredmodel, #get-modelversion
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/2.0/mlflow", timeout=TIMEOUT_SECONDS)
        self._url = url

    def aliases(self, model: str) -> Mapping[str, int]:
        """See the port."""
        found = self._get(f"the aliases of model {model}", "/registered-models/get", name=model)
        aliases = found["registered_model"].get("aliases", []) if found else []
        return {alias["alias"]: int(alias["version"]) for alias in aliases}

    def tags(self, model: str, version: int) -> Mapping[str, str]:
        """See the port."""
        what = f"the tags of version {version} of model {model}"
        found = self._get(what, "/model-versions/get", name=model, version=str(version))
        if found is None:
            raise NotFoundError(f"{what} cannot be read: there is no such version", where=self._url)
        return {tag["key"]: tag.get("value", "") for tag in found["model_version"].get("tags", [])}

    def _get(self, what: str, path: str, **parameters: str) -> dict[str, Any] | None:
        """The reply as JSON; None where the server knows no such thing."""
        try:
            reply = self._client.get(path, params=parameters)
            if reply.status_code == httpx.codes.NOT_FOUND:
                return None
            content: dict[str, Any] = reply.raise_for_status().json()
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"{what} cannot be read: {error!r}", where=self._url, remedy="Look at `headrace logs mlflow`."
            ) from error
        return content
