"""Following a run: what is read of it, and what a person is shown where nothing can be redrawn."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from builders import pipeline
from fakes import FakeStore
from headrace.cli.run import _RunDisplay, elapsed
from headrace.ports.orchestrator import RunState, TaskState
from headrace.specs.training import TrainingProgress
from headrace.usecases.watch import observe

STARTED = datetime(2026, 11, 21, 11, tzinfo=UTC)
RUN = "manual__2026-11-21T11:00:00+00:00"
KEY = "runs/shoes/manual__2026-11-21T11-00-00-00-00/train.second/progress.json"


class OneRun:
    """An orchestrator that knows one run, whose tasks come in no order."""

    def __init__(self, *tasks):
        self._tasks = tasks

    def run(self, pipeline, run_id):
        return RunState(run_id=run_id, state="running")

    def tasks(self, pipeline, run_id):
        return self._tasks


def task(task_id, state):
    return TaskState(task_id=task_id, state=state, started=STARTED if state != "waiting" else None, ended=None, attempt=1)


def progress(epoch, **metrics):
    return TrainingProgress(epoch=epoch, epochs=3, step=1, steps=4, images_per_second=8000.4, metrics=metrics)


@pytest.fixture
def store():
    store = FakeStore()
    store.put_bytes(KEY, progress(1, validation_accuracy=0.8125).model_dump_json().encode())
    return store


def look(store, *tasks):
    return observe(pipeline(), RUN, orchestrator=OneRun(*tasks), store=store)


def test_tasks_come_in_the_order_they_run_with_the_progress_of_those_that_train(store):
    order = ["is_stale", "train_second", "gate_first", "gate_second", "approve_first", "join_first", "promote"]
    snapshot = look(store, *(task(name, "waiting") for name in reversed(order)))
    assert [each.task_id for each in snapshot.tasks] == order
    assert set(snapshot.progress) == {"train_second"}
    assert snapshot.progress["train_second"].epoch == 1


def test_a_progress_that_cannot_be_read_is_none(store):
    store.put_bytes(KEY, b"{")
    assert look(store, task("train_second", "running")).progress == {}


def test_each_change_is_one_line_where_nothing_can_be_redrawn(store):
    output = io.StringIO()
    display = _RunDisplay(Console(file=output))
    training = task("train_second", "running")
    display.show(look(store, training, task("promote", "waiting")))
    display.show(look(store, training, task("promote", "waiting")))
    store.put_bytes(KEY, progress(2, validation_accuracy=0.9).model_dump_json().encode())
    display.show(look(store, training, task("promote", "waiting")))
    assert output.getvalue().splitlines() == [
        "train_second: running · epoch 1/3 · 8,000 images/s · validation accuracy 0.8125",
        "train_second: running · epoch 2/3 · 8,000 images/s · validation accuracy 0.9000",
    ]


def test_a_task_is_timed_by_its_own_clock():
    running = task("ingest", "running")
    assert elapsed(running, STARTED + timedelta(seconds=65)) == "1 min 05 s"
    assert elapsed(replace(running, ended=STARTED + timedelta(seconds=5)), STARTED + timedelta(hours=1)) == "5 s"
    assert elapsed(task("promote", "waiting"), STARTED) == ""


def test_on_a_terminal_every_task_has_a_line_with_its_bar(store):
    output = io.StringIO()
    display = _RunDisplay(Console(file=output, force_terminal=True, width=140))
    with display.progress:
        display.show(look(store, task("is_stale", "success"), task("train_second", "running"), task("promote", "waiting")))
    (bar,) = [row for row in display.progress.tasks if "train_second" in row.description]
    assert (bar.completed, bar.total) == (1.25, 3)
    assert "validation accuracy 0.8125" in output.getvalue()
