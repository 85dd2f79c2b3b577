"""Readiness checks, each an implementation of `part.Readiness`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from headrace.stack.loopback import fetch

_OK = 200


@dataclass(frozen=True)
class AnswersHttp:
    """Ready when a GET answers 200."""

    url: str

    def __call__(self, since: datetime) -> str | None:
        """See `part.Readiness`."""
        del since
        try:
            status, _ = fetch(self.url)
        except OSError as error:
            return f"{self.url}: {error}"
        return None if status == _OK else f"{self.url} answers {status}"


@dataclass(frozen=True)
class AirflowHeartbeat:
    """Ready when Airflow's health page shows a heartbeat of this component that is newer than its process.

    Airflow calls a component healthy for half a minute after its last heartbeat, a killed one's included; its own verdict is not
    enough. The page is public: https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/check-health.html

    Args:
        url: of Airflow's API server.
        component: scheduler, dag_processor or triggerer.
    """

    url: str
    component: str

    def __call__(self, since: datetime) -> str | None:
        """See `part.Readiness`."""
        try:
            status, body = fetch(f"{self.url}/api/v2/monitor/health")
        except OSError as error:
            return f"Airflow's API server does not answer yet: {error}"
        if status != _OK:
            return f"Airflow's health page answers {status}"
        return self._verdict(body, since)

    def _verdict(self, body: bytes, since: datetime) -> str | None:
        health = json.loads(body)[self.component]
        heartbeat = health[f"latest_{self.component}_heartbeat"]
        if health["status"] != "healthy" or heartbeat is None:
            return f"the {self.component} has no heartbeat yet"
        if datetime.fromisoformat(heartbeat) < since:
            return f"the {self.component}'s last heartbeat is from before its start"
        return None


@dataclass(frozen=True)
class AcceptsConnections:
    """Ready when PostgreSQL lets its administrator in."""

    port: int
    password: str

    def __call__(self, since: datetime) -> str | None:
        """See `part.Readiness`."""
        import psycopg2

        del since
        try:
            psycopg2.connect(
                host="127.0.0.1", port=self.port, user="postgres", password=self.password, dbname="postgres", connect_timeout=2
            ).close()
        except psycopg2.OperationalError as error:
            return str(error).strip()
        return None
