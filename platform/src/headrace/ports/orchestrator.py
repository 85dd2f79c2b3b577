"""The orchestrator: pipelines are triggered there, and their runs watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class RunState:
    """A run as the orchestrator sees it.

    Attributes:
        run_id: the orchestrator's.
        state: `queued`, `running`, `success` or `failed`.
        triggered: when it was asked for, aware.
    """

    run_id: str
    state: str
    triggered: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in {"success", "failed"}


@dataclass(frozen=True)
class TaskState:
    """One task of a run.

    Attributes:
        task_id: its name in the pipeline.
        state: Airflow's task state; `waiting` before it has one.
        started: when it started, aware; None before.
        ended: when it ended, aware; None before.
        attempt: counts from 1.
    """

    task_id: str
    state: str
    started: datetime | None
    ended: datetime | None
    attempt: int


class Orchestrator(Protocol):
    """Triggers and watches pipelines. All methods may raise UnavailableError."""

    def trigger(self, pipeline: str, parameters: Mapping[str, Any]) -> RunState:
        """Start a run.

        Raises:
            NotFoundError: there is no such pipeline.
            InvalidSpecError: the parameters are refused; carries the orchestrator's words.
        """
        ...

    def run(self, pipeline: str, run_id: str) -> RunState:
        """The state of a run.

        Raises:
            NotFoundError: there is no such run.
        """
        ...

    def tasks(self, pipeline: str, run_id: str) -> Sequence[TaskState]:
        """Every task of a run."""
        ...

    def result(self, pipeline: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task passed on under `key`; None when it passed on nothing."""
        ...

    def log(self, pipeline: str, run_id: str, task_id: str, attempt: int) -> Sequence[str]:
        """The lines a task's attempt has logged, oldest first."""
        ...
