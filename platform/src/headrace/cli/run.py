"""`headrace run PIPELINE`: trigger a pipeline and follow it to its end."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from headrace.errors import HeadraceError
from headrace.specs.pipeline import PipelineSpec, RunRequest, load_pipeline

if TYPE_CHECKING:
    from headrace.bootstrap import Platform
    from headrace.ports.orchestrator import TaskState
    from headrace.specs.training import TrainingProgress
    from headrace.usecases.watch import Snapshot

_POLL_SECONDS = 1.0
_COLOURS = {"success": "green", "failed": "red", "upstream_failed": "red", "skipped": "yellow", "running": "cyan"}
_LOG_LINES = 25


class RunFailedError(HeadraceError):
    """The followed run ended without success."""


def run(
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name, as in dags/NAME.yaml.")],
    force_refresh: Annotated[bool, typer.Option("--force-refresh", help="Ingest even if the cached dataset is fresh.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each member.")] = None,
    workers: Annotated[int | None, typer.Option(help="Workers of each training job.")] = None,
    member: Annotated[list[str] | None, typer.Option(help="Train only this member; may be repeated.")] = None,
    ensemble_size: Annotated[int | None, typer.Option(help="How many of the best serve together.")] = None,
    wait: Annotated[bool, typer.Option(help="Follow the run to its end.")] = True,
) -> None:
    """Trigger a pipeline and show its progress; exit code 1 when it fails."""
    from headrace.bootstrap import Platform

    platform = Platform()
    spec = load_pipeline(pipeline_file(platform.settings.project, pipeline))
    chosen = {
        "force_refresh": force_refresh,
        "epochs": epochs,
        "workers": workers,
        "members": member or None,
        "ensemble_size": ensemble_size,
    }
    parameters = {key: value for key, value in chosen.items() if value is not None}
    RunRequest.parse(spec, {**RunRequest.defaults(spec).model_dump(), **parameters})
    console = Console()
    started = platform.orchestrator.trigger(spec.name, parameters)
    address = f"{platform.settings.airflow()}/dags/{spec.name}/runs/{started.run_id}"
    console.print(f"{spec.name}: run [bold]{started.run_id}[/] at {address}", soft_wrap=True)
    if wait:
        follow(platform, spec, started.run_id, console)


def pipeline_file(project: Path, pipeline: str) -> Path:
    """The YAML file of a pipeline; dashes and underscores are the same to a person."""
    return project / "dags" / f"{pipeline.replace('-', '_')}.yaml"


def follow(platform: Platform, spec: PipelineSpec, run_id: str, console: Console) -> None:
    """Show the run until it ends.

    Raises:
        RunFailedError: it failed; carries the failed task's last log lines.
    """
    from headrace.usecases.watch import observe

    display = _RunDisplay(console)
    with display.progress:
        while True:
            snapshot = observe(spec, run_id, orchestrator=platform.orchestrator, store=platform.store)
            display.show(snapshot)
            if snapshot.run.ended:
                break
            time.sleep(_POLL_SECONDS)
    if snapshot.run.state != "success":
        raise _failure(platform, spec, run_id, snapshot)


class _RunDisplay:
    """One line a task: on a terminal they are redrawn, elsewhere each change is printed."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[detail]}"),
            TextColumn("{task.fields[elapsed]}", justify="right"),
            console=console,
            disable=not console.is_terminal,
        )
        self._console = console
        self._rows: dict[str, TaskID] = {}
        self._printed: dict[str, tuple[str, int]] = {}

    def show(self, snapshot: Snapshot) -> None:
        for task in snapshot.tasks:
            progress = snapshot.progress.get(task.task_id)
            if self.progress.disable:
                self._print(task, progress)
            else:
                self._redraw(task, progress)

    def _redraw(self, task: TaskState, progress: TrainingProgress | None) -> None:
        row = self._rows.get(task.task_id)
        if row is None:
            row = self._rows[task.task_id] = self.progress.add_task(task.task_id, total=1, detail="", elapsed="")
        colour = _COLOURS.get(task.state, "dim")
        fields: dict[str, Any] = {
            "description": f"[{colour}]{task.task_id:<22} {task.state:<10}[/]",
            "detail": _detail(progress),
            "elapsed": elapsed(task, datetime.now(UTC)),
        }
        if progress:
            fields |= {"total": progress.epochs, "completed": progress.epoch + progress.step / max(progress.steps, 1)}
        elif task.ended:
            fields |= {"completed": 1}
        self.progress.update(row, **fields)

    def _print(self, task: TaskState, progress: TrainingProgress | None) -> None:
        """A line whenever the task's state or its epoch changes."""
        seen = (task.state, progress.epoch if progress else 0)
        if task.state != "waiting" and self._printed.get(task.task_id) != seen:
            detail = f" · {_detail(progress)}" if progress and progress.epoch else ""
            self._console.print(f"{task.task_id}: {task.state}{detail}", highlight=False, soft_wrap=True)
            self._printed[task.task_id] = seen


def elapsed(task: TaskState, now: datetime) -> str:
    """How long the task has run, or ran: `5 s`, `1 min 05 s`; nothing before it starts."""
    if task.started is None:
        return ""
    minutes, seconds = divmod(int(((task.ended or now) - task.started).total_seconds()), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def _detail(progress: TrainingProgress | None) -> str:
    if progress is None:
        return ""
    shown = f"epoch {progress.epoch}/{progress.epochs} · {progress.images_per_second:,.0f} images/s"
    accuracy = progress.metrics.get("validation_accuracy")
    return f"{shown} · validation accuracy {accuracy:.4f}" if accuracy is not None else shown


def _failure(platform: Platform, spec: PipelineSpec, run_id: str, snapshot: Snapshot) -> RunFailedError:
    failed = [task for task in snapshot.tasks if task.state == "failed"]
    lines = platform.orchestrator.log(spec.name, run_id, failed[0].task_id, failed[0].attempt) if failed else []
    names = ", ".join(task.task_id for task in failed) or "no task of its own"
    return RunFailedError(
        f"the run failed in {names}:\n" + "\n".join(lines[-_LOG_LINES:]),
        where=run_id,
        remedy=f"The whole log: {platform.settings.airflow()}/dags/{spec.name}/runs/{run_id}",
    )
