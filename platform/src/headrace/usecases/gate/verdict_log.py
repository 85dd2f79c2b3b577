"""A verdict in lines, for a log."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.specs.gate import Verdict


def log_lines(verdict: Verdict) -> Iterator[tuple[str, bool]]:
    """A line for the whole and one for each check, and whether what it says holds."""
    against = "nothing" if verdict.champion is None else f"version {verdict.champion}"
    outcome = "passes" if verdict.passed else "fails"
    yield f"version {verdict.version} of {verdict.model} {outcome} its gate, held against {against}", verdict.passed
    for check in verdict.checks:
        yield f"  {check.name}: {check}" + (f": {check.detail}" if check.detail else ""), check.passed
