"""From a moved alias to answers of the new version, on the embedded stack and under load; and the same by a rollback."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from bench.rows import Row, row
from embedded_stack import RunningStack, temporary_stack
from headrace.specs.deployment import EventKind
from pipeline_world import MODEL, PipelineWorld
from waiting import wait_for

MOVES = 10
ROLLBACKS = 3
CALLERS = 4
_PAUSE_SECONDS = 0.02
_WITHIN_SECONDS = 120
_IMAGES = np.zeros((1, 28, 28), int)


def rows() -> list[Row]:
    """Move one slot's alias to and fro while callers ask, then roll back."""
    with temporary_stack() as stack:
        stack.headrace("up")
        world = PipelineWorld(stack.settings)
        versions = _two_versions(world)
        with world.trickle(callers=CALLERS, pause=_PAUSE_SECONDS) as trickle:
            moved = [_seconds(world, versions[move % 2], lambda to=versions[move % 2]: _move(world, to)) for move in range(MOVES)]
            back = [_roll_back(stack, world) for _ in range(ROLLBACKS)]
    return [
        row("promote.alias_to_live_s", statistics.median(moved), "s", better="lower"),
        row("promote.alias_to_live_worst_s", max(moved), "s", better="lower"),
        row("promote.rollback_to_live_s", statistics.median(back), "s", better="lower"),
        row("promote.requests", trickle.asked, "requests", better="higher"),
        row("promote.failed_requests", len(trickle.failures), "requests", better="lower"),
    ]


def _two_versions(world: PipelineWorld) -> list[int]:
    """Two versions in the registry, the second of which serves alone."""
    state, _ = world.finish(world.trigger(epochs=1, members=["cnn", "cnn_dropout"], ensemble_size=1))
    assert state == "success"
    serving = world.serving().request.versions[0]
    other = next(
        int(each.version) for each in world.mlflow.search_model_versions(f"name = '{MODEL}'") if int(each.version) != serving
    )
    return [other, serving]


def _move(world: PipelineWorld, version: int) -> None:
    world.mlflow.set_registered_model_alias(MODEL, "slot-1", str(version))


def _seconds(world: PipelineWorld, version: int, act: Callable[[], None]) -> float:
    """From the act to the first answer of the version. Returns when all of that is settled."""
    begun = time.perf_counter()
    act()
    wait_for(lambda: world.answering(_IMAGES) == [version], _WITHIN_SECONDS, f"version {version} answers")
    seconds = time.perf_counter() - begun
    wait_for(lambda: world.history()[-1].outcome is EventKind.LIVE, _WITHIN_SECONDS, "its revision is live")
    return seconds


def _roll_back(stack: RunningStack, world: PipelineWorld) -> float:
    """To the revision before, whose versions are released again for the next time."""
    former = [each for each in world.history() if each.live][-2]
    arguments = ("rollback", "fashion-mnist", "--to", str(former.revision), "--why", "measured")
    seconds = _seconds(world, former.request.versions[0], lambda: stack.headrace(*arguments))
    for version in world.serving().request.rejects:
        stack.headrace("release", "fashion-mnist", str(version))
    return seconds
