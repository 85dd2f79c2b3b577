"""Airflow 3's REST API (v2) as an orchestrator."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import httpx

from headrace.errors import InvalidSpecError, NotFoundError, UnavailableError
from headrace.ports.orchestrator import RunState, TaskState

_PARSED_WITHIN_SECONDS = 60


class AirflowApi:
    """Implements `ports.orchestrator.Orchestrator`.

    Args:
        url: of the API server.
        credentials: returns user and password; asked when the first token is needed.
    """

    def __init__(self, url: str, credentials: Callable[[], tuple[str, str]]) -> None:
        self._url = url
        self._credentials = credentials
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._token: str | None = None

    def trigger(self, pipeline: str, parameters: Mapping[str, Any]) -> RunState:
        """See the port. Waits up to a minute for a pipeline the dag-processor has not parsed yet."""
        self._wait_until_parsed(pipeline)
        body = {"logical_date": None, "conf": dict(parameters)}
        run = self._call("POST", f"/dags/{pipeline}/dagRuns", what=f"pipeline {pipeline}", json=body)
        return _run(run)

    def run(self, pipeline: str, run_id: str) -> RunState:
        """See the port."""
        run = self._call("GET", f"/dags/{pipeline}/dagRuns/{run_id}", what=f"run {run_id} of {pipeline}")
        return _run(run)

    def tasks(self, pipeline: str, run_id: str) -> Sequence[TaskState]:
        """See the port."""
        path = f"/dags/{pipeline}/dagRuns/{run_id}/taskInstances"
        found = self._call("GET", path, what=f"run {run_id} of {pipeline}")["task_instances"]
        return [
            TaskState(
                task_id=task["task_id"],
                state=task["state"] or "waiting",
                started=_time(task["start_date"]),
                ended=_time(task["end_date"]),
                attempt=max(task["try_number"], 1),
            )
            for task in found
        ]

    def result(self, pipeline: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """See the port."""
        path = f"/dags/{pipeline}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            return self._call("GET", path, what=f"{key} of {task_id}", params={"deserialize": True})["value"]
        except NotFoundError:
            return None

    def log(self, pipeline: str, run_id: str, task_id: str, attempt: int) -> Sequence[str]:
        """See the port."""
        path = f"/dags/{pipeline}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        entries = self._call("GET", path, what=f"log of {task_id}", params={"full_content": True})["content"]
        return [line for entry in entries for line in _lines(entry)]

    def _wait_until_parsed(self, pipeline: str) -> None:
        deadline = time.monotonic() + _PARSED_WITHIN_SECONDS
        while True:
            try:
                self._call("GET", f"/dags/{pipeline}", what=f"pipeline {pipeline}")
            except NotFoundError as error:
                if time.monotonic() > deadline:
                    raise NotFoundError(error.what, where=error.where, remedy=self._import_errors()) from error
                time.sleep(1)
            else:
                return

    def _import_errors(self) -> str:
        errors = self._call("GET", "/importErrors", what="import errors")["import_errors"]
        if not errors:
            return "Is its file in dags/?"
        return "\n".join(f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors)

    def _call(self, method: str, path: str, *, what: str, **request: Any) -> dict[str, Any]:
        reply = self._send(method, f"/api/v2{path}", headers=self._authorisation(), **request)
        if reply.status_code == httpx.codes.UNAUTHORIZED:
            self._token = None
            reply = self._send(method, f"/api/v2{path}", headers=self._authorisation(), **request)
        if reply.status_code == httpx.codes.NOT_FOUND:
            raise NotFoundError(f"{what} does not exist", where=self._url)
        if reply.is_client_error:
            raise InvalidSpecError(f"{what}: Airflow refused: {reply.text[:2000]}", where=self._url)
        if reply.is_error:
            raise UnavailableError(f"{what}: Airflow failed: {reply.text[:2000]}", where=self._url)
        return cast(dict[str, Any], reply.json())

    def _authorisation(self) -> dict[str, str]:
        if self._token is None:
            user, password = self._credentials()
            reply = self._send("POST", "/auth/token", json={"username": user, "password": password})
            if reply.is_error:
                raise UnavailableError(f"Airflow gave no token: {reply.text[:500]}", where=self._url)
            self._token = reply.json()["access_token"]
        return {"Authorization": f"Bearer {self._token}"}

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **request)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"Airflow does not answer: {error}", where=self._url, remedy="Start it with `headrace up`."
            ) from error


def _lines(entry: Any) -> list[str]:
    """A log entry as lines: what was logged, then the exceptions that go with it, the cause first."""
    if not isinstance(entry, dict):
        return [str(entry)]
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or []]
    return [entry["event"], *(line for error in reversed(errors) for line in error.splitlines())]


def _run(run: Mapping[str, Any]) -> RunState:
    return RunState(run_id=run["dag_run_id"], state=run["state"], triggered=_time(run["queued_at"]))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
