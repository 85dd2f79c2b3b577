"""Reconciling: what is desired serves, or what served before does; and the history says what happened."""

import copy

import pytest

from deployment_world import MODEL, SPACE, World
from headrace.errors import CorruptError, DeploymentFailedError, NotFoundError, UnavailableError
from headrace.specs.deployment import DeploymentRequest, EventKind, Origin, Slot
from headrace.usecases.deploy.desired import unreconciled


@pytest.fixture
def world():
    return World()


@pytest.fixture
def serving(world):
    """A world in which versions 1 and 2 serve, and 3 is registered."""
    one, two = world.register("a"), world.register("b")
    world.deploy(one, two, weights=[2.0, 1.0])
    world.register("c")
    return world


def kinds(world, revision):
    return [kind for kind, _ in world.events(revision)]


class TestRequests:
    def test_a_first_deployment_goes_live_by_way_of_aliases_and_preview(self, world):
        deployment = world.deploy(world.register("a"))
        assert kinds(world, 1) == ["requested", "aliased", "live"]
        assert [document["metadata"]["name"] for document in world.serving.applied] == ["shoes-preview", "shoes"]
        assert deployment.members == world.live_members
        assert deployment.events[-1].digest

    def test_weights_reach_the_graph_and_the_history(self, serving):
        assert [member.weight for member in serving.live_members] == [2.0, 1.0]

    def test_the_newest_wish_counts_and_the_older_is_superseded(self, serving):
        for version in (1, 3):
            serving.history.request(
                DeploymentRequest(
                    ensemble=MODEL, slots=(Slot(slot=1, version=version),), origin=Origin.PROMOTION, who="ada", why="so"
                )
            )
        serving.reconcile()
        assert serving.outcomes() == ["live", "superseded", "live"]
        assert serving.history.deployment(MODEL, 2).reason == "by revision 3"
        assert serving.live_versions == serving.aliases == {"slot-1": 3}

    def test_whoever_was_superseded_is_told(self, serving, monkeypatch):
        request = serving.history.request

        def overtaken(wish):
            mine = request(wish)
            request(wish.model_copy(update={"why": "even better"}))
            return mine

        monkeypatch.setattr(serving.history, "request", overtaken)
        with pytest.raises(DeploymentFailedError, match="revision 2 of shoes did not go live: superseded by revision 3"):
            serving.deploy(3)

    def test_asking_twice_for_the_same_makes_one_revision(self, serving):
        assert serving.deploy(3).revision == serving.deploy(3).revision == 2
        assert serving.deploy(3, why="another reason").revision == 3

    @pytest.mark.parametrize(("run", "serves"), [("", {"slot-1": 2}), ("r1", {"slot-1": 3})])
    def test_a_person_who_asks_again_means_it_and_a_retry_is_older_than_a_moved_alias(self, serving, run, serves):
        request = DeploymentRequest(
            ensemble=MODEL, slots=(Slot(slot=1, version=2),), origin=Origin.PROMOTION, who="ada", why="so", run=run
        )
        serving.reconciler.deploy(serving.ensemble, request)
        serving.registry.set_alias(MODEL, "slot-1", 3)
        assert serving.reconciler.deploy(serving.ensemble, request).live is not None
        assert serving.live_versions == serving.aliases == serves
        assert serving.outcomes() == ["live"] * 3

    def test_a_version_that_is_not_there_is_refused(self, serving):
        before = serving.aliases
        with pytest.raises(NotFoundError):
            serving.deploy(1, 99)
        assert (serving.aliases, serving.outcomes()) == (before, ["live", "restored"])

    def test_what_somebody_else_s_pass_refused_is_told_to_who_asked(self, serving, monkeypatch):
        """The poller may take the lock first."""
        hold = serving.reconciler.locks.hold
        serving.serving.broken.add(3)

        def late(name):
            monkeypatch.setattr(serving.reconciler.locks, "hold", hold)
            with pytest.raises(DeploymentFailedError):
                serving.reconcile()
            return hold(name)

        monkeypatch.setattr(serving.reconciler.locks, "hold", late)
        with pytest.raises(DeploymentFailedError, match="revision 2 of shoes did not go live: restored shoes-preview did not"):
            serving.deploy(3)


