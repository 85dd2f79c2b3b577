"""Training jobs as Indexed Jobs with a headless Service, on a Kubernetes API server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any

from headrace.adapters.kubernetes.api_server import ApiServer
from headrace.adapters.kubernetes.job_objects import (
    OWNER_ANNOTATION,
    POSITIONS_ANNOTATION,
    job_state,
    quotas_of,
    worker_pod,
)
from headrace.errors import InvalidSpecError, NotFoundError, UnavailableError
from headrace.ports.worker_pods import JobState, LoggedLine, Manifest, Quota, WorkerPod
from headrace.render.job import KIND, KIND_LABEL

GONE_WITHIN_SECONDS = 60.0
"""For a deleted job's pods to be gone; they are given three seconds to end."""
POLL_SECONDS = 0.5
_CREATE_REFUSED = "FailedCreate"
_POD_REMOVED = "SuccessfulDelete"


class KubernetesWorkerPods:
    """Implements `ports.worker_pods.WorkerPods` for one namespace. It needs these rights there:

    jobs: create, get, list, patch, delete · services: create, get, delete · pods: list · pods/log: get · events: list ·
    resourcequotas: list.
    """

    def __init__(self, server: ApiServer, *, namespace: str) -> None:
        """Ask `server` about jobs in `namespace`."""
        self._server = server
        self._namespace = namespace
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._services = f"/api/v1/namespaces/{namespace}/services"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    async def find(self, name: str) -> JobState | None:
        """See the port."""
        job = await self._find(f"{self._jobs}/{name}")
        return job_state(job) if job else None

    async def create(self, job: Manifest, service: Callable[[str], Manifest], *, owner: str) -> bool:
        """See the port."""
        annotated = {**job, "metadata": {**job["metadata"], "annotations": {OWNER_ANNOTATION: owner}}}
        created = await self._server.create(self._jobs, annotated)
        found = created or await self._server.get(f"{self._jobs}/{job['metadata']['name']}")
        await self._ensure_service(service(found["metadata"]["uid"]))
        return created is not None

    async def claim(self, name: str, *, owner: str) -> JobState:
        """See the port."""
        return job_state(await self._annotate(name, {OWNER_ANNOTATION: owner}))

    async def delete(self, name: str, *, owner: str | None = None) -> bool:
        """See the port."""
        path = f"{self._jobs}/{name}"
        until = time.monotonic() + GONE_WITHIN_SECONDS
        while job := await self._find(path):
            metadata = job["metadata"]
            if owner is not None and job_state(job).owner != owner:
                return False
            if "deletionTimestamp" not in metadata:
                # Whoever claims it in this moment changes its version, and is asked about in the next round.
                versions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
                with suppress(NotFoundError):
                    await self._server.delete(path, preconditions=versions)
            if time.monotonic() > until:
                raise UnavailableError(
                    f"job {self._namespace}/{name} is being deleted, but its pods do not go",
                    remedy="Look at their nodes; a pod of a lost one goes with `kubectl delete pod --force`.",
                )
            await asyncio.sleep(POLL_SECONDS)
        return True

    async def admit(self, name: str) -> None:
        """See the port."""
        with suppress(NotFoundError):
            await self._server.patch(f"{self._jobs}/{name}", {"spec": {"suspend": False}})

    async def suspend(self, name: str) -> None:
        """See the port."""
        with suppress(NotFoundError):
            await self._server.patch(f"{self._jobs}/{name}", {"spec": {"suspend": True}})

    async def mark(self, name: str, positions: Mapping[int, str]) -> None:
        """See the port."""
        await self._annotate(name, {POSITIONS_ANNOTATION: json.dumps(dict(positions))})

    async def workers(self, uid: str) -> Sequence[WorkerPod]:
        """See the port."""
        selector = f"batch.kubernetes.io/controller-uid={uid}"
        pods = (await self._server.get(self._pods, query=[("labelSelector", selector)]))["items"]
        return sorted((worker_pod(pod) for pod in pods), key=lambda worker: worker.rank)

    async def complaints(self, uid: str) -> Sequence[str]:
        """See the port."""
        return [event["message"] for event in await self._events(uid) if event["reason"] == _CREATE_REFUSED]

    async def removed(self, uid: str) -> frozenset[str]:
        """See the port. The Job controller writes an event `Deleted pod: NAME` for each."""
        events = await self._events(uid)
        return frozenset(event["message"].rpartition(" ")[2] for event in events if event["reason"] == _POD_REMOVED)

    async def quotas(self, uid: str) -> Sequence[Quota]:
        """See the port."""
        quotas = (await self._server.get(f"/api/v1/namespaces/{self._namespace}/resourcequotas"))["items"]
        if not quotas:
            return []
        jobs = (await self._server.get(self._jobs, query=[("labelSelector", f"{KIND_LABEL}={KIND}")]))["items"]
        job = next((each for each in jobs if each["metadata"]["uid"] == uid), None)
        return quotas_of(job, quotas, jobs) if job else []

    async def log(self, pod: str, *, after: str = "") -> AsyncIterator[LoggedLine]:
        """See the port."""
        query = [("follow", "true"), ("timestamps", "true"), *([("sinceTime", after)] if after else [])]
        try:
            async with aclosing(self._server.lines(f"{self._pods}/{pod}/log", query=query)) as lines:
                async for line in lines:
                    at, _, text = line.partition(" ")
                    if "T" in at and at[:1].isdigit():  # the kubelet's own complaints have no moment
                        yield LoggedLine(_in_utc(at), text)
        except InvalidSpecError as error:
            raise NotFoundError(f"there is no log yet: {error}", where=f"pod {pod}") from error

    async def tail(self, pod: str, *, lines: int) -> Sequence[str]:
        """See the port."""
        try:
            query = [("tailLines", str(lines))]
            async with aclosing(self._server.lines(f"{self._pods}/{pod}/log", query=query)) as text:
                return [line async for line in text]
        except (NotFoundError, InvalidSpecError):
            return ()

    async def _find(self, path: str) -> Manifest | None:
        try:
            return await self._server.get(path)
        except NotFoundError:
            return None

    async def _annotate(self, name: str, annotations: Mapping[str, str]) -> Manifest:
        return await self._server.patch(f"{self._jobs}/{name}", {"metadata": {"annotations": dict(annotations)}})

    async def _ensure_service(self, service: Manifest) -> None:
        """Create the job's service, in place of an earlier job's that is still to be collected."""
        path = f"{self._services}/{service['metadata']['name']}"
        wanted = service["metadata"]["ownerReferences"][0]["uid"]
        while await self._server.create(self._services, service) is None:
            found = await self._find(path)
            if found and wanted in [owner["uid"] for owner in found["metadata"].get("ownerReferences", [])]:
                return
            if found:
                with suppress(NotFoundError):
                    await self._server.delete(path, preconditions={"uid": found["metadata"]["uid"]})
            await asyncio.sleep(POLL_SECONDS)

    async def _events(self, uid: str) -> list[dict[str, Any]]:
        """A job's events, the latest last."""
        path = f"/api/v1/namespaces/{self._namespace}/events"
        events = (await self._server.get(path, query=[("fieldSelector", f"involvedObject.uid={uid}")]))["items"]
        return sorted(events, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")


def _in_utc(at: str) -> str:
    """A kubelet's moment, so that moments compare as texts whatever the node's zone."""
    if at.endswith("Z"):
        return at
    seconds, _, rest = at.partition(".")
    fraction, zone = rest[:9], rest[9:]
    return f"{datetime.fromisoformat(seconds + zone).astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{fraction}Z"
