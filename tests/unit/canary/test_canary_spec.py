"""A canary as an author writes it, and figures that are summed."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from headrace.specs.canary import BranchFigures, CanaryFigures, CanarySpec
from headrace.specs.serving import EnsembleSpec


def ensemble(canary):
    return EnsembleSpec(name="e", model="m", canary=canary)


def test_there_is_none_unless_it_is_asked_for():
    assert EnsembleSpec(name="e", model="m").canary is None


@pytest.mark.parametrize("written", ["10%", " 10.0 % ", 0.1, {"share": "10%"}, {"share": 0.1}])
def test_a_share_is_written_as_people_write_it(written):
    canary = ensemble(written).canary
    assert (canary.share, canary.percent, canary.duration) == (0.1, "10 %", timedelta(minutes=30))
    assert EnsembleSpec.model_validate_json(ensemble(written).model_dump_json()) == ensemble(written)


@pytest.mark.parametrize("written", ["100%", "0%", "-5%", "ten", True, 10, {}])
def test_a_share_that_makes_no_sense_is_refused(written):
    with pytest.raises(ValidationError):
        ensemble(written)


@pytest.mark.parametrize(
    "option",
    [{"mode": "both"}, {"duration": "PT0S"}, {"requests": 0}, {"agreement": 2}, {"latency": 2}, {"too_few": "perhaps"}],
)
def test_what_makes_no_sense_is_refused(option):
    with pytest.raises(ValidationError):
        ensemble({"share": "10%", **option})


def test_never_more_requests_are_needed_than_end_it():
    assert CanarySpec(share=0.1, minimum=100).enough == 100
    assert CanarySpec(share=0.1, minimum=100, requests=30).enough == 30


def test_the_figures_of_several_processes_are_one_s():
    one = CanaryFigures(new=BranchFigures(requests=3, errors=1, seconds=0.2), compared=3, agreed=2)
    other = CanaryFigures(new=BranchFigures(requests=7, seconds=0.7), former=BranchFigures(requests=9), compared=1)
    both = one + other
    assert (both.new.requests, both.new.errors, both.former.requests) == (10, 1, 9)
    assert both.new.latency == pytest.approx(0.1)
    assert both.agreement == 0.5
    assert str(both.former) == "0 of 9 requests failed (0.00 %), answers took 0.0 ms"
    assert str(CanaryFigures().new) == "no requests"
