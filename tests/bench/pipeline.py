"""What the cache saves a person who triggers the pipeline: the time until the first training task starts, cold and cached.

Most of what remains is Airflow's own: scheduling a task, starting its process and parsing the DAG file, about two seconds a task.
The work inside the dataset tasks is measured by itself in `bench.ingest` (`memo.work_speedup`).
"""

from __future__ import annotations

from bench.rows import Row, row
from embedded_stack import RunningStack, temporary_stack
from headrace.bootstrap import Platform
from waiting import wait_for

PIPELINE = "fashion_mnist"
_RUN_WITHIN_SECONDS = 300


def rows() -> list[Row]:
    """Trigger the pipeline twice on a new stack; the second run finds the dataset fresh."""
    with temporary_stack() as stack:
        stack.headrace("up")
        cold_total, cold_tasks = _run(stack)
        cached_total, cached_tasks = _run(stack)
    return [
        row("pipeline.trigger_to_training_cold_s", cold_total, "s", better="lower"),
        row(
            "pipeline.trigger_to_training_cached_s",
            cached_total,
            "s",
            better="lower",
            against="cold",
            ratio=cached_total / cold_total,
        ),
        row("pipeline.dataset_tasks_cold_s", cold_tasks, "s", better="lower"),
        row(
            "pipeline.dataset_tasks_cached_s",
            cached_tasks,
            "s",
            better="lower",
            against="cold",
            ratio=cached_tasks / cold_tasks,
        ),
    ]


def _run(stack: RunningStack) -> tuple[float, float]:
    """Seconds from trigger to the first training task's start, and those its dataset tasks ran (process start included)."""
    orchestrator = Platform(stack.settings).orchestrator
    parameters = {"epochs": 1, "members": ["cnn"], "ensemble_size": 1}
    run_id = orchestrator.trigger(PIPELINE, parameters).run_id
    wait_for(lambda: orchestrator.run(PIPELINE, run_id).ended, _RUN_WITHIN_SECONDS, "the run ends")
    run = orchestrator.run(PIPELINE, run_id)
    assert run.state == "success"
    tasks = {task.task_id: task for task in orchestrator.tasks(PIPELINE, run_id)}
    training, triggered = tasks["train_cnn"].started, run.triggered
    assert training
    assert triggered
    dataset = [tasks[name] for name in ("is_stale", "ingest", "dataset")]
    ran = sum((task.ended - task.started).total_seconds() for task in dataset if task.started and task.ended)
    return (training - triggered).total_seconds(), ran
