"""The gate's checks: each says what was found, what was asked for, and whether it holds. Pure functions of the evidence."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.specs.gate import Bound, ChampionEvidence, Check, Comparison, Evidence, GateSpec, SliceEvidence
from headrace.usecases.gate.statistics import expected_calibration_error, mcnemar

NOTHING_SERVES = "nothing serves that it would replace"
_SUM_TOLERANCE = 1e-3
"""How far from 1 probabilities in single precision may sum up."""
_MEGABYTE = 1e6


def at_least(name: str, figure: float | None, threshold: float, detail: str, *, unit: str = "") -> Check:
    """A check that holds when the figure is not below the threshold; no figure, or one that is no number, does not hold."""
    passed = figure is not None and figure >= threshold
    return Check(name=name, figure=figure, bound=Bound.AT_LEAST, threshold=threshold, unit=unit, passed=passed, detail=detail)


def at_most(name: str, figure: float | None, threshold: float, detail: str, *, unit: str = "") -> Check:
    """A check that holds when the figure is not above the threshold; no figure, or one that is no number, does not hold."""
    passed = figure is not None and figure <= threshold
    return Check(name=name, figure=figure, bound=Bound.AT_MOST, threshold=threshold, unit=unit, passed=passed, detail=detail)


def not_worse(evidence: Evidence, gate: GateSpec) -> Check:
    """Better than, or not significantly worse than, what it would replace."""
    champion = evidence.champion
    if champion is None:
        return _nothing_to_compare("not_worse", Bound.AT_LEAST, gate.significance)
    if gate.comparison is Comparison.BOOTSTRAP:
        detail = f"mean loss {champion.loss_increase:+.4f} against version {champion.version}; this is the least it may be"
        return at_most("not_worse", champion.least_loss_increase, gate.margin, detail, unit="nats")
    probability = mcnemar(
        only_champion=champion.only_champion,
        only_candidate=champion.only_candidate,
        rows=evidence.rows,
        margin=gate.margin,
    )
    return at_least("not_worse", probability, gate.significance, _compared(evidence, champion, gate), unit="p")


def floor(evidence: Evidence, gate: GateSpec) -> Check:
    """Good enough overall."""
    return at_least("floor", evidence.accuracy, gate.floor, f"{evidence.right} of {evidence.rows} validation examples right")


def slice_floor(evidence: Evidence, gate: GateSpec) -> Check:
    """Good enough on every slice."""
    worst = min(evidence.slices, key=lambda each: each.accuracy)
    below = [each for each in evidence.slices if each.accuracy < gate.slice_floor] or [worst]
    return at_least("slice_floor", worst.accuracy, gate.slice_floor, _named(below))


def slice_drop(evidence: Evidence, gate: GateSpec) -> Check:
    """No slice pays for the others."""
    drops = [(each.drop, each) for each in evidence.slices if each.drop is not None]
    if not drops:
        return _nothing_to_compare("slice_drop", Bound.AT_MOST, gate.slice_drop)
    most, worst = max(drops, key=lambda drop: drop[0])
    above = [each for drop, each in drops if drop > gate.slice_drop] or [worst]
    return at_most("slice_drop", most, gate.slice_drop, _named(above))


def invariance(evidence: Evidence, gate: GateSpec) -> Check:
    """Small changes of the input leave the answers as they are."""
    flips = evidence.behaviour.flips
    detail = ", ".join(f"{name} {share:.1%}" for name, share in flips.items()) or "no changes are asked for"
    return at_most("invariance", max(flips.values(), default=0.0), gate.invariance.max_flips, detail)


def functionality(evidence: Evidence, gate: GateSpec) -> Check:
    """The most typical examples of every class are right."""
    found = evidence.behaviour.functionality
    detail = f"{found.right} of the {found.rows} most typical examples right"
    if found.wrong:
        detail += "; wrong: " + ", ".join(f"{count} × {name}" for name, count in found.wrong.items())
    return at_least("functionality", found.right / found.rows, gate.functionality.floor, detail)


def hostile_input(evidence: Evidence) -> Check:
    """Whatever comes in, probabilities come out."""
    errors = evidence.behaviour.hostile
    broken = [name for name, error in errors.items() if error is None]
    worst = None if broken else max((error for error in errors.values() if error is not None), default=0.0)
    detail = f"not finite: {', '.join(broken)}" if broken else f"finite for {', '.join(errors)}; this far from 1 they sum up"
    return at_most("hostile_input", worst, _SUM_TOLERANCE, detail)


def limits(evidence: Evidence, gate: GateSpec) -> Iterable[Check]:
    """Calibration, cost and parity, each where a limit is given."""
    cost = evidence.cost
    if gate.ece is not None:
        error = expected_calibration_error(evidence.calibration)
        yield at_most("calibration", error, gate.ece, "the mean distance between confidence and accuracy", unit="ECE")
    if gate.size_mb is not None:
        yield at_most("size", cost.size_bytes / _MEGABYTE, gate.size_mb, "the network's file", unit="MB")
    if gate.p99_ms is not None:
        detail = f"99 in a hundred predictions of one example take no longer; half of them {cost.p50_ms:.3g} ms"
        yield at_most("latency", cost.p99_ms, gate.p99_ms, detail, unit="ms")
    if gate.parity is not None:
        detail = "the largest difference to the trained network's answers to the golden batch"
        if evidence.parity is None:
            detail = "no answers of the trained network were recorded, or one is not finite: train the member again"
        yield at_most("parity", evidence.parity, gate.parity, detail)


def _nothing_to_compare(name: str, bound: Bound, threshold: float) -> Check:
    return Check(name=name, figure=None, bound=bound, threshold=threshold, passed=True, detail=NOTHING_SERVES)


def _compared(evidence: Evidence, champion: ChampionEvidence, gate: GateSpec) -> str:
    return (
        f"accuracy {evidence.accuracy:.4f} against {champion.right / evidence.rows:.4f} of version {champion.version}, margin "
        f"{gate.margin:.4g}; only this one is right on {champion.only_candidate}, only that one on {champion.only_champion}"
    )


def _named(slices: Iterable[SliceEvidence]) -> str:
    """The slices with their accuracies, and the champion's where there is one."""
    return ", ".join(
        f"{each.name} {each.accuracy:.3f}" + ("" if each.champion_accuracy is None else f" (was {each.champion_accuracy:.3f})")
        for each in slices
    )