class TestFailures:
    @pytest.mark.parametrize("fault", ["never ready", "wrong answers"])
    def test_a_live_graph_that_fails_gives_graph_and_aliases_back(self, serving, fault):
        before = serving.live_members, serving.aliases
        if fault == "never ready":
            serving.serving.refuses.add(MODEL)
        else:
            serving.serving.skewed[MODEL] = 2e-4
        with pytest.raises(DeploymentFailedError) as raised:
            serving.deploy(3)
        assert (serving.live_members, serving.aliases) == before
        assert kinds(serving, 2) == ["requested", "aliased", "failed", "restored"]
        assert serving.history.deployment(MODEL, 2).reason == str(raised.value)
        assert serving.events(2)[-1] == ("restored", "revision 1 serves")

    def test_a_first_graph_that_fails_is_taken_away(self, world):
        world.serving.skewed[MODEL] = float("nan")
        with pytest.raises(DeploymentFailedError):
            world.deploy(world.register("a"))
        assert (world.live_versions, world.aliases) == ({}, {})
        assert world.events(1)[-1] == ("restored", "nothing serves")

    def test_a_version_that_lacks_a_file_is_refused(self, serving):
        del serving.registry.files[MODEL, 3]["golden.npz"]
        with pytest.raises(CorruptError, match=r"no golden\.npz"):
            serving.deploy(3)
        assert serving.outcomes() == ["live", "restored"]

    def test_golden_answers_that_cannot_be_read_refuse_the_version(self, serving):
        serving.registry.files[MODEL, 3]["golden.npz"] = b"not an archive"
        with pytest.raises(CorruptError, match="golden requests"):
            serving.deploy(3)
        assert serving.outcomes() == ["live", "restored"]

    def test_a_service_that_is_away_says_nothing_about_the_revision(self, serving, monkeypatch):
        def away(*_, **__):
            raise UnavailableError("the engine does not answer")

        with monkeypatch.context() as patch, pytest.raises(UnavailableError):
            patch.setattr(serving.serving, "apply", away)
            serving.deploy(3)
        assert kinds(serving, 2) == ["requested", "aliased"]
        assert serving.reconcile().revision == 2
        assert serving.live_versions == {"slot-1": 3}

    def test_a_wish_that_came_meanwhile_survives_the_failure(self, serving, monkeypatch):
        serving.register("d")
        serving.serving.broken.add(3)
        apply = serving.serving.apply

        def somebody_moves_an_alias(document, **options):
            serving.registry.set_alias(MODEL, "slot-1", 4)
            apply(document, **options)

        with monkeypatch.context() as patch, pytest.raises(DeploymentFailedError):
            patch.setattr(serving.serving, "apply", somebody_moves_an_alias)
            serving.deploy(3)
        assert serving.outcomes() == ["live", "restored"]
        assert serving.reconcile().revision == 3
        assert serving.live_versions == serving.aliases == {"slot-1": 4}


