"""A person's choice of what should serve, in place of a pipeline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.errors import InvalidSpecError
from headrace.ports.registry import ModelRegistry
from headrace.specs.deployment import MAX_SLOTS, REJECTED_TAG, Deployment, DeploymentRequest, Origin, last_live
from headrace.specs.gate import GATE_TAG, PASSED
from headrace.specs.serving import EnsembleSpec
from headrace.usecases.promote import fill_slots


def choice_request(
    history: Sequence[Deployment],
    *,
    ensemble: EnsembleSpec,
    registry: ModelRegistry,
    weights: Mapping[int, float],
    who: str,
    why: str,
    force: bool = False,
) -> DeploymentRequest:
    """What asks for these versions, each of which has passed its gate or serves already.

    Args:
        history: of the ensemble, oldest first. A version that serves keeps its slot.
        ensemble: which.
        registry: knows the versions.
        weights: by version, in the order of the slots.
        who: asks.
        why: for the history.
        force: take versions without a passed gate too; the history says so.

    Raises:
        NotFoundError: the registry has no such version.
        InvalidSpecError: there are none or too many, a rollback rejected one, or one has not passed its gate.
    """
    if not 1 <= len(weights) <= MAX_SLOTS:
        raise InvalidSpecError(
            f"{len(weights)} versions cannot serve together", where=_where(ensemble), remedy=f"Name 1 to {MAX_SLOTS}."
        )
    serving = last_live(history)
    tags = {version: registry.version(ensemble.model, version).tags for version in weights}
    _refuse_rejected(ensemble, tags)
    unproven = _without_gate(ensemble, tags, serves=serving.request.versions if serving else (), force=force)
    return DeploymentRequest(
        ensemble=ensemble.name,
        slots=fill_slots(weights, serving.request.slots if serving else ()),
        origin=Origin.PROMOTION,
        who=who,
        why=f"{why} (forced: {_named(unproven)} not passed a gate)" if unproven else why,
        verdicts={str(version): _gate(said) for version, said in tags.items() if GATE_TAG in said},
    )


def _refuse_rejected(ensemble: EnsembleSpec, tags: Mapping[int, Mapping[str, str]]) -> None:
    for version, said in tags.items():
        if REJECTED_TAG in said:
            raise InvalidSpecError(
                f"version {version} is rejected: {said[REJECTED_TAG]}",
                where=_where(ensemble),
                remedy=f"`headrace release {ensemble.name} {version}` takes that back.",
            )


def _without_gate(
    ensemble: EnsembleSpec, tags: Mapping[int, Mapping[str, str]], *, serves: Sequence[int], force: bool
) -> Sequence[int]:
    """The versions that are new and have not passed a gate; refused unless forced."""
    unproven = [version for version, said in tags.items() if said.get(GATE_TAG) != PASSED and version not in serves]
    if unproven and not force:
        raise InvalidSpecError(
            f"{_named(unproven)} not passed a gate",
            where=_where(ensemble),
            remedy="A version's description in MLflow shows its checks, if it had any. `--force` has it serve all the same.",
        )
    return unproven


def _where(ensemble: EnsembleSpec) -> str:
    return f"ensemble {ensemble.name}"


def _named(versions: Sequence[int]) -> str:
    numbers = ", ".join(map(str, versions))
    return f"versions {numbers} have" if len(versions) > 1 else f"version {numbers} has"


def _gate(tags: Mapping[str, str]) -> dict[str, str]:
    """What the version's tags say of its gate."""
    return {tag: value for tag, value in tags.items() if tag.startswith(GATE_TAG)}
