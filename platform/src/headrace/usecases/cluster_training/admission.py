"""Whether there is room for all of a job's pods at once: half of a job would hold what another needs, and wait for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from headrace.ports.worker_pods import Amounts, Quota

_BINARY = ((2**40, "Ti"), (2**30, "Gi"), (2**20, "Mi"))


@dataclass(frozen=True)
class Shortage:
    """A resource of which a quota leaves less than a job needs."""

    quota: str
    resource: str
    used: Decimal
    hard: Decimal
    needed: Decimal

    @property
    def for_good(self) -> bool:
        """Whether the job would not fit even if nothing else ran."""
        return self.needed > self.hard

    def __str__(self) -> str:
        """Say what is used and what is needed, as in `requests.cpu 3 of 4 used, this job needs 2`."""
        used, hard, needed = (_readable(self.resource, amount) for amount in (self.used, self.hard, self.needed))
        return f"{self.resource} {used} of {hard} used, this job needs {needed}"


def shortages(needs: Amounts, quotas: Sequence[Quota]) -> list[Shortage]:
    """What keeps a job from being admitted; empty when all of its pods fit.

    Args:
        needs: all its pods together.
        quotas: those that count for them.
    """
    return [
        Shortage(quota.name, resource, quota.used.get(resource, Decimal(0)), hard, needs[resource])
        for quota in quotas
        for resource, hard in quota.hard.items()
        if resource in needs and quota.used.get(resource, Decimal(0)) + needs[resource] > hard
    ]


def _readable(resource: str, amount: Decimal) -> str:
    """Bytes as Kubernetes writes them; anything else as a plain number."""
    if resource.endswith("memory"):
        for size, unit in _BINARY:
            if amount >= size:
                return f"{_plain(amount / size)}{unit}"
    return _plain(amount)


def _plain(amount: Decimal) -> str:
    return f"{amount:.2f}".rstrip("0").rstrip(".")
