"""Whoever deploys is killed after any call, or gets no answer to it: the next pass ends where it would have, or where it was."""

import itertools
from collections import Counter
from datetime import timedelta

import pytest

from deployment_world import MODEL, SPACE, World
from headrace.errors import HeadraceError, UnavailableError
from headrace.render.seldon import canary_members_of
from headrace.specs.canary import BranchFigures, CanaryFigures, CanarySpec
from headrace.specs.deployment import EventKind, last_live
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


def begin_a_canary(world):
    with_canary(world)
    world.deploy(3)


def look_at_a_canary(world):
    begin_a_canary(world)
    world.history.wait(timedelta(minutes=4))
    world.serving.counted = COUNTED
    world.reconcile()


def take_a_canary_on(world):
    begin_a_canary(world)
    world.history.wait(timedelta(minutes=10))
    world.serving.counted = COUNTED
    world.reconcile()


def take_a_canary_back(world):
    begin_a_canary(world)
    world.history.wait(timedelta(minutes=10))
    world.reconcile()


def end_a_canary_by_a_rollback(world):
    begin_a_canary(world)
    world.rollback(to=1)


COUNTED = CanaryFigures(former=BranchFigures(requests=100, seconds=1), new=BranchFigures(requests=100, seconds=1))


def with_canary(world):
    world.ensemble = world.ensemble.model_copy(update={"canary": CanarySpec(share=0.5, duration=timedelta(minutes=10))})


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


@pytest.mark.parametrize("after", [True, False], ids=["killed", "away"])
@pytest.mark.parametrize(
    ("scenario", "serves"),
    [
        (begin_a_canary, LIVE),
        (look_at_a_canary, LIVE),
        (take_a_canary_on, NEW),
        (take_a_canary_back, LIVE),
        (end_a_canary_by_a_rollback, BEFORE),
    ],
)
def test_the_next_pass_goes_on_with_a_canary_or_ends_it_as_it_would_have_ended(scenario, serves, after):
    """Where the process died before the moment that ends it, the canary is on once the next pass is over, or was not begun."""
    ends = Counter()
    for calls, world in interrupted(scenario, after=after, error=CrashError if after else UnavailableError):
        try:
            found = world.reconcile()
        except HeadraceError:
            assert scenario is take_a_canary_back
        history = world.history.deployments(MODEL)
        tried = {member.alias: member.version for member in canary_members_of(world.serving.get(SPACE, MODEL))}
        on = history[-1].on_trial
        assert tried == (NEW if on else {}), calls
        assert world.live_versions == (last_live(history).request.aliases), calls
        assert world.aliases == (NEW if on else world.live_versions), calls
        assert world.serving.get(SPACE, f"{MODEL}-preview") is None
        assert not on or found.waits, calls
        assert on or world.live_versions in [LIVE, serves], calls
        for each in history:
            kinds = [event.kind for event in each.events if event.kind not in {EventKind.REPAIRED, EventKind.ALIASED}]
            assert len(kinds) == len(set(kinds)), (calls, kinds)
        ends["on" if on else str(history[-1].outcome)] += 1
    assert ends["on"], "it was interrupted while the canary was on"
    if scenario not in {begin_a_canary, look_at_a_canary}:
        assert ends["restored" if scenario is take_a_canary_back else "live"]