class TestAliases:
    def test_a_moved_alias_is_a_new_revision(self, serving):
        serving.registry.set_alias(MODEL, "slot-2", 3)
        done = serving.reconcile()
        assert serving.live_versions == {"slot-1": 1, "slot-2": 3}
        made = serving.history.deployment(MODEL, done.revision).request
        assert (made.origin, made.who, made.why) == (Origin.REGISTRY, "registry", "the aliases were moved (seen by ada)")
        assert {slot.weight for slot in made.slots} == {1.0}

    def test_slots_keep_their_numbers_and_other_aliases_are_nobody_s_business(self, serving):
        for alias, version in {"slot-7": 3, "slot-x": 2, "champion": 2, "slot-02": 1}.items():
            serving.registry.set_alias(MODEL, alias, version)
        serving.registry.delete_alias(MODEL, "slot-1")
        serving.reconcile()
        assert serving.live_versions == {"slot-2": 2, "slot-7": 3}
        assert serving.reconcile().done == ()
        serving.rollback()
        assert serving.live_versions == {"slot-1": 1, "slot-2": 2}
        assert serving.aliases == {"slot-1": 1, "slot-2": 2, "slot-x": 2, "champion": 2, "slot-02": 1}

    def test_of_more_than_eight_slots_the_first_eight_serve(self, serving):
        for number in range(10, 0, -1):
            serving.registry.set_alias(MODEL, f"slot-{number}", 1)
        serving.reconcile()
        assert list(serving.live_versions) == [f"slot-{number}" for number in range(1, 9)]
        assert serving.reconcile().done == ()

    def test_no_slot_at_all_is_no_wish(self, serving):
        before = serving.aliases
        for alias in before:
            serving.registry.delete_alias(MODEL, alias)
        serving.reconcile()
        assert serving.aliases == before
        assert serving.events(1)[-2:] == [
            ("repaired", "no slot had an alias any more; put back: slot-1 = 1, slot-2 = 2"),
            ("aliased", ""),
        ]
        assert serving.outcomes() == ["live"]

    def test_a_moved_alias_that_cannot_serve_is_set_back(self, serving):
        before = serving.aliases
        serving.serving.broken.add(3)
        serving.registry.set_alias(MODEL, "slot-1", 3)
        with pytest.raises(DeploymentFailedError):
            serving.reconcile()
        assert (serving.aliases, serving.live_versions) == (before, before)
        assert serving.reconcile().done == ()

    def test_what_served_before_there_was_a_history_becomes_its_first_revision(self, serving):
        graph, aliases = serving.serving.live, serving.aliases
        later = World()
        later.serving.live, later.store = graph, serving.store
        for name in "abc":
            later.register(name)
        for alias, version in aliases.items():
            later.registry.set_alias(MODEL, alias, version)
        later.serving.broken.add(3)
        with pytest.raises(DeploymentFailedError):
            later.deploy(3)
        assert later.outcomes() == ["live", "restored"]
        assert later.live_versions == later.aliases == aliases


class TestDeletedVersions:
    def test_a_deleted_version_goes_on_serving_and_that_is_said_once(self, serving):
        before = serving.serving.get(SPACE, MODEL)
        serving.registry.delete_version(MODEL, 2)
        for _ in range(2):
            serving.reconcile()
        assert serving.serving.get(SPACE, MODEL) == before
        assert serving.aliases == {"slot-1": 1}
        assert serving.events(1)[3:] == [("kept", "version 2 (slot-2) was deleted from the registry; serving keeps its copy")]

    def test_all_deleted_is_no_reason_to_put_anything_back(self, serving):
        for version in (1, 2):
            serving.registry.delete_version(MODEL, version)
        serving.reconcile()
        assert (serving.aliases, len(serving.live_members)) == ({}, 2)
        assert kinds(serving, 1)[3:] == ["kept", "kept"]

    def test_a_rollback_to_a_deleted_version_serves_its_copy(self, serving):
        serving.deploy(3)
        serving.registry.delete_version(MODEL, 2)
        serving.rollback()
        assert serving.live_versions == {"slot-1": 1, "slot-2": 2}
        assert serving.aliases == {"slot-1": 1}
        assert kinds(serving, 3) == ["requested", "aliased", "live", "kept"]

    def test_a_failure_that_comes_back_to_a_deleted_version_says_so(self, serving):
        serving.serving.broken.add(3)
        serving.registry.delete_version(MODEL, 1)
        serving.registry.set_alias(MODEL, "slot-1", 3)
        with pytest.raises(DeploymentFailedError):
            serving.reconcile()
        assert serving.aliases == {"slot-2": 2}
        assert serving.events(1)[-1] == ("kept", "version 1 (slot-1) was deleted from the registry; serving keeps its copy")
        assert serving.reconcile().done == ()

    def test_a_slot_that_is_left_with_another_version_s_alias_is_a_wish(self, serving):
        serving.registry.delete_version(MODEL, 2)
        serving.registry.set_alias(MODEL, "slot-1", 3)
        serving.reconcile()
        assert serving.live_versions == serving.aliases == {"slot-1": 3}


