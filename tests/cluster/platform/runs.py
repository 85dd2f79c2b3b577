"""Runs of a pipeline on the cluster: started through Airflow's REST API, waited for, and looked into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace.adapters.airflow_api import AirflowApi
from headrace.ports.orchestrator import TaskState
from waiting import wait_for

PIPELINE = "fashion_mnist"
SMALL = {"members": ["cnn"], "ensemble_size": 1}
"""Parameters of a run of one member."""


@dataclass(frozen=True)
class Run:
    """One run of the sample pipeline."""

    airflow: AirflowApi
    run_id: str

    @classmethod
    def start(cls, airflow: AirflowApi, **parameters: Any) -> Run:
        """Trigger it."""
        return cls(airflow, airflow.trigger(PIPELINE, parameters).run_id)

    def tasks(self) -> dict[str, TaskState]:
        """Its tasks by name."""
        return {task.task_id: task for task in self.airflow.tasks(PIPELINE, self.run_id)}

    def states(self) -> dict[str, str]:
        """Its tasks' states by name."""
        return {name: task.state for name, task in self.tasks().items()}

    def await_success(self, within: float = 900) -> None:
        """Wait until it has succeeded; the log of a task that failed is in the error."""
        state = wait_for(self._ended, within=within, what=f"{self.run_id} ends: {self.states()}")
        assert state == "success", self._why_failed()

    def await_state(self, task: str, *states: str, within: float = 300) -> None:
        """Wait until a task is in one of these states."""
        wait_for(lambda: self.states()[task] in states, within=within, what=f"{task} is {' or '.join(states)}: {self.states()}")

    def await_epoch(self) -> None:
        """Wait until the training of a small run has a checkpoint to go on from."""

        def has_progress() -> bool:
            return "epoch 1" in self.log("train_cnn").lower() if self.states()["train_cnn"] != "waiting" else False

        wait_for(has_progress, within=300, what=f"the first epoch is over: {self.states()}")

    def result(self, task: str, key: str = "return_value") -> Any:
        """What a task passed on."""
        return self.airflow.result(PIPELINE, self.run_id, task, key)

    def log(self, task: str, attempt: int | None = None) -> str:
        """What a task's attempt logged, the last one's unless said otherwise."""
        number = attempt or self.tasks()[task].attempt
        return "\n".join(self.airflow.log(PIPELINE, self.run_id, task, number))

    def _ended(self) -> str | None:
        run = self.airflow.run(PIPELINE, self.run_id)
        return run.state if run.ended else None

    def _why_failed(self) -> str:
        states = self.states()
        logs = [f"--- {name}\n{self.log(name)[-3000:]}" for name, state in states.items() if state == "failed"]
        return "\n".join([str(states), *logs])
