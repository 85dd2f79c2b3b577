"""One embedded stack for the whole end-to-end suite: starting it takes half a minute, and a whole run minutes."""

from dataclasses import dataclass

import pytest

from embedded_stack import temporary_stack
from pipeline_world import RUN_WITHIN_SECONDS, PipelineWorld
from trickle import Trickle
from waiting import wait_for


@pytest.fixture(scope="session")
def stack():
    """A running stack. Whoever kills something in it leaves it healthy."""
    with temporary_stack() as running:
        running.headrace("up")
        yield running


@pytest.fixture(scope="session")
def world(stack):
    """The sample pipeline on it."""
    return PipelineWorld(stack.settings)


@dataclass(frozen=True)
class Beginning:
    """How the first run of an empty installation came to serve.

    Attributes:
        run_id: of the run.
        training: the members that were not trained yet when the first candidate answered.
        trickle: predictions from then until the run's end.
    """

    run_id: str
    training: set[str]
    trickle: Trickle


@pytest.fixture(scope="session")
def beginning(world):
    """A whole run of all members, one epoch each, whose ensemble is asked from its first answer on."""
    run_id = world.trigger(epochs=1)
    wait_for(world.serving, RUN_WITHIN_SECONDS, "the first candidate serves")
    training = {member for member in world.spec.members if world.task(run_id, f"train_{member}").state != "success"}
    with world.trickle() as trickle:
        state, tasks = world.finish(run_id)
    assert state == "success", tasks
    return Beginning(run_id, training, trickle)


@pytest.fixture(scope="session")
def first_run(beginning):
    """The first run's id."""
    return beginning.run_id
