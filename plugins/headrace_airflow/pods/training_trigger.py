"""The trigger that follows a training Job in the triggerer, beside all others, while its task holds no worker slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseTrigger, TriggerEvent
from airflow.utils.state import TaskInstanceState

from headrace.bootstrap import Platform
from headrace.errors import HeadraceError
from headrace.specs.training import TrainingJob
from headrace_airflow.pods import outcome


class TrainingJobTrigger(BaseTrigger):
    """Admits a Job, passes its workers' output on to the task's log, and fires when it has ended.

    A triggerer that restarts leaves the Job alone: the next one goes on where the logs stopped. Airflow calls `on_kill` when a
    person clears or marks the task or deletes its run; the Job goes then.

    Args:
        job: a `TrainingJob` as JSON-like data.
        owner: the try of the task; see `ports.worker_pods.WorkerPods.claim`.
    """

    def __init__(self, *, job: dict[str, Any], owner: str) -> None:
        super().__init__()
        self.job = job
        self.owner = owner

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What makes the trigger anew in another process."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"job": self.job, "owner": self.owner}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow the Job to its end."""
        try:
            await Platform().follow_training(TrainingJob.model_validate(self.job), log=self._log_line)
        except HeadraceError as error:
            yield TriggerEvent(outcome.failed(error))
        else:
            yield TriggerEvent(outcome.ended_well())

    async def on_kill(self) -> None:
        """Take the Job away, unless the task is still deferred: then another triggerer has taken over, and follows it now."""
        if await asyncio.to_thread(self._is_deferred):
            self._log_line("another triggerer has taken over")
            return
        await Platform().stop_training(TrainingJob.model_validate(self.job), owner=self.owner, log=self._log_line)

    def _is_deferred(self) -> bool:
        """Whether the task waits for a trigger; it does not when its run is deleted."""
        task = self.task_instance
        states = RuntimeTaskInstance.get_task_states(
            dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], map_index=task.map_index
        )
        return states.get(task.run_id, {}).get(task.task_id) == TaskInstanceState.DEFERRED

    def _log_line(self, line: str) -> None:
        self.log.info("%s", line)
