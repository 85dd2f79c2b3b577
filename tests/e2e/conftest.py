"""One embedded stack for the whole end-to-end suite: starting it takes half a minute, and a whole run minutes."""

import pytest

from embedded_stack import temporary_stack
from pipeline_world import PipelineWorld


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


@pytest.fixture(scope="session")
def first_run(world):
    """A whole run of all members, one epoch each."""
    run_id = world.trigger(epochs=1)
    state, tasks = world.finish(run_id)
    assert state == "success", tasks
    return run_id
