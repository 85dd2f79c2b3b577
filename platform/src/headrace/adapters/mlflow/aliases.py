"""Aliases over MLflow's REST API, for a process that asks every second: the client library's import takes seconds and 120 MB."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from headrace.errors import UnavailableError

TIMEOUT_SECONDS = 10.0


class MlflowAliases:
    """Implements `ports.registry.Aliases`; keeps one connection to the server open.

    https://mlflow.org/docs/latest/api_reference/rest-api.html#get-registeredmodel
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/2.0/mlflow", timeout=TIMEOUT_SECONDS)
        self._url = url

    def aliases(self, model: str) -> Mapping[str, int]:
        """See the port."""
        try:
            reply = self._client.get("/registered-models/get", params={"name": model})
            if reply.status_code == httpx.codes.NOT_FOUND:
                return {}
            registered = reply.raise_for_status().json()["registered_model"]
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"the aliases of model {model} cannot be read: {error!r}",
                where=self._url,
                remedy="Look at `headrace logs mlflow`.",
            ) from error
        return {alias["alias"]: int(alias["version"]) for alias in registered.get("aliases", [])}
