"""Written fakes of tracking and of the launcher. They keep the ports' contracts; the contract suites say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headrace.ports.launcher import LogLine
from headrace.ports.store import ObjectStore
from headrace.specs.training import TrainingJob, TrainingResult


@dataclass
class FakeRun:
    """A run as the fake keeps it."""

    experiment: str
    name: str
    tags: dict[str, str]
    state: str = "RUNNING"
    failure: str | None = None
    pages: dict[str, str] = field(default_factory=dict)


class FakeTracking:
    """`ports.tracking.Tracking` in memory."""

    def __init__(self) -> None:
        self.runs: dict[str, FakeRun] = {}
        self._keys: dict[str, str] = {}

    def open_run(self, *, experiment: str, name: str, key: str, tags: Mapping[str, str]) -> str:
        if key not in self._keys:
            self._keys[key] = f"run-{len(self._keys) + 1}"
            self.runs[self._keys[key]] = FakeRun(experiment, name, dict(tags))
        run = self.runs[self._keys[key]]
        run.state, run.failure = "RUNNING", None
        return self._keys[key]

    def finish_run(self, run_id: str) -> None:
        self.runs[run_id].state = "FINISHED"

    def fail_run(self, run_id: str, reason: str) -> None:
        self.runs[run_id].state = "FAILED"
        self.runs[run_id].failure = reason

    def log_page(self, run_id: str, path: str, html: str) -> str:
        self.runs[run_id].pages[path] = html
        return f"#/runs/{run_id}/artifacts/{path}"


@dataclass
class FakeRunEnding:
    """`ports.tracking.RunEnding` for the runs of a FakeTracking."""

    tracking: FakeTracking

    async def fail_run(self, run_id: str, reason: str) -> None:
        self.tracking.fail_run(run_id, reason)


@dataclass
class FakeLauncher:
    """`ports.launcher.TrainingLauncher` whose workers leave a result at once, or do what `instead` does."""

    store: ObjectStore
    instead: Callable[[], None] | None = None
    environments: list[dict[str, str]] = field(default_factory=list)

    def run(self, job: TrainingJob, *, environment: Mapping[str, str], log: LogLine) -> None:
        self.environments.append(dict(environment))
        log("[worker 0] epoch 1/1")
        if self.instead:
            self.instead()
            return
        result = TrainingResult(
            member=job.name,
            run_id=environment["MLFLOW_RUN_ID"],
            model_uri=f"models:/m-{environment['MLFLOW_RUN_ID']}",
            metrics={
                "validation_accuracy": 0.91,
                "validation_loss": 0.25,
                "test_accuracy": 0.905,
                "images_per_second": 9000.0,
            },
            epochs=job.training.epochs,
        )
        self.store.put_bytes(job.result_key, result.model_dump_json().encode())
