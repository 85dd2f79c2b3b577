"""Reconciling several ensembles, one after the other; one that fails holds no other up."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headrace.errors import DeploymentFailedError, HeadraceError
from headrace.ports.log import LogLine
from headrace.specs.deployment import Reconciliation


def reconcile_each(ensembles: Iterable[str], reconcile: Callable[[str], Reconciliation], *, log: LogLine) -> list[Reconciliation]:
    """Pass over each ensemble once, and log what was found and done.

    Raises:
        HeadraceError: when all had their pass: that of the one that failed.
        DeploymentFailedError: the same when several failed; names each with its reason.
    """
    passes: list[Reconciliation] = []
    failures: dict[str, HeadraceError] = {}
    for name in ensembles:
        try:
            passed = reconcile(name)
        except HeadraceError as error:
            failures[name] = error
            log(f"{name}: {error}")
        else:
            passes.append(passed)
            for said in (*passed.done, *([passed.waits] if passed.waits else [])) or ("as desired",):
                log(f"{name}: {said}")
    if len(failures) > 1:
        told = "; ".join(f"{name}: {error}" for name, error in failures.items())
        raise DeploymentFailedError(f"{len(failures)} ensembles could not be reconciled: {told}") from next(
            iter(failures.values())
        )
    for failure in failures.values():
        raise failure
    return passes
