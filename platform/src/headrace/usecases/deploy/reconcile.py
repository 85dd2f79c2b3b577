"""Reconciling: whatever the registry's aliases desire becomes what serves, or the last good revision stays.

A pass looks where things stand, and goes on from there; it leaves nothing in memory that the next one would need. So it may be
killed after any of its effects: the next pass ends where this one would have, or, when that fails, where it began.

No pass waits for a canary: it begins one, or looks at its figures and takes it on or back, or leaves it to a later pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from headrace.errors import CorruptError, DeploymentFailedError, InvalidSpecError, NotFoundError
from headrace.ports.clock import Clock
from headrace.ports.history import DeploymentHistory
from headrace.ports.locks import Locks
from headrace.ports.registry import ModelRegistry
from headrace.specs.deployment import (
    Deployment,
    DeploymentRequest,
    EventKind,
    Origin,
    Reconciliation,
    Slot,
    last_live,
)
from headrace.specs.serving import EnsembleSpec
from headrace.usecases.canary.decide import Decision, Outcome
from headrace.usecases.deploy.desired import (
    Desire,
    Wish,
    desire,
    is_slot,
    kept,
    kept_text,
    missing,
    moved_since,
    standing,
)
from headrace.usecases.deploy.plan import RolloutStep, differences, plan
from headrace.usecases.deploy.rollout import FilledGraph, Rollout
from headrace.usecases.deploy.slots import is_registered, point_slots, reject
from headrace.usecases.deploy.trial import Trial, judge, trial

_REFUSALS = (DeploymentFailedError, NotFoundError, CorruptError, InvalidSpecError)
"""What a revision fails for. Anything else, a service that does not answer above all, says nothing about it."""
_DONE = {RolloutStep.PREVIEW: "proved itself in a preview", RolloutStep.APPLY: "applied", RolloutStep.VERIFY: "verified"}


@dataclass(frozen=True, kw_only=True)
class Reconciler:
    """Makes what is desired what serves. One pass over an ensemble at a time, on all machines that share the database."""

    registry: ModelRegistry
    history: DeploymentHistory
    rollout: Rollout
    locks: Locks
    clock: Clock

    def reconcile(self, ensemble: EnsembleSpec, *, who: str) -> Reconciliation:
        """Make what is desired of an ensemble what serves; the newest wish counts.

        Args:
            ensemble: as its pipeline declares it.
            who: asks for the pass; named where it finds that somebody has moved an alias.

        Raises:
            DeploymentFailedError: what is desired does not start, or answers otherwise than at training; so do
                NotFoundError, CorruptError and InvalidSpecError of its versions. The reason is recorded, and aliases and
                graph are those of the last live revision. The same goes for a canary that is withdrawn.
            UnavailableError: a service does not answer; the next pass goes on.
        """
        with self.locks.hold(f"ensemble/{ensemble.name}"):
            return _Pass(self, ensemble, who).run()

    def deploy(self, ensemble: EnsembleSpec, request: DeploymentRequest) -> Deployment:
        """Make what is asked for what serves, and return its revision. Asking again for the newest revision makes no other.

        Where the ensemble has a canary, the revision may be `on_trial` only; later passes take it on or back.

        A run of a pipeline that asks again is a retry, and older than whatever the aliases were moved to since; a person who
        asks again means it.

        Raises:
            DeploymentFailedError: as `reconcile`; or something newer was asked for before it went live.
            UnavailableError: a service does not answer; the request stands, and the next pass goes on.
        """
        name = ensemble.name
        if not self.history.deployments(name):
            self.reconcile(ensemble, who=request.who)  # what serves from before there was a history becomes a revision
        asked = self._asked_before(ensemble, request) or self.history.request(request)
        self.reconcile(ensemble, who=request.who)
        deployment = self.history.deployment(name, asked.revision)
        if deployment.live is None and not deployment.on_trial:
            raise DeploymentFailedError(
                f"revision {deployment.revision} of {name} did not go live: {deployment.outcome} {deployment.reason}".rstrip(),
                where=f"ensemble {name}",
                remedy=f"`headrace history {name}` shows what happened.",
            )
        return deployment

    def _asked_before(self, ensemble: EnsembleSpec, request: DeploymentRequest) -> Deployment | None:
        """The newest revision, if it is what this request asks for; None when another is needed."""
        history = self.history.deployments(ensemble.name)
        if not history or history[-1].request != request or not (history[-1].pending or history[-1].live):
            return None
        if request.run or history[-1].outcome is EventKind.REQUESTED:
            return history[-1]
        aliases = self.registry.aliases(ensemble.model)
        return history[-1] if {alias: aliases[alias] for alias in aliases if is_slot(alias)} == request.aliases else None


@dataclass
class _Pass:
    """One pass, by a holder of the ensemble's lock."""

    world: Reconciler
    ensemble: EnsembleSpec
    who: str
    done: list[str] = field(default_factory=list)
    waits: str = ""

    def run(self) -> Reconciliation:
        self.world.rollout.clear_preview(self.ensemble)
        self._take_up_request()
        self._finish_failure()
        desired = self._desired()
        if desired.standing is not None:
            self._serve(desired.standing)
            self._note_lost(desired)
        serves = last_live(self._history())
        return Reconciliation(
            ensemble=self.ensemble.name,
            revision=serves.revision if serves else None,
            done=tuple(self.done),
            waits=self.waits,
        )

    # --- what is desired ---

    def _take_up_request(self) -> None:
        """Make the newest revision, if it was only asked for, what the registry says."""
        history = self._history()
        if not history or history[-1].outcome is not EventKind.REQUESTED:
            return
        *older, newest = history
        for deployment in older:
            if deployment.pending:
                self._record(deployment, EventKind.SUPERSEDED, f"by revision {newest.revision}")
        if newest.request.origin is not Origin.REGISTRY:  # whose aliases may have moved on
            reject(self.world.registry, self.ensemble.model, newest.request)
            point_slots(self.world.registry, self.ensemble.model, newest.request.aliases)
        self._record(newest, EventKind.ALIASED)

    def _desired(self) -> Desire:
        """What should serve, every wish of it recorded."""
        found = self._read()
        if found.wish is Wish.NEW:
            self._adopt(found.slots)
            found = self._read()
        if found.wish is Wish.PUT_BACK and found.standing is not None:
            self._put_aliases_back(found.standing)
        return found

    def _read(self) -> Desire:
        history, aliases = self._history(), self.world.registry.aliases(self.ensemble.model)
        stands = standing(history)
        asked = [slot.version for slot in missing(stands, aliases)] if stands else []
        gone = {version for version in asked if not is_registered(self.world.registry, self.ensemble.model, version)}
        return desire(history, aliases, gone)

    def _adopt(self, slots: tuple[Slot, ...]) -> None:
        """Make what somebody has set the aliases to the next revision."""
        self.world.history.request(
            DeploymentRequest(
                ensemble=self.ensemble.name,
                slots=slots,
                origin=Origin.REGISTRY,
                who="registry",
                why=f"the aliases were moved (seen by {self.who})",
            )
        )
        self._take_up_request()

    def _put_aliases_back(self, deployment: Deployment) -> None:
        wanted = deployment.request.aliases
        if not deployment.aliases_due:
            said = ", ".join(f"{alias} = {version}" for alias, version in wanted.items())
            self._record(deployment, EventKind.REPAIRED, f"no slot had an alias any more; put back: {said}")
        point_slots(self.world.registry, self.ensemble.model, wanted)
        self._record(deployment, EventKind.ALIASED)

    def _note_lost(self, desired: Desire) -> None:
        for slot in desired.lost:
            if desired.standing is not None and slot not in kept(desired.standing):
                self._record(desired.standing, EventKind.KEPT, kept_text(slot))

    # --- what serves ---

    def _serve(self, deployment: Deployment) -> None:
        """Make the revision what serves; or a canary first, as long as that takes."""
        tried = trial(self.ensemble, self._history(), deployment)
        try:
            if tried is None or (decision := self._try(deployment, tried)).outcome is Outcome.ON:
                self._roll_out(deployment, self.world.rollout.fill(self.ensemble, deployment))
                return
        except _REFUSALS as refusal:
            if deployment.live is None:
                self._record(deployment, EventKind.FAILED, str(refusal))
                self._finish_failure()
            raise
        if decision.outcome is Outcome.BACK:
            self._withdraw(deployment, decision.reason)
        self.waits = f"revision {deployment.revision} is a canary {decision.reason}"

    def _roll_out(self, deployment: Deployment, graph: FilledGraph) -> None:
        live = deployment.live is not None
        self._apply(deployment, graph, EventKind.LIVE, there=live, proven=deployment.canary is not None)

    def _try(self, deployment: Deployment, tried: Trial) -> Decision:
        """Have the revision be a canary, and look how it does."""
        graph = self.world.rollout.fill_canary(self.ensemble, tried.canary, deployment, tried.former)
        on_trial = deployment.canary is not None
        self._apply(deployment, graph, EventKind.CANARY, there=on_trial, detail=tried.began)
        if not on_trial:
            return Decision(Outcome.WAIT, "from now on")
        decision = judge(self.world.rollout, self.world.clock, tried, deployment, graph)
        if decision.outcome is Outcome.ON:
            self._record(deployment, EventKind.CONFIRMED, decision.reason)
        return decision

    def _apply(
        self, deployment: Deployment, graph: FilledGraph, kind: EventKind, *, there: bool, proven: bool = False, detail: str = ""
    ) -> None:
        """Make the graph what runs, and record that it does; or, where it did before, what of it was put right."""
        current = self.world.rollout.current(self.ensemble)
        steps = plan(live=there, current=current, wanted=graph.document, proven=proven)
        for step in steps:
            self.world.rollout.perform(step, graph)
            self.done.append(f"revision {deployment.revision}: {_DONE[step]}")
        if there and steps:
            self._record(deployment, EventKind.REPAIRED, differences(current, graph.document), graph)
        elif not there:
            self._record(deployment, kind, detail, graph)

    def _withdraw(self, deployment: Deployment, reason: str) -> NoReturn:
        self._record(deployment, EventKind.WITHDRAWN, reason)
        self._finish_failure()
        raise DeploymentFailedError(
            f"revision {deployment.revision} was withdrawn as a canary: {reason}",
            where=f"ensemble {self.ensemble.name}",
            remedy="What served before serves. Look at its nodes' logs, or widen the limits and promote it again.",
        )

    def _finish_failure(self) -> None:
        """After a revision that failed or was withdrawn, make aliases and graph those of the last live one."""
        history = self._history()
        if not history or not history[-1].to_restore:
            return
        failed, former = history[-1], last_live(history)
        if not moved_since(self.world.registry.aliases(self.ensemble.model), failed, former):
            point_slots(self.world.registry, self.ensemble.model, former.request.aliases if former else {})
        self.world.rollout.put_back(self.ensemble, former)
        self._record(failed, EventKind.RESTORED, f"revision {former.revision} serves" if former else "nothing serves")
        self._note_lost(self._read())

    # --- the history ---

    def _history(self) -> Sequence[Deployment]:
        return self.world.history.deployments(self.ensemble.name)

    def _record(self, deployment: Deployment, kind: EventKind, detail: str = "", graph: FilledGraph | None = None) -> None:
        self.world.history.record(
            self.ensemble.name,
            deployment.revision,
            kind,
            detail=detail,
            digest=graph.digest if graph else "",
            members=graph.members if graph else (),
        )
        self.done.append(f"revision {deployment.revision}: {kind} {detail}".rstrip())
