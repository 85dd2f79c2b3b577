"""A revision as a canary: begun, looked at, taken on or back, and ended by whatever is wanted meanwhile."""

import dataclasses
from datetime import timedelta

import numpy as np
import pytest

from builders import dataset_version
from deployment_world import MODEL, SPACE, World
from headrace.errors import DeploymentFailedError, ForbiddenError, InvalidSpecError, UnavailableError
from headrace.render.seldon import ServingTarget, canary_members_of, document_digest
from headrace.specs.canary import BranchFigures, CanaryFigures
from headrace.specs.deployment import last_live
from headrace.usecases.deploy.desired import unreconciled
from headrace.usecases.deploy.watching import DesireWatch
from headrace.usecases.gate.predictions import Predictions, store_predictions

TEN_PERCENT = {"share": "10%", "duration": "PT10M", "minimum": 50}
GOOD = CanaryFigures(former=BranchFigures(requests=900, seconds=9), new=BranchFigures(requests=100, seconds=1.1))
SLOW = CanaryFigures(former=GOOD.former, new=BranchFigures(requests=100, seconds=5))
ERRING = CanaryFigures(former=GOOD.former, new=BranchFigures(requests=100, errors=60, seconds=0.4))


def trying(**canary):
    """A world in which version 1 serves, and 2 and 3 are registered."""
    world = World(canary={**TEN_PERCENT, **canary})
    for name in "abc":
        world.register(name)
    world.deploy(1)
    return world


@pytest.fixture
def world():
    """Version 2 is a canary beside version 1."""
    world = trying()
    world.deploy(2)
    return world


def kinds(world, revision):
    return [kind for kind, _ in world.events(revision)]


def tried(world):
    """The versions that are tried, of what runs."""
    return [member.version for member in canary_members_of(world.serving.get(SPACE, MODEL))]


def pass_minutes(world, minutes):
    world.history.wait(timedelta(minutes=minutes))


class TestBeginning:
    def test_the_first_revision_has_nothing_to_be_tried_against(self):
        assert kinds(trying(), 1) == ["requested", "aliased", "live"]

    def test_a_choice_gets_a_share_of_the_requests_and_the_aliases_say_so(self, world):
        assert world.events(2)[2] == ("canary", "it answers 10 % of the requests beside revision 1")
        assert (world.aliases, world.live_versions, tried(world)) == ({"slot-1": 2}, {"slot-1": 1}, [2])
        deployment = world.history.deployment(MODEL, 2)
        assert (deployment.live, deployment.on_trial, deployment.pending) == (None, True, True)
        assert [member.version for member in deployment.members] == [2]
        assert deployment.canary.digest == document_digest(world.serving.get(SPACE, MODEL))

    def test_it_has_proved_itself_in_a_preview_and_beside_what_serves(self, world):
        assert [document["metadata"]["name"] for document in world.serving.applied] == [MODEL + "-preview", MODEL] * 2

    def test_what_answers_otherwise_than_at_training_is_no_canary(self):
        world = trying()
        world.serving.skewed[f"{MODEL}-preview"] = 1e-3
        with pytest.raises(DeploymentFailedError):
            world.deploy(2)
        assert kinds(world, 2) == ["requested", "aliased", "failed", "restored"]

    def test_a_canary_that_answers_otherwise_when_it_is_live_fails(self):
        world = trying()
        world.serving.skewed[MODEL] = 1e-3
        with pytest.raises(DeploymentFailedError):
            world.deploy(2)
        assert kinds(world, 2) == ["requested", "aliased", "failed", "restored"]
        assert (tried(world), world.aliases) == ([], {"slot-1": 1})

    def test_a_moved_alias_is_tried_too(self):
        world = trying()
        world.registry.set_alias(MODEL, "slot-1", 3)
        assert world.reconcile().waits == "revision 2 is a canary from now on"
        assert (tried(world), kinds(world, 2)) == ([3], ["requested", "aliased", "canary"])

    def test_a_rollback_is_not_tried(self, world):
        confirm(world)
        assert world.rollback().live is not None
        assert kinds(world, 3) == ["requested", "aliased", "live"]

    def test_a_promotion_says_that_it_is_tried(self):
        world = World(canary=TEN_PERCENT)
        first = [world.candidate(name, accuracy) for name, accuracy in (("a", 0.9), ("b", 0.8))]
        assert world.promote(*first).on_trial is False
        others = [world.candidate(name, accuracy) for name, accuracy in (("c", 0.95), ("d", 0.9))]
        result = world.promote(*others, run="s")
        assert (result.on_trial, result.revision) == (True, 2)
        assert result.digest == document_digest(world.serving.get(SPACE, MODEL))
        assert [member.version for member in result.former] == [1, 2]
        assert world.promote(*others, run="s").revision == 2, "a retry makes no other"

    def test_a_shadow_is_refused_where_there_is_none_before_anything_is_started(self):
        world = trying(mode="shadow")
        rollout = dataclasses.replace(world.reconciler.rollout, target=ServingTarget(namespace=SPACE, mirrors=False))
        world.reconciler = dataclasses.replace(world.reconciler, rollout=rollout)
        with pytest.raises(InvalidSpecError, match="no shadow without a service mesh"):
            world.deploy(2)
        assert len(world.serving.applied) == 2
        assert world.aliases == {"slot-1": 1}

    def test_a_shadow_is_said_to_be_one(self):
        world = trying(mode="shadow")
        world.deploy(2)
        assert world.events(2)[2] == ("canary", "a shadow: asked 10 % of the requests beside revision 1, it answers nobody")


