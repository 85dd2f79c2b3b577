"""The trigger that follows a training Job in the triggerer, beside all others, while its task holds no worker slot."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseTrigger, TriggerEvent
from airflow.utils.state import TaskInstanceState

from headrace.bootstrap import Platform
from headrace.errors import HeadraceError
from headrace.specs.training import TrainingJob
from headrace_airflow.pods import outcome

KILL_WITHIN_SECONDS = 120.0
"""For a Job to be taken away: its pods are given three seconds, but the first question to Airflow may take it half a minute."""


class TrainingJobTrigger(BaseTrigger):
    """Admits a Job, passes its workers' output on to the task's log, and fires when it has ended.

    A triggerer that restarts leaves the Job alone: the next one goes on where the logs stopped. Airflow calls `on_kill` when a
    person clears or marks the task or deletes its run; the Job goes then.

    Args:
        job: a `TrainingJob` as JSON-like data.
        run_id: the job's MLflow run.
        owner: the try of the task; see `ports.worker_pods.WorkerPods.claim`.
    """

    def __init__(self, *, job: dict[str, Any], run_id: str, owner: str) -> None:
        super().__init__()
        self.job = job
        self.run_id = run_id
        self.owner = owner

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What makes the trigger anew in another process."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "job": self.job,
            "run_id": self.run_id,
            "owner": self.owner,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow the Job to its end."""
        try:
            await Platform().follow_training(TrainingJob.model_validate(self.job), log=self._log_line)
        except HeadraceError as error:
            yield TriggerEvent(outcome.failed(error))
        else:
            yield TriggerEvent(outcome.ended_well())

    async def on_kill(self) -> None:
        """Take the Job away, unless the task is still deferred: then another triggerer has taken over, and follows it now.

        Airflow cancels a killed trigger again with every heartbeat until it has ended, this call included. So the work stands
        in a task of its own, and what comes meanwhile is not heard.
        """
        work = asyncio.create_task(self._take_away())
        until = time.monotonic() + KILL_WITHIN_SECONDS
        while not work.done() and time.monotonic() < until:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([work], timeout=until - time.monotonic())
        if work.done():
            work.result()
        else:
            work.cancel()
            self._log_line(f"the job could not be taken away within {KILL_WITHIN_SECONDS:.0f} s; it ends at its own deadline")

    async def _take_away(self) -> None:
        if await asyncio.to_thread(self._is_deferred):
            self._log_line("another triggerer has taken over")
            return
        job = TrainingJob.model_validate(self.job)
        await Platform().stop_training(job, run_id=self.run_id, owner=self.owner, log=self._log_line)

    def _is_deferred(self) -> bool:
        """Whether the task waits for a trigger; it does not when its run is deleted."""
        task = self.task_instance
        states = RuntimeTaskInstance.get_task_states(
            dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], map_index=task.map_index
        )
        return states.get(task.run_id, {}).get(task.task_id) == TaskInstanceState.DEFERRED

    def _log_line(self, line: str) -> None:
        self.log.info("%s", line)
