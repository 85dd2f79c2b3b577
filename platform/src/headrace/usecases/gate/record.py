"""Making a verdict known where people and machines look: a page, the version's description, its tags.

Order of effects, each repeatable: an earlier verdict's tags go → page → description → a tag for each check → `headrace.gate`,
which says that the rest is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.ports.registry import ModelRegistry
from headrace.ports.tracking import Tracking
from headrace.render.gate_page import render_gate_page, verdict_table
from headrace.specs.gate import FAILED, GATE_TAG, PASSED, Evidence, Verdict

_HEADING = "\n\n### Gate: "
"""Where the verdict begins in a version's description."""
_LONGEST_TAG = 5000  # characters; MLflow's own limit


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Writes verdicts into the registry and the run."""

    registry: ModelRegistry
    tracking: Tracking

    def record(self, verdict: Verdict, evidence: Evidence, *, run_id: str, classes: tuple[str, ...]) -> None:
        """Record the verdict on the version, in place of an earlier one.

        Args:
            verdict: what was found.
            evidence: what it was found on.
            run_id: the MLflow run that trained the candidate; it gets the page.
            classes: the names of the labels.

        Raises:
            NotFoundError: the registry no longer has the version.
        """
        self._forget(verdict)
        page = render_gate_page(verdict, evidence, classes)
        link = self.tracking.log_page(run_id, verdict.page, page)
        self._describe(verdict, link)
        for check in verdict.checks:
            self._tag(verdict, f"{GATE_TAG}.{check.name}", str(check))
        self._tag(verdict, GATE_TAG, PASSED if verdict.passed else FAILED)

    def _forget(self, verdict: Verdict) -> None:
        """Take away what an earlier verdict said, its outcome first: it may have had other checks."""
        for tag in sorted(self.registry.version(verdict.model, verdict.version).tags):
            if tag == GATE_TAG or tag.startswith(f"{GATE_TAG}."):
                self.registry.delete_tag(verdict.model, verdict.version, tag)

    def _describe(self, verdict: Verdict, link: str) -> None:
        former = self.registry.version(verdict.model, verdict.version).description.partition(_HEADING)[0]
        outcome = PASSED if verdict.passed else FAILED
        text = f"{former}{_HEADING}{outcome}\n\n{verdict_table(verdict)}\n\n[All of it, with plots]({link})"
        self.registry.describe(verdict.model, verdict.version, text)

    def _tag(self, verdict: Verdict, name: str, value: str) -> None:
        self.registry.set_tag(verdict.model, verdict.version, name, value[:_LONGEST_TAG])
