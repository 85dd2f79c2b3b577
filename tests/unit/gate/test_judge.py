"""Every check on its own: the figure, the threshold, and on which side it fails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate_evidence import behaviour, evidence
from headrace.specs.gate import Evidence, GateSpec
from headrace.usecases.gate.checks import NOTHING_SERVES
from headrace.usecases.gate.judge import judge

ALL = {
    "not_worse", "floor", "slice_floor", "slice_drop", "invariance", "functionality", "hostile_input", "calibration", "size",
    "latency", "parity",
}  # fmt: skip
WORSE = evidence().champion.model_copy(update={"only_champion": 60, "only_candidate": 12}).model_dump()


def check(name, found=None, **gate):
    verdict = judge(found or evidence(), GateSpec.model_validate(gate))
    return next(each for each in verdict.checks if each.name == name)


def test_a_good_candidate_passes_every_check_there_is():
    verdict = judge(evidence(), GateSpec())
    assert {each.name for each in verdict.checks} == ALL
    assert verdict.passed
    assert (verdict.model, verdict.version, verdict.champion) == ("shoes", 7, 3)
    assert verdict.page == "gate/shoes-7.html"


@pytest.mark.parametrize(
    ("name", "change", "figure"),
    [
        ("not_worse", {"champion": WORSE}, None),
        ("floor", {"right": 149}, 149 / 300),
        ("slice_floor", {"slices": [{"name": "shoe", "rows": 50, "right": 4, "champion_right": 4}]}, 0.08),
        ("slice_drop", {"slices": [{"name": "shoe", "rows": 50, "right": 25, "champion_right": 36}]}, 0.22),
        ("invariance", {"behaviour": behaviour(flips={"shifted up by 1": 0.1, "shifted down by 1": 0.26})}, 0.26),
        ("functionality", {"behaviour": behaviour(functionality={"rows": 60, "right": 47})}, 47 / 60),
        ("hostile_input", {"behaviour": behaviour(hostile={"all 0": 0.0, "noise": None})}, None),
        ("hostile_input", {"behaviour": behaviour(hostile={"all 0": 0.5})}, 0.5),
        ("calibration", {"calibration": [{"rows": 10, "confidence": 0.9, "accuracy": 0.7}]}, 0.2),
        ("size", {"cost": {"size_bytes": 100_000_001, "p50_ms": 1, "p99_ms": 1}}, 100.000001),
        ("latency", {"cost": {"size_bytes": 1, "p50_ms": 1, "p99_ms": 100.1}}, 100.1),
        ("parity", {"parity": 2e-4}, 2e-4),
        ("parity", {"parity": None}, None),
    ],
)
def test_each_check_refuses_alone(name, change, figure):
    verdict = judge(evidence(**change), GateSpec())
    (failed,) = verdict.failed
    assert failed.name == name
    assert not verdict.passed
    if figure is not None:
        assert failed.figure == pytest.approx(figure)


def test_a_slice_that_fails_is_named():
    slices = [
        {"name": "shoe", "rows": 100, "right": 97, "champion_right": 97},
        {"name": "bag", "rows": 100, "right": 40, "champion_right": 90},
    ]
    assert check("slice_drop", evidence(slices=slices)).detail == "bag 0.400 (was 0.900)"
    assert check("slice_floor", evidence(slices=slices), slice_floor=0.5).detail == "bag 0.400 (was 0.900)"


def test_where_nothing_serves_the_comparisons_hold_and_say_so():
    alone = evidence(champion=None, slices=[{"name": "shoe", "rows": 300, "right": 270}])
    verdict = judge(alone, GateSpec())
    assert verdict.passed
    assert verdict.champion is None
    assert {each.name for each in verdict.checks if each.detail == NOTHING_SERVES} == {"not_worse", "slice_drop"}


def test_losses_are_compared_where_the_author_asks_for_it():
    higher = evidence().champion.model_copy(update={"least_loss_increase": 0.03}).model_dump()
    assert check("not_worse", comparison="bootstrap").passed
    refused = check("not_worse", evidence(champion=higher), comparison="bootstrap", margin=0.02)
    assert (refused.passed, refused.figure, refused.threshold) == (False, 0.03, 0.02)
    assert check("not_worse", evidence(champion=higher), comparison="bootstrap", margin=0.03).passed


def test_a_limit_of_null_leaves_its_check_out():
    verdict = judge(evidence(parity=None), GateSpec(ece=None, size_mb=None, p99_ms=None, parity=None))
    assert {each.name for each in verdict.checks} == ALL - {"calibration", "size", "latency", "parity"}
    assert verdict.passed


def test_no_record_of_the_trained_network_says_what_to_do():
    assert "train the member again" in check("parity", evidence(parity=None)).detail


def test_a_check_reads_as_a_line():
    assert str(check("floor", floor=0.85)) == "0.9 (at least 0.85) ok"
    assert str(check("latency", p99_ms=0.2)) == "0.21 ms (at most 0.2) FAILED"


@given(
    floor=st.floats(0, 1), slice_floor=st.floats(0, 1), slice_drop=st.floats(0, 1), ece=st.floats(0, 1), margin=st.floats(0, 1)
)
def test_a_verdict_is_the_conjunction_of_its_checks_and_survives_json(floor, slice_floor, slice_drop, ece, margin):
    gate = GateSpec(floor=floor, slice_floor=slice_floor, slice_drop=slice_drop, ece=ece, margin=margin)
    found = evidence()
    verdict = judge(found, gate)
    assert verdict.passed == (not verdict.failed)
    assert judge(Evidence.model_validate_json(found.model_dump_json()), gate) == verdict
    assert type(verdict).model_validate_json(verdict.model_dump_json()) == verdict


@pytest.mark.parametrize("unknown", [{"floors": 0.5}, {"floor": 1.5}, {"significance": 0}, {"invariance": {"rotate": 3}}])
def test_a_gate_that_is_none_is_refused(unknown):
    with pytest.raises(ValueError, match=next(iter(unknown))):
        GateSpec.model_validate(unknown)