def confirm(world):
    """Let the canary go on."""
    world.serving.counted = GOOD
    pass_minutes(world, 10)
    world.reconcile()


class TestLooking:
    def test_a_look_before_its_end_says_how_it_does_and_changes_nothing(self, world):
        world.serving.counted = GOOD
        pass_minutes(world, 4)
        events = world.events(2)
        found = world.reconcile()
        assert found.done == ()
        assert found.waits.startswith("revision 2 is a canary for 4 min of 10 min. new: 0 of 100 requests failed")
        assert found.revision == 1
        assert world.events(2) == events

    def test_what_is_not_worse_goes_on_and_the_history_says_by_which_figures(self, world):
        confirm(world)
        assert kinds(world, 2) == ["requested", "aliased", "canary", "confirmed", "live"]
        assert world.events(2)[3][1] == f"within its limits after 10 min. {GOOD}"
        assert (world.live_versions, tried(world), world.aliases) == ({"slot-1": 2}, [], {"slot-1": 2})
        assert world.serving.applied[-1]["metadata"]["name"] == MODEL, "without another preview"
        assert world.reconcile().done == ()

    @pytest.mark.parametrize(("counted", "why"), [(SLOW, "it takes 5.00 times as long"), (ERRING, "it fails at")])
    def test_a_slower_or_erring_version_goes_back_by_itself(self, world, counted, why):
        world.serving.counted = counted
        pass_minutes(world, 1)
        with pytest.raises(DeploymentFailedError, match=f"revision 2 was withdrawn as a canary: {why}"):
            world.reconcile()
        assert kinds(world, 2) == ["requested", "aliased", "canary", "withdrawn", "restored"]
        assert world.events(2)[3][1].endswith(str(counted))
        assert world.history.deployment(MODEL, 2).reason == world.events(2)[3][1]
        assert (world.aliases, world.live_versions, tried(world)) == ({"slot-1": 1}, {"slot-1": 1}, [])
        assert world.reconcile().done == ()
        assert unreconciled(world.history.deployments(MODEL), world.aliases) == ""

    @pytest.mark.parametrize(("too_few", "then"), [("back", "restored"), ("on", "live"), ("wait", "canary")])
    def test_too_few_requests_do_what_the_spec_says(self, too_few, then):
        world = trying(too_few=too_few)
        world.deploy(2)
        pass_minutes(world, 10)
        if too_few == "back":
            with pytest.raises(DeploymentFailedError, match="too few requests"):
                world.reconcile()
        else:
            world.reconcile()
        assert str(world.history.deployment(MODEL, 2).outcome) == then

    def test_agreement_is_that_of_the_stored_predictions(self):
        world = trying(agreement=0.9)
        for version, classes in ((1, [0, 0, 0, 0]), (2, [0, 0, 0, 1])):
            probabilities = np.eye(2, dtype=np.float32)[classes]
            store_predictions(world.store, dataset_version(), MODEL, version, Predictions(probabilities, np.zeros(4, np.int64)))
        world.deploy(2)
        with pytest.raises(DeploymentFailedError, match=r"both agree on 75\.0 % of the examples only"):
            world.reconcile()

    def test_a_graph_that_somebody_changed_meanwhile_is_put_right_and_goes_on(self, world):
        world.serving.delete(SPACE, MODEL)
        pass_minutes(world, 1)
        assert world.reconcile().waits
        assert kinds(world, 2) == ["requested", "aliased", "canary", "repaired"]
        assert tried(world) == [2]
        confirm(world)
        assert world.live_versions == {"slot-1": 2}

    def test_nodes_that_are_not_ready_any_more_end_it_without_a_figure(self, world):
        world.serving.counted = GOOD
        world.serving.broken.add(2)
        with pytest.raises(DeploymentFailedError, match="did not become ready"):
            world.reconcile()
        assert kinds(world, 2) == ["requested", "aliased", "canary", "failed", "restored"]
        assert (tried(world), world.aliases) == ([], {"slot-1": 1})

    def test_figures_that_are_away_are_waited_for_but_not_for_ever(self, world, monkeypatch):
        def away(*_):
            raise ForbiddenError("pods must not be listed")

        monkeypatch.setattr(world.serving, "figures", away)
        pass_minutes(world, 19)
        with pytest.raises(ForbiddenError):
            world.reconcile()
        assert kinds(world, 2)[-1] == "canary"
        pass_minutes(world, 1)
        with pytest.raises(DeploymentFailedError, match="cannot be read: pods must not be listed"):
            world.reconcile()
        assert world.aliases == {"slot-1": 1}

    def test_a_pass_that_is_told_of_a_service_away_leaves_the_canary_on(self, world, monkeypatch):
        def away(*_):
            raise UnavailableError("the engine does not answer")

        monkeypatch.setattr(world.serving, "figures", away)
        with pytest.raises(UnavailableError):
            world.reconcile()
        assert tried(world) == [2]

    def test_limits_that_change_meanwhile_count_from_then_on(self, world):
        world.serving.counted = SLOW
        canary = world.ensemble.canary.model_copy(update={"latency_ratio": 10, "share": 0.5})
        world.ensemble = world.ensemble.model_copy(update={"canary": canary})
        assert world.reconcile().waits
        assert kinds(world, 2)[-1] == "repaired", "the share is another"

    def test_who_takes_the_canary_out_of_the_spec_lets_it_go_live(self, world):
        world.ensemble = world.ensemble.model_copy(update={"canary": None})
        world.reconcile()
        assert kinds(world, 2) == ["requested", "aliased", "canary", "live"]

    def test_a_watcher_has_it_looked_at_a_minute_after_it_began_and_from_then_on(self, world):
        watch = DesireWatch(registry=world.registry, history=world.history, clock=world.history.now)
        ensembles = {MODEL: world.ensemble}
        assert watch.desires(ensembles) == {}
        pass_minutes(world, 1)
        assert watch.desires(ensembles) == {MODEL: "revision 2"}
        confirm(world)
        assert watch.desires(ensembles) == {}


