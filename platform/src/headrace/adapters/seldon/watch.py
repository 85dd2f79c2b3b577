"""Waiting for a graph: until it serves, until it is plain that it will not, or until it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from kubernetes.client import ApiClient, AppsV1Api, V1Deployment

from headrace.adapters.kubernetes.client import translated_errors
from headrace.adapters.seldon.diagnosis import Diagnosis, Trouble
from headrace.adapters.seldon.resources import INSTALL, SeldonDeployments, is_leaving
from headrace.adapters.seldon.rollout import Rollout, owned_by, rollout
from headrace.errors import DeploymentFailedError, UnavailableError
from headrace.ports.serving import Document

OPERATOR_WITHIN = timedelta(seconds=60)
"""How long Seldon's operator may take to act on a document before it is taken to be missing."""
GIVE_UP_AFTER = timedelta(seconds=20)
"""How long a graph may be in a state that does not mend by itself."""
GONE_WITHIN = timedelta(minutes=3)
"""How long a deleted graph may take to go; its pods end gently."""
_POLL_SECONDS = 1.0


class OperatorMissingError(UnavailableError):
    """Nobody acts on SeldonDeployments."""


@dataclass(frozen=True)
class _Look:
    """A graph at one moment."""

    rollout: Rollout
    troubles: list[Trouble]

    @property
    def hopeless(self) -> bool:
        """Whether waiting will not help."""
        failed = self.rollout.state == "Failed" and not self.rollout.acted_on
        return failed or any(trouble.hopeless for trouble in self.troubles)

    @property
    def unanswered(self) -> bool:
        """Whether the operator has neither acted nor complained."""
        return not self.rollout.acted_on and self.rollout.state != "Failed"


class Watch:
    """Follows graphs by looking once a second: a watch that breaks off must look again anyway.

    Rights: list on `deployments.apps` in the graphs' namespace, and those of `SeldonDeployments` and `Diagnosis`.
    """

    def __init__(self, client: ApiClient, resources: SeldonDeployments) -> None:
        self._resources = resources
        self._apps = AppsV1Api(client)
        self._diagnosis = Diagnosis(client)

    def until_live(self, document: Document, timeout: timedelta) -> None:
        """Return once the document is what serves, on all replicas, and nothing of another is left.

        Raises:
            DeploymentFailedError: it does not in time, or plainly never will; says which node and why.
            OperatorMissingError: nobody has acted on it; says how to install the operator.
        """
        waited, stuck = _Clock(), _Clock()
        while True:
            try:
                look = self._look(document)
            except UnavailableError:  # the API server restarts, say
                if waited.exceeds(timeout):
                    raise
                time.sleep(_POLL_SECONDS)
                continue
            if look.rollout.finished:
                return
            if not look.hopeless:
                stuck = _Clock()
            if look.unanswered and waited.exceeds(min(OPERATOR_WITHIN, timeout)):
                raise _operator_missing(document)
            if stuck.exceeds(GIVE_UP_AFTER) or waited.exceeds(timeout):
                raise self._failure(document, look, waited.seconds)
            time.sleep(_POLL_SECONDS)

    def until_gone(self, namespace: str, name: str) -> None:
        """Return once a graph that is being deleted is gone, with all that was made of it; at once if there is none.

        Raises:
            UnavailableError: it does not go in time.
        """
        waited = _Clock()
        while (stored := self._resources.get(namespace, name)) is not None and is_leaving(stored):
            if waited.exceeds(GONE_WITHIN):
                left = ", ".join(each.metadata.name for each in owned_by(stored["metadata"]["uid"], self._deployments(namespace)))
                raise UnavailableError(
                    f"the graph {namespace}/{name} is deleted, but not yet gone; there are still: {left or 'pods or Services'}",
                    remedy="Look at the cluster's garbage collector (kube-controller-manager), then try again.",
                )
            time.sleep(_POLL_SECONDS)

    def _look(self, document: Document) -> _Look:
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        stored = self._resources.get(namespace, name)
        if stored is None:
            raise DeploymentFailedError(f"the graph {namespace}/{name} did not become ready: somebody has deleted it")
        progress = rollout(document, stored, self._deployments(namespace))
        troubles = [] if progress.finished else self._diagnosis.troubles(namespace, name, progress)
        return _Look(progress, troubles)

    def _deployments(self, namespace: str) -> list[V1Deployment]:
        with translated_errors(f"cannot list the Deployments in {namespace}"):
            found: list[V1Deployment] = self._apps.list_namespaced_deployment(namespace).items
        return found

    def _failure(self, document: Document, look: _Look, seconds: float) -> DeploymentFailedError:
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        explained = {trouble.node: self._diagnosis.explain(namespace, trouble) for trouble in look.troubles}
        lines = [explained.get(part.node, part.describe()) for part in look.rollout.unfinished()]
        lines += [f"Deployment {superfluous} is left of another document" for superfluous in look.rollout.superfluous]
        if look.rollout.description:
            lines.append(f"the operator says: {look.rollout.description}")
        return DeploymentFailedError(
            f"the graph {namespace}/{name} did not become ready ({seconds:.0f} s):\n" + "\n".join(lines) + "\n",
            where=f"SeldonDeployment {namespace}/{name}",
            remedy="What served before is put back. Correct what is said above, and run the step again.",
        )


class _Clock:
    """Time since it was made."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._start = now, now()

    @property
    def seconds(self) -> float:
        """So far."""
        return self._now() - self._start

    def exceeds(self, limit: timedelta) -> bool:
        """Whether that is the limit or more."""
        return self.seconds >= limit.total_seconds()


def _operator_missing(document: Document) -> OperatorMissingError:
    namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
    return OperatorMissingError(
        f"nobody acts on the SeldonDeployment {namespace}/{name}: Seldon's operator is missing, or does not watch {namespace}",
        remedy=INSTALL,
    )
