"""Whatever people and pipelines do, and wherever a pass is killed: the next ends in what is desired, or in what served before.

One machine plays all of them against the fakes, draws lots for when a process dies or a service is away, and looks at the whole
after every step: the history, and after a pass in peace the registry and the graph as well.
"""

import copy
from contextlib import contextmanager
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from deployment_world import MODEL, SPACE, World
from headrace.errors import HeadraceError, UnavailableError
from headrace.render.seldon import canary_members_of
from headrace.specs.canary import BranchFigures, CanaryFigures
from headrace.specs.deployment import EventKind, ended, last_live
from headrace.usecases.deploy.desired import is_slot, kept, unreconciled
from mortal import CrashError, Life

SLOTS = st.integers(1, 4).map(lambda number: f"slot-{number}")
WEIGHTS = st.sampled_from([1.0, 2.0, 0.5])
CANARY = {"share": "50%", "duration": "PT10M", "minimum": 50}
GOOD = BranchFigures(requests=100, seconds=1)
COUNTED = {
    "nothing": CanaryFigures(),
    "good": CanaryFigures(former=GOOD, new=GOOD),
    "slow": CanaryFigures(former=GOOD, new=BranchFigures(requests=100, seconds=5)),
    "erring": CanaryFigures(former=GOOD, new=BranchFigures(requests=100, errors=90, seconds=0.1)),
}


