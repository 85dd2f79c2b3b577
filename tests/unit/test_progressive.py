"""Serving progressively: who may join what serves, before the final choice, and what becomes of one that cannot."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from builders import verdict
from deployment_world import MODEL, World
from fakes import FakeLocks
from headrace.errors import DeploymentFailedError
from headrace.specs.deployment import DeploymentRequest, EventKind, Origin, Slot
from headrace.specs.serving import Progressive
from headrace.specs.step import JoinStep
from headrace.usecases.progressive import Joiner, failed_to_join


class Joining(World):
    """A world whose candidates may join."""

    def __init__(self):
        super().__init__()
        self.mode = Progressive.FIRST
        self.joiner = Joiner(registry=self.registry, history=self.history, reconciler=self.reconciler, locks=FakeLocks())

    def step(self, candidate, *, run="r", size=2):
        ensemble = self.ensemble.model_copy(update={"progressive": self.mode})
        return JoinStep(
            pipeline=self.pipeline.model_copy(update={"ensemble": ensemble}),
            run=run,
            candidate=candidate,
            verdict=verdict(candidate.version),
            size=size,
            who="ada",
        )

    def join(self, member, **options):
        """Register a version and have it join; returns the version and what became of it."""
        candidate = self.candidate(member, 0.9)
        return candidate.version, self.joiner.join(self.step(candidate, **options))


@pytest.fixture
def world():
    return Joining()


def test_the_first_that_passes_serves_at_once_and_the_next_one_beside_it(world):
    first, result = world.join("first")
    assert (result.revision, result.reason) == (1, "nothing else serves")
    assert world.live_versions == {"slot-1": first}
    second, result = world.join("second")
    assert (result.revision, result.reason) == (2, "slot-2 is free beside the members of revision 1")
    assert world.live_versions == world.aliases == {"slot-1": first, "slot-2": second}


def test_the_history_says_which_candidate_joined_and_what_its_gate_said(world):
    version, _ = world.join("first", run="r7")
    request = world.history.deployment(MODEL, 1).request
    assert (request.origin, request.run, request.who) == (Origin.JOIN, "r7", "ada")
    assert request.why == f"first (version {version}) passed its gate; nothing else serves"
    assert request.verdicts == {str(version): verdict(version).model_dump(mode="json")}


def test_no_more_join_than_may_serve(world):
    world.join("first")
    world.join("second")
    before = world.live_versions
    _, result = world.join("third")
    assert (result.revision, result.reason) == (None, "revision 2 is full")
    assert world.live_versions == before


def test_joining_again_changes_nothing(world):
    candidate = world.candidate("first", 0.9)
    world.joiner.join(world.step(candidate))
    again = world.joiner.join(world.step(candidate))
    assert (again.revision, again.reason) == (None, "it serves already, as a member of revision 1")


def test_what_serves_already_serves_until_the_final_choice(world):
    world.deploy(world.register("former"))
    before = world.live_versions
    _, result = world.join("first")
    assert (result.revision, result.reason) == (None, "revision 1 serves until the final choice")
    assert world.live_versions == before


def test_the_candidates_of_another_run_wait_although_there_is_room(world):
    world.join("first", run="yesterday")
    _, result = world.join("second", run="today")
    assert (result.revision, result.reason) == (None, "revision 1 serves until the final choice")


def test_what_serves_from_before_there_was_a_history_is_not_thrown_out(world):
    former = world.register("former")
    world.registry.set_alias(MODEL, "slot-1", former)
    _, result = world.join("first")
    assert result.revision is None
    assert world.live_versions == {"slot-1": former}


def test_nobody_joins_where_the_pipeline_says_never(world):
    world.mode = Progressive.NEVER
    _, result = world.join("first")
    assert (result.revision, result.reason) == (None, "what serves changes by the final choice alone")
    assert world.history.deployments(MODEL) == []


def test_where_it_says_always_candidates_take_the_places_of_former_members_from_the_last_one_on(world):
    world.mode = Progressive.ALWAYS
    former, other = world.register("former"), world.register("other")
    world.deploy(former, other, weights=[3.0, 1.0])
    first, result = world.join("first")
    assert result.reason == f"it takes slot-2 of version {other}, which serves in revision 1 from before the run"
    assert world.live_versions == {"slot-1": former, "slot-2": first}
    assert {member.weight for member in world.live_members} == {1.0}
    second, _ = world.join("second")
    assert world.live_versions == {"slot-1": second, "slot-2": first}
    _, result = world.join("third")
    assert (result.revision, result.reason) == (None, "revision 3 is full")


def test_a_version_that_a_rollback_rejected_does_not_join(world):
    world.mode = Progressive.ALWAYS
    world.deploy(world.register("former"))
    candidate = world.candidate("first", 0.9)
    world.joiner.join(world.step(candidate))
    world.rollback()
    result = world.joiner.join(world.step(candidate))
    assert (result.revision, result.reason) == (None, f"version {candidate.version} was rejected by a rollback")


def test_a_deployment_that_is_on_its_way_is_not_overtaken(world):
    candidate = world.candidate("first", 0.9)
    wanted = world.register("wanted")
    world.history.request(world.deploy(wanted).request.model_copy(update={"why": "again"}))
    result = world.joiner.join(world.step(candidate))
    assert (result.revision, result.reason) == (None, "revision 2 is on its way")


def test_a_join_that_was_interrupted_is_taken_up_again(world):
    candidate = world.candidate("first", 0.9)
    slots = (Slot(slot=1, version=candidate.version),)
    asked = DeploymentRequest(ensemble=MODEL, slots=slots, origin=Origin.JOIN, who="ada", why="it was ready", run="r")
    world.history.request(asked)
    result = world.joiner.join(world.step(candidate))
    assert world.history.deployment(MODEL, result.revision).outcome is EventKind.LIVE
    assert world.live_versions == {"slot-1": candidate.version}


def test_one_that_does_not_start_holds_nobody_back_and_is_known_by_name(world):
    first, _ = world.join("first")
    world.serving.refuses.add("shoes-preview")
    with pytest.raises(DeploymentFailedError):
        world.join("second")
    world.serving.refuses.clear()
    assert world.live_versions == {"slot-1": first}
    third, result = world.join("third")
    assert world.live_versions == {"slot-1": first, "slot-2": third}
    failed = failed_to_join(world.history.deployments(MODEL), "r")
    assert failed.keys() == {third - 1}
    assert "did not become ready" in failed[third - 1]
    assert failed_to_join(world.history.deployments(MODEL), "another") == {}
    assert result.revision == 3


def test_one_that_joined_at_the_second_try_has_not_failed(world):
    candidate = world.candidate("first", 0.9)
    world.serving.refuses.add("shoes-preview")
    with pytest.raises(DeploymentFailedError):
        world.joiner.join(world.step(candidate))
    world.serving.refuses.clear()
    world.joiner.join(world.step(candidate))
    assert failed_to_join(world.history.deployments(MODEL), "r") == {}


def test_candidates_that_are_ready_at_the_same_moment_all_join(world):
    steps = [world.step(world.candidate(f"member{number}", 0.9), size=4) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(world.joiner.join, steps))
    assert set(world.live_versions.values()) == {step.candidate.version for step in steps}
