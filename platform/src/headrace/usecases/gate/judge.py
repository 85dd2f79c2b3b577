"""The verdict: all checks, on the evidence. Pure: the same evidence and the same gate give the same verdict."""

from __future__ import annotations

from headrace.specs.gate import Evidence, GateSpec, Verdict
from headrace.usecases.gate.checks import (
    floor,
    functionality,
    hostile_input,
    invariance,
    limits,
    not_worse,
    slice_drop,
    slice_floor,
)


def judge(evidence: Evidence, gate: GateSpec) -> Verdict:
    """Hold the evidence against the gate: a candidate passes only if every check does."""
    checks = (
        not_worse(evidence, gate),
        floor(evidence, gate),
        slice_floor(evidence, gate),
        slice_drop(evidence, gate),
        invariance(evidence, gate),
        functionality(evidence, gate),
        hostile_input(evidence),
        *limits(evidence, gate),
    )
    return Verdict(
        model=evidence.model,
        version=evidence.version,
        champion=evidence.champion.version if evidence.champion else None,
        passed=all(check.passed for check in checks),
        checks=checks,
        page=f"gate/{evidence.model}-{evidence.version}.html",
    )
