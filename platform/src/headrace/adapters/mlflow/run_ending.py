"""Ending a run over MLflow's REST API: the client library's import takes seconds, which an event loop has not."""

from __future__ import annotations

import time
from typing import Any

import httpx

from headrace.adapters.mlflow.failure import failure_tags
from headrace.errors import UnavailableError

TIMEOUT_SECONDS = 10.0


class MlflowRunEnding:
    """Implements `ports.tracking.RunEnding`."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def fail_run(self, run_id: str, reason: str) -> None:
        """See the port."""
        try:
            async with httpx.AsyncClient(base_url=f"{self._url}/api/2.0/mlflow", timeout=TIMEOUT_SECONDS) as client:
                for key, value in failure_tags(reason).items():
                    await _post(client, "/runs/set-tag", {"run_id": run_id, "key": key, "value": value})
                ended = {"run_id": run_id, "status": "FAILED", "end_time": int(time.time() * 1000)}
                await _post(client, "/runs/update", ended)
        except httpx.HTTPError as error:
            raise UnavailableError(f"run {run_id} could not be ended: {error!r}", where=self._url) from error


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    (await client.post(path, json=body)).raise_for_status()