class Ensembles(RuleBasedStateMachine):
    """An ensemble, the people who move it, and what happens to them."""

    versions = Bundle("versions")

    @initialize(canary=st.sampled_from([None, CANARY, {**CANARY, "mode": "shadow"}]))
    def found(self, canary):
        self.life = Life()
        self.world = World(self.life.between, canary=canary)
        self.settled = True

    # --- what may go wrong ---

    @rule(calls=st.integers(0, 40), after=st.booleans(), away=st.booleans())
    def something_will_go_wrong(self, calls, after, away):
        self.life.end_with(calls, after=after and not away, error=UnavailableError if away else CrashError)

    @contextmanager
    def attempt(self):
        """What a use case may raise; the next process is a new one."""
        self.settled = False
        try:
            yield
        except (CrashError, HeadraceError):
            pass
        finally:
            self.life.reset()

    # --- what pipelines and people do by the platform ---

    @rule(target=versions, works=st.sampled_from([True, True, True, False]), name=st.uuids())
    def train(self, works, name):
        version = self.world.register(name.hex)
        if not works:
            self.world.serving.broken.add(version)
        return version

    @rule(chosen=st.lists(st.tuples(versions, WEIGHTS), min_size=1, max_size=3), why=st.sampled_from("ab"))
    def promote(self, chosen, why):
        versions, weights = zip(*chosen, strict=True)
        with self.attempt():
            deployment = self.world.deploy(*versions, weights=list(weights), why=why)
            assert self.serves(deployment) or self.is_tried(deployment)

    @rule(data=st.data())
    def roll_back(self, data):
        revisions = [each.revision for each in self.world.history.deployments(MODEL) if each.live is not None]
        to = data.draw(st.sampled_from([None, *revisions]))
        with self.attempt():
            deployment = self.world.rollback(to=to)
            assert self.serves(deployment)
            if to is not None:
                former = self.world.history.deployment(MODEL, to)
                assert self.world.live_members == former.members, "a rollback restores exactly"
                assert [(each.slot, each.version, each.weight) for each in self.world.live_members] == [
                    (each.slot, each.version, each.weight) for each in former.request.slots
                ]

    @rule()
    def reconcile(self):
        with self.attempt():
            self.world.reconcile()

    @rule(counted=st.sampled_from(sorted(COUNTED)), minutes=st.sampled_from([1, 6, 30]))
    def time_passes_and_requests_are_counted(self, counted, minutes):
        self.world.serving.counted = COUNTED[counted]
        self.world.history.wait(timedelta(minutes=minutes))
        self.settled = False

    @rule(canary=st.sampled_from([None, CANARY]))
    def another_spec_is_declared(self, canary):
        changed = {**self.world.ensemble.model_dump(), "canary": canary}
        self.world.ensemble = type(self.world.ensemble).model_validate(changed)
        self.settled = False

    # --- what people do in the registry's own interface ---

    @rule(alias=SLOTS, version=versions)
    def move_alias(self, alias, version):
        if self.registered(version):
            self.world.registry.set_alias(MODEL, alias, version)
            self.settled = False

    @rule(alias=SLOTS)
    def delete_alias(self, alias):
        self.world.registry.delete_alias(MODEL, alias)
        self.settled = False

    @rule(version=consumes(versions))
    def delete_version(self, version):
        if self.registered(version):
            self.world.registry.delete_version(MODEL, version)
            self.settled = False

    @rule(version=versions, tag=st.sampled_from(["headrace.approval", "headrace.rejected"]), there=st.booleans())
    def tag(self, version, tag, there):
        if self.registered(version) and there:
            self.world.registry.set_tag(MODEL, version, tag, "by hand")
        elif self.registered(version):
            self.world.registry.delete_tag(MODEL, version, tag)

    # --- what people do to graphs ---

    @rule(name=st.sampled_from([MODEL, f"{MODEL}-preview"]))
    def delete_graph(self, name):
        self.world.serving.delete(SPACE, name)
        self.settled = False

    @rule(replicas=st.integers(1, 3))
    def edit_graph(self, replicas):
        if document := copy.deepcopy(self.world.serving.live.get((SPACE, MODEL))):
            document["spec"]["predictors"][0]["componentSpecs"][0]["replicas"] = replicas
            self.world.serving.live[SPACE, MODEL] = document
            self.settled = False

    # --- what must hold ---

    @precondition(lambda self: not self.settled)
    @rule()
    def a_pass_in_peace_settles_everything(self):
        self.life.reset()
        wish = self.wish()
        try:
            self.world.reconcile()
        except HeadraceError:
            wish = None
        self.settled = True
        history = self.world.history.deployments(MODEL)
        serving = last_live(history)
        tried = history[-1] if history and history[-1].on_trial else None
        self.aliases_graph_and_history_agree(serving, tried)
        assert wish is None or wish == {slot.alias: slot.version for slot in (tried or serving).request.slots}
        assert self.world.serving.get(SPACE, f"{MODEL}-preview") is None
        assert unreconciled(history, self.world.aliases) == (f"revision {tried.revision}" if tried else "")
        assert tried is None or self.world.reconciler.clock() - tried.canary.at < self.world.ensemble.canary.duration
        if tried is None or self.world.serving.counted == COUNTED["nothing"]:
            assert self.world.reconcile().done == (), "reconciling twice changes nothing"

    def aliases_graph_and_history_agree(self, serving, tried):
        aliases = {alias: version for alias, version in self.world.aliases.items() if is_slot(alias)}
        if serving is None:
            assert (aliases, self.world.live_versions) == ({}, {})
            return
        assert self.serves(serving)
        assert self.is_tried(tried) if tried else not self.tried_versions()
        stands = tried or serving
        lost = {slot.alias for slot in kept(stands)}
        wanted = stands.request.aliases
        assert aliases == {alias: wanted[alias] for alias in wanted if alias not in lost or alias in aliases}
        assert all(not self.registered(wanted[alias]) for alias in lost)

    @invariant()
    def the_history_is_consistent(self):
        history = self.world.history.deployments(MODEL)
        assert [each.revision for each in history] == list(range(1, len(history) + 1))
        served = [each for each in history if each.live is not None]
        assert [each.live for each in served] == sorted(each.live for each in served), "no overlap"
        assert [ended(history, each) for each in served] == [each.live for each in served[1:]] + [None] * bool(served), "no gap"
        for each in history:
            kinds = [event.kind for event in each.events]
            assert kinds[0] is EventKind.REQUESTED
            assert kinds.count(EventKind.LIVE) <= 1
            assert not (EventKind.LIVE in kinds and {EventKind.FAILED, EventKind.WITHDRAWN, EventKind.SUPERSEDED} & set(kinds))
            assert kinds.count(EventKind.CANARY) <= 1
            assert EventKind.CANARY in kinds or not {EventKind.CONFIRMED, EventKind.WITHDRAWN} & set(kinds)
            assert not each.on_trial or each is history[-1] or history[-1].outcome is EventKind.REQUESTED
            assert each.live is None or [(member.slot, member.version) for member in each.members] == [
                (slot.slot, slot.version) for slot in each.request.slots
            ]

    def serves(self, deployment):
        return self.world.live_versions == deployment.request.aliases and [
            member.weight for member in self.world.live_members
        ] == [slot.weight for slot in deployment.request.slots]

    def is_tried(self, deployment):
        return deployment.on_trial and self.tried_versions() == deployment.request.aliases

    def tried_versions(self):
        document = self.world.serving.get(SPACE, MODEL)
        return {member.alias: member.version for member in canary_members_of(document)} if document else {}

    def wish(self):
        """What somebody has just set the aliases to, if that can serve and nothing else is under way; otherwise None."""
        history = self.world.history.deployments(MODEL)
        aliases = {alias: version for alias, version in self.world.aliases.items() if is_slot(alias)}
        under_way = bool(history) and (history[-1].pending or history[-1].outcome is EventKind.FAILED or history[-1].aliases_due)
        serving = last_live(history)
        lost = serving is not None and any(not self.registered(version) for version in serving.request.versions)
        if under_way or lost or not aliases or self.world.serving.broken & {*aliases.values()}:
            return None
        return aliases

    def registered(self, version):
        try:
            self.world.registry.version(MODEL, version)
        except HeadraceError:
            return False
        return True


TestConvergence = Ensembles.TestCase
TestConvergence.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
