"""Rolling back: an earlier revision, exactly, as the next one."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors import InvalidSpecError, NotFoundError
from headrace.ports.registry import ModelRegistry
from headrace.specs.deployment import Deployment, DeploymentRequest, Origin, last_live
from headrace.specs.serving import EnsembleSpec
from headrace.usecases.deploy.slots import is_rejected


def rollback_request(
    history: Sequence[Deployment], *, ensemble: EnsembleSpec, registry: ModelRegistry, to: int | None, who: str, why: str
) -> DeploymentRequest:
    """What asks for an earlier revision's slots and weights, and rejects the versions that serve now and would not then.

    A revision that is on its way counts as serving: rolling back stops it.

    Args:
        history: of the ensemble, oldest first.
        ensemble: which.
        registry: says which versions were rejected before.
        to: the revision to go back to. None for the newest earlier one that serves something else, and nothing rejected.
        who: asks.
        why: for the history, and for whoever wonders about a rejected version.

    Raises:
        NotFoundError: there is no such revision, or none to go back to.
        InvalidSpecError: the revision never served, or what it says serves now.
    """
    if last_live(history) is None:
        raise NotFoundError("nothing ever served", where=f"ensemble {ensemble.name}", remedy="Run its pipeline first.")
    current = _left(history)
    target = _before(history, current, ensemble, registry) if to is None else _revision(history, to, current, ensemble)
    rejects = tuple(dict.fromkeys(version for version in current.request.versions if version not in target.request.versions))
    return DeploymentRequest(
        ensemble=ensemble.name,
        slots=target.request.slots,
        origin=Origin.ROLLBACK,
        who=who,
        why=f"back to revision {target.revision}: {why}",
        verdicts=target.request.verdicts,
        rejects=rejects,
    )


def _left(history: Sequence[Deployment]) -> Deployment:
    """The revision that a rollback leaves."""
    return next(each for each in reversed(history) if each.pending or each.live is not None)


def _before(history: Sequence[Deployment], current: Deployment, ensemble: EnsembleSpec, registry: ModelRegistry) -> Deployment:
    for deployment in reversed(history):
        other = deployment.live is not None and deployment.request.slots != current.request.slots
        if other and not any(is_rejected(registry, ensemble.model, version) for version in deployment.request.versions):
            return deployment
    raise NotFoundError(
        f"before revision {current.revision} nothing else served that was not rejected",
        where=f"ensemble {ensemble.name}",
        remedy=f"Name a revision, or release a version: `headrace history {ensemble.name}`.",
    )


def _revision(history: Sequence[Deployment], revision: int, current: Deployment, ensemble: EnsembleSpec) -> Deployment:
    where, remedy = f"ensemble {ensemble.name}", f"`headrace history {ensemble.name}` shows them."
    found = next((deployment for deployment in history if deployment.revision == revision), None)
    if found is None:
        raise NotFoundError(f"there is no revision {revision}", where=where, remedy=remedy)
    if found.live is None:
        raise InvalidSpecError(f"revision {revision} never served", where=where, remedy=remedy)
    if found.request.slots == current.request.slots:
        raise InvalidSpecError(f"what revision {revision} says serves now", where=where, remedy=remedy)
    return found