class TestEnding:
    """By what is wanted meanwhile."""

    def test_a_rollback_ends_it_and_rejects_what_was_tried(self, world):
        world.rollback(why="it shouts")
        assert kinds(world, 2) == ["requested", "aliased", "canary", "superseded"]
        assert (world.live_versions, tried(world), world.aliases) == ({"slot-1": 1}, [], {"slot-1": 1})
        assert "headrace.rejected" in world.registry.version(MODEL, 2).tags
        assert last_live(world.history.deployments(MODEL)).revision == 3

    def test_another_promotion_takes_its_place_beside_what_serves(self, world):
        world.deploy(3)
        assert kinds(world, 2)[-1] == "superseded"
        assert (world.live_versions, tried(world)) == ({"slot-1": 1}, [3])
        assert world.events(3)[-1] == ("canary", "it answers 10 % of the requests beside revision 1")
        confirm(world)
        assert world.live_versions == {"slot-1": 3}

    def test_an_alias_moved_back_ends_it_without_another(self, world):
        world.registry.set_alias(MODEL, "slot-1", 1)
        world.reconcile()
        assert (kinds(world, 2)[-1], kinds(world, 3)) == ("superseded", ["requested", "aliased", "live"])
        assert (world.live_versions, tried(world)) == ({"slot-1": 1}, [])

    def test_aliases_that_are_lost_are_put_back_and_it_goes_on(self, world):
        world.registry.delete_alias(MODEL, "slot-1")
        assert world.reconcile().waits
        assert (world.aliases, tried(world)) == ({"slot-1": 2}, [2])

    def test_what_serves_beside_it_is_what_is_told_to_serve(self, world):
        history = world.history.deployments(MODEL)
        assert last_live(history).revision == 1
        assert unreconciled(history, world.aliases) == "revision 2"