class TestDrift:
    def edited(self, world):
        document = copy.deepcopy(world.serving.live[SPACE, MODEL])
        document["spec"]["predictors"][0]["componentSpecs"][1]["replicas"] = 7
        world.serving.live[SPACE, MODEL] = document

    def test_a_graph_edited_by_hand_is_put_right_and_the_place_is_said(self, serving):
        before = serving.serving.get(SPACE, MODEL)
        self.edited(serving)
        done = serving.reconcile()
        assert serving.serving.get(SPACE, MODEL) == before
        assert serving.events(1)[-1] == ("repaired", "spec.predictors[0].componentSpecs[1].replicas was 7, not 2")
        assert done.done[:2] == ("revision 1: applied", "revision 1: verified")

    def test_a_graph_deleted_by_hand_comes_back_without_a_preview(self, serving):
        serving.serving.delete(SPACE, MODEL)
        serving.serving.refuses.add("shoes-preview")
        serving.reconcile()
        assert serving.live_versions == {"slot-1": 1, "slot-2": 2}
        assert serving.events(1)[-1] == ("repaired", "the graph was gone")

    def test_nothing_to_do_is_nothing_done(self, serving):
        applied = len(serving.serving.applied)
        done = serving.reconcile()
        assert (done.revision, done.done, len(serving.serving.applied)) == (1, (), applied)

    def test_drift_that_cannot_be_put_right_is_no_failure_of_the_revision(self, serving):
        serving.serving.delete(SPACE, MODEL)
        serving.serving.refuses.add(MODEL)
        with pytest.raises(DeploymentFailedError):
            serving.reconcile()
        assert serving.outcomes() == ["live"]

    def test_a_preview_that_was_left_behind_goes(self, serving):
        serving.serving.live[SPACE, "shoes-preview"] = serving.serving.live[SPACE, MODEL]
        serving.reconcile()
        assert serving.serving.get(SPACE, "shoes-preview") is None


class TestUnreconciled:
    def told(self, world):
        return unreconciled(world.history.deployments(MODEL), world.aliases)

    def test_nothing_deployed_and_everything_as_desired_are_both_in_order(self, world):
        assert self.told(world) == ""
        world.deploy(world.register("a"))
        assert self.told(world) == ""

    def test_every_further_move_is_another_text(self, serving):
        texts = []
        for alias, version in (("slot-1", 3), ("slot-2", 3), ("slot-3", 3)):
            serving.registry.set_alias(MODEL, alias, version)
            texts.append(self.told(serving))
        assert len({*texts, ""}) == 4
        assert texts[0] == "slot-1 = 3, slot-2 = 2 after revision 1"
        serving.reconcile()
        assert self.told(serving) == ""

    def test_a_deleted_version_is_looked_at_once(self, serving):
        serving.registry.delete_version(MODEL, 2)
        assert self.told(serving) != ""
        serving.reconcile()
        assert self.told(serving) == ""

    def test_a_revision_on_its_way_and_a_failure_left_unfinished_wait(self, serving):
        request = serving.history.deployments(MODEL)[0].request
        serving.history.request(request)
        assert self.told(serving) == "revision 2"
        serving.history.record(MODEL, 2, EventKind.ALIASED)
        serving.history.record(MODEL, 2, EventKind.FAILED)
        assert self.told(serving) == "revision 2"
        serving.reconcile()
        assert self.told(serving) == ""
