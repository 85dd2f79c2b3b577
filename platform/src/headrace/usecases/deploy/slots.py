"""The registry's side of a deployment: its aliases, and the versions that a rollback rejects."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.errors import NotFoundError
from headrace.ports.registry import ModelRegistry
from headrace.specs.deployment import REJECTED_TAG, DeploymentRequest
from headrace.usecases.deploy.desired import is_slot


def point_slots(registry: ModelRegistry, model: str, wanted: Mapping[str, int]) -> None:
    """Make the model's slots exactly these, by alias; one whose version the registry no longer has stays empty."""
    current = registry.aliases(model)
    for alias, version in wanted.items():
        if current.get(alias) != version:
            _point(registry, model, alias, version)
    for alias in current:
        if is_slot(alias) and alias not in wanted:
            registry.delete_alias(model, alias)


def _point(registry: ModelRegistry, model: str, alias: str, version: int) -> None:
    try:
        registry.set_alias(model, alias, version)
    except NotFoundError:
        registry.delete_alias(model, alias)


def is_registered(registry: ModelRegistry, model: str, version: int) -> bool:
    """Whether the registry has the version."""
    try:
        registry.version(model, version)
    except NotFoundError:
        return False
    return True


def reject(registry: ModelRegistry, model: str, request: DeploymentRequest) -> None:
    """Take the versions that the request rejects out of the choice, and say why; deleted ones are out of it anyway."""
    for version in request.rejects:
        if is_registered(registry, model, version):
            registry.set_tag(model, version, REJECTED_TAG, request.why)


def is_rejected(registry: ModelRegistry, model: str, version: int) -> bool:
    """Whether a rollback took the version out of the choice, and nobody released it."""
    try:
        return REJECTED_TAG in registry.version(model, version).tags
    except NotFoundError:
        return False


def release(registry: ModelRegistry, model: str, version: int) -> bool:
    """Let a rejected version be chosen again, and return whether it was rejected.

    Raises:
        NotFoundError: there is no such version.
    """
    rejected = REJECTED_TAG in registry.version(model, version).tags
    registry.delete_tag(model, version, REJECTED_TAG)
    return rejected
