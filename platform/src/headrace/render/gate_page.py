"""A verdict for people: one HTML page with everything in it, and a table for a version's description."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from headrace.render import gate_plots
from headrace.specs.gate import Evidence, Verdict

_TEMPLATE = Path(__file__).with_suffix(".html")


def render_gate_page(verdict: Verdict, evidence: Evidence, classes: tuple[str, ...]) -> str:
    """The whole page: checks, plots, numbers. It loads nothing, so that MLflow's viewer shows all of it.

    Args:
        verdict: what was found.
        evidence: what it was found on.
        classes: the names of the labels.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE.name).render(
        verdict=verdict,
        evidence=evidence,
        # matplotlib escapes the names that it writes; what it returns is markup.
        reliability=Markup(gate_plots.reliability(evidence.calibration)),  # noqa: S704
        slices=Markup(gate_plots.slice_accuracies(evidence.slices)),  # noqa: S704
        confusion=Markup(gate_plots.confusion(evidence.confusion, classes)),  # noqa: S704
    )


def verdict_table(verdict: Verdict) -> str:
    """The checks as a Markdown table."""
    lines = ["| check | found | asked for | |", "|---|---|---|---|"]
    for check in verdict.checks:
        outcome = "ok" if check.passed else "**FAILED**"
        lines.append(f"| {check.name} | {check.found} | {check.asked} | {outcome} |")
    return "\n".join(lines)
