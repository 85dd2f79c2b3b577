"""Whoever deploys is killed after any call, or gets no answer to it: the next pass ends where it would have, or where it was."""

import itertools

import pytest

from deployment_world import MODEL, SPACE, World
from headrace.errors import HeadraceError, UnavailableError
from headrace.specs.deployment import last_live
from headrace.usecases.deploy.desired import is_slot, unreconciled
from mortal import CrashError, Life


def promote(world):
    world.deploy(3)


def roll_back(world):
    world.rollback()


def move_an_alias(world):
    world.registry.set_alias(MODEL, "slot-2", 3)
    world.reconcile()


def delete_all_aliases(world):
    for alias in world.aliases:
        world.registry.delete_alias(MODEL, alias)
    world.reconcile()


def delete_the_graph(world):
    world.serving.delete(SPACE, MODEL)
    world.reconcile()


def delete_a_version(world):
    world.registry.delete_version(MODEL, 2)
    world.reconcile()


def promote_what_does_not_start(world):
    world.serving.broken.add(3)
    world.deploy(3)


def promote_what_answers_otherwise_when_it_is_live(world):
    world.serving.skewed[MODEL] = 1e-3
    world.deploy(3)


def promote_what_is_not_there(world):
    world.deploy(1, 99)


GOOD = [promote, roll_back, move_an_alias, delete_all_aliases, delete_the_graph, delete_a_version]
BAD = [promote_what_does_not_start, promote_what_answers_otherwise_when_it_is_live, promote_what_is_not_there]
BEFORE, LIVE, NEW = {"slot-1": 1}, {"slot-1": 1, "slot-2": 2}, {"slot-1": 3}
DESIRED = {promote: NEW, roll_back: BEFORE, move_an_alias: {"slot-1": 1, "slot-2": 3}}


def deployed(life):
    """Revision 1 served version 1; revision 2 serves 1 and 2; 3 is registered."""
    world = World(life.between)
    for name in "abc":
        world.register(name)
    world.deploy(1)
    world.deploy(1, 2, weights=[2.0, 1.0])
    return world


def interrupted(scenario, *, after, error):
    """For each call that the scenario makes, a world in which its process ended with that one."""
    for calls in itertools.count():
        life = Life()
        world = deployed(life)
        life.end_with(calls, after=after, error=error)
        ended = False
        try:
            scenario(world)
        except (CrashError, HeadraceError):
            ended = life.calls_left is None
        life.reset()
        if not ended:
            assert calls > 3, "the scenario was interrupted nowhere"
            return
        yield calls, world


# Killed before a call is killed after the one before it.
@pytest.mark.parametrize(
    ("after", "error"),
    [(True, CrashError), (False, UnavailableError), (True, UnavailableError)],
    ids=["killed", "away", "answer lost"],
)
@pytest.mark.parametrize("scenario", GOOD + BAD)
def test_the_next_pass_ends_in_the_desired_or_the_last_good_state(scenario, after, error):
    possible = [LIVE] if scenario in BAD else [DESIRED.get(scenario, LIVE)]
    for calls, world in interrupted(scenario, after=after, error=error):
        asked = len(world.history.deployments(MODEL)) > 2
        try:
            world.reconcile()
        except HeadraceError:
            assert scenario in BAD
        history = world.history.deployments(MODEL)
        wanted = possible if asked or scenario is move_an_alias else [LIVE]
        assert world.live_versions in wanted, calls
        assert last_live(history).request.aliases == world.live_versions, calls
        assert world.serving.get(SPACE, f"{MODEL}-preview") is None
        slots = {alias: version for alias, version in world.aliases.items() if is_slot(alias)}
        assert slots == ({"slot-1": 1} if scenario is delete_a_version else world.live_versions), calls
        assert unreconciled(history, world.aliases) == ""
        assert world.reconcile().done == ()


def test_what_was_put_back_is_said_however_often_the_process_is_killed():
    for calls, world in interrupted(delete_all_aliases, after=True, error=CrashError):
        world.reconcile()
        assert [str(event.kind) for event in world.history.deployment(MODEL, 2).events][3:] == ["repaired", "aliased"], calls
