"""Watching a run: the orchestrator's tasks, and how far each training job is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from headrace.errors import NotFoundError
from headrace.ports.orchestrator import Orchestrator, RunState, TaskState
from headrace.ports.store import ObjectStore
from headrace.specs.pipeline import APPROVAL_TASK, GATE_TASK, JOIN_TASK, TRAINING_TASK, PipelineSpec
from headrace.specs.step import run_name
from headrace.specs.training import TrainingProgress, job_prefix, progress_key


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        run: its state.
        tasks: in the order they run.
        progress: by task id, for training tasks that have begun.
    """

    run: RunState
    tasks: Sequence[TaskState]
    progress: dict[str, TrainingProgress]


def observe(spec: PipelineSpec, run_id: str, *, orchestrator: Orchestrator, store: ObjectStore) -> Snapshot:
    """Look at a run once."""
    run = orchestrator.run(spec.name, run_id)
    tasks = sorted(orchestrator.tasks(spec.name, run_id), key=lambda task: _position(spec, task.task_id))
    progress = {
        task.task_id: found
        for task in tasks
        if task.task_id.startswith(TRAINING_TASK) and (found := _progress(spec, run_id, task.task_id, store))
    }
    return Snapshot(run=run, tasks=tasks, progress=progress)


def _progress(spec: PipelineSpec, run_id: str, task_id: str, store: ObjectStore) -> TrainingProgress | None:
    member = task_id.removeprefix(TRAINING_TASK)
    try:
        content = store.get_bytes(progress_key(job_prefix(spec.name, run_name(run_id), member)))
        return TrainingProgress.model_validate_json(content)
    except (NotFoundError, ValidationError):
        return None


def _position(spec: PipelineSpec, task_id: str) -> int:
    phases = (TRAINING_TASK, GATE_TASK, APPROVAL_TASK, JOIN_TASK)
    order = ["is_stale", "ingest", "dataset", *(phase + member for phase in phases for member in spec.members), "promote"]
    return order.index(task_id) if task_id in order else len(order)
