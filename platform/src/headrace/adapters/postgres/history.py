"""The history of deployments in PostgreSQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select

from headrace.adapters.postgres.engine import answering, open_engine
from headrace.adapters.postgres.locks import lock_key
from headrace.adapters.postgres.schema import DEPLOYMENT, DEPLOYMENT_EVENT
from headrace.errors import NotFoundError
from headrace.specs.deployment import Deployment, DeploymentEvent, DeploymentRequest, EventKind
from headrace.specs.serving import SlotMember


class PostgresHistory:
    """Implements `ports.history.DeploymentHistory`. Moments are the server's.

    Args:
        url: as for `open_engine`.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)

    def request(self, request: DeploymentRequest) -> Deployment:
        """See the port."""
        table = DEPLOYMENT.c
        with answering(self._engine), self._engine.begin() as connection:
            # Whoever asks meanwhile waits for this transaction, and counts on from it.
            connection.execute(select(func.pg_advisory_xact_lock(lock_key(f"history/{request.ensemble}"))))
            newest = select(func.coalesce(func.max(table.revision), 0)).where(table.ensemble == request.ensemble)
            revision = connection.execute(newest).scalar_one() + 1
            connection.execute(insert(DEPLOYMENT).values(revision=revision, **request.model_dump(mode="json")))
            _add(connection, request.ensemble, revision, EventKind.REQUESTED)
            return _one(connection, request.ensemble, revision)

    def record(
        self,
        ensemble: str,
        revision: int,
        kind: EventKind,
        *,
        detail: str = "",
        digest: str = "",
        members: Sequence[SlotMember] = (),
    ) -> Deployment:
        """See the port."""
        filled = [member.model_dump(mode="json") for member in members]
        with answering(self._engine), self._engine.begin() as connection:
            _one(connection, ensemble, revision)
            _add(connection, ensemble, revision, kind, detail=detail, digest=digest, members=filled)
            return _one(connection, ensemble, revision)

    def deployments(self, ensemble: str) -> Sequence[Deployment]:
        """See the port."""
        with answering(self._engine), self._engine.connect() as connection:
            return _read(connection, DEPLOYMENT.c.ensemble == ensemble)

    def deployment(self, ensemble: str, revision: int) -> Deployment:
        """See the port."""
        with answering(self._engine), self._engine.connect() as connection:
            return _one(connection, ensemble, revision)

    def count_events(self, ensemble: str) -> int:
        """See the port. Not the largest id: one of a transaction that commits late is smaller than what was seen before."""
        events = select(func.count()).where(DEPLOYMENT_EVENT.c.ensemble == ensemble)
        with answering(self._engine), self._engine.connect() as connection:
            return int(connection.execute(events).scalar_one())

    def ensembles(self) -> Sequence[str]:
        """See the port."""
        names = select(DEPLOYMENT.c.ensemble).distinct().order_by(DEPLOYMENT.c.ensemble)
        with answering(self._engine), self._engine.connect() as connection:
            return list(connection.execute(names).scalars())


def _add(
    connection: Connection,
    ensemble: str,
    revision: int,
    kind: EventKind,
    *,
    detail: str = "",
    digest: str = "",
    members: Sequence[Mapping[str, Any]] = (),
) -> None:
    values = {"kind": kind.value, "detail": detail, "digest": digest, "members": list(members)}
    connection.execute(insert(DEPLOYMENT_EVENT).values(ensemble=ensemble, revision=revision, **values))


def _one(connection: Connection, ensemble: str, revision: int) -> Deployment:
    found = _read(connection, (DEPLOYMENT.c.ensemble == ensemble) & (DEPLOYMENT.c.revision == revision))
    if not found:
        raise NotFoundError(
            f"ensemble {ensemble} has no revision {revision}",
            where="the history",
            remedy=f"`headrace history {ensemble}` shows those there are.",
        )
    return found[0]


def _read(connection: Connection, which: ColumnElement[bool]) -> list[Deployment]:
    """The deployments, oldest first, in one query: a row an event."""
    event = DEPLOYMENT_EVENT.c
    columns = [event.kind, event.at, event.detail, event.digest, event.members]
    rows = connection.execute(
        select(DEPLOYMENT, *columns).join(DEPLOYMENT_EVENT).where(which).order_by(DEPLOYMENT.c.revision, event.id)
    )
    told: defaultdict[int, list[Mapping[Any, Any]]] = defaultdict(list)
    for row in rows:
        told[row.revision].append(row._mapping)
    return [_deployment(events) for events in told.values()]


def _deployment(events: Sequence[Mapping[Any, Any]]) -> Deployment:
    first = events[0]
    return Deployment(
        revision=first["revision"],
        request=DeploymentRequest.model_validate({name: first[name] for name in DeploymentRequest.model_fields}),
        members=next((event["members"] for event in reversed(events) if event["members"]), ()),
        events=tuple(
            DeploymentEvent.model_validate({name: event[name] for name in DeploymentEvent.model_fields}) for event in events
        ),
    )
