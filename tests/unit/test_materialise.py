"""Materialising while tasks die and their steps go on: never two steps at once, nothing removed that is being written."""

import threading

import pytest

from fakes import FakeSteps, TaskDiedError
from headrace.errors import StepFailedError
from headrace.usecases.recovery import recover
from ingest_world import IngestWorld


class Pause:
    """A progress callback: the step says that it writes, and goes on when it may; only the first time."""

    def __init__(self):
        self.writing, self.go_on = threading.Event(), threading.Event()

    def __call__(self, _done, _total):
        self.writing.set()
        assert self.go_on.wait(30)


@pytest.fixture
def world(tmp_path):
    return IngestWorld(tmp_path)


@pytest.fixture
def orphan(world):
    """A step of run r1 that writes, and whose task has died; forced when the clock stood at `orphan.asked`."""
    world.progress = pause = Pause()
    pause.asked = world.clock()
    world.steps.dies = lambda: pause.writing.wait(30)
    with pytest.raises(TaskDiedError):
        world.materialise(run="r1", newer_than=pause.asked)
    assert world.stored(), "it is writing"
    return pause


def let_go_soon(pause):
    threading.Timer(0.1, pause.go_on.set).start()


def test_the_retry_of_a_killed_task_waits_for_the_step_and_uses_what_it_made(world, orphan):
    let_go_soon(orphan)
    world.clock.pass_time(minutes=2)
    result = world.materialise(run="r1", newer_than=orphan.asked)
    assert world.steps.started == ["r1"]
    assert world.catalogue.versions("shoes") == [result.version]
    assert world.check(full=True).fresh


def test_a_retry_that_comes_after_the_step_has_ended_uses_what_it_made(world, orphan):
    orphan.go_on.set()
    world.steps.await_earlier(world.step(), log=world.log.append)
    world.clock.pass_time(minutes=2)
    result = world.materialise(run="r1", newer_than=orphan.asked)
    assert result.cached
    assert world.steps.started == ["r1"]


def test_another_run_leaves_alone_what_is_being_written_and_uses_it(world, orphan):
    half = world.stored()
    let_go_soon(orphan)
    result = world.materialise(run="r2")
    assert result.cached
    assert set(half) < set(world.stored()), "nothing was removed"
    assert world.steps.started == ["r1"]
    assert world.log == ["waiting for an earlier ingest"]


def test_a_run_that_is_forced_later_makes_its_own(world, orphan):
    orphan.go_on.set()
    world.steps.await_earlier(world.step(), log=world.log.append)
    world.clock.pass_time(seconds=1)
    result = world.materialise(run="r2", newer_than=world.clock())
    assert (result.cached, result.reason) == (False, "stale: refresh was forced")
    assert world.steps.started == ["r1", "r2"]
    assert len(world.catalogue.versions("shoes")) == 2


def test_a_step_that_fails_while_its_task_is_dead_is_followed_by_another(world, orphan):
    world.store.put_file = failing
    let_go_soon(orphan)
    orphan_ended = world.steps.await_earlier

    def then_mend(step, *, log):
        orphan_ended(step, log=log)
        del world.store.put_file

    world.steps.await_earlier = then_mend
    result = world.materialise(run="r1", newer_than=orphan.asked)
    assert not result.cached
    assert world.steps.started == ["r1", "r1"]
    assert all(key.startswith(result.version.location) for key in world.stored()), "what the failed one left is gone"


def failing(key, path):
    raise OSError("no space left")


def test_a_step_wrongly_taken_for_dead_harms_only_itself(world, orphan):
    recover("shoes", store=world.store, catalogue=world.catalogue)  # as after its pod was removed by force
    orphan.go_on.set()
    world.steps.await_earlier(world.step(), log=world.log.append)
    assert any(key.endswith("manifest.json") for key in world.stored())
    result = world.ingest(run="r2")
    assert not result.cached
    assert world.catalogue.versions("shoes") == [result.version]
    assert all(key.startswith(result.version.location) for key in world.stored())


def test_a_step_without_a_result_is_an_error_that_names_the_likely_cause(tmp_path):
    world = IngestWorld(tmp_path, steps=SilentSteps(None, None))
    with pytest.raises(StepFailedError, match=r"left no result.*same store"):
        world.ingest()
    assert world.catalogue.latest("shoes") is None


class SilentSteps(FakeSteps):
    def run(self, step, *, log):
        """End well, without a word."""


def test_no_step_is_started_for_a_fresh_version(world):
    world.ingest(run="r1")
    assert world.ingest(run="r2").cached
    assert world.steps.started == ["r1"]
