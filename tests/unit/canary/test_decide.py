"""Whether a canary goes on, goes back, or waits, by what was counted."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.specs.canary import BranchFigures, CanaryFigures, CanarySpec
from headrace.usecases.canary.decide import Outcome, decide

ON, BACK, WAIT = Outcome.ON, Outcome.BACK, Outcome.WAIT
OVER = timedelta(minutes=10)
UNDER_WAY = timedelta(minutes=4)


def spec(**options):
    return CanarySpec(**{"share": "10%", "duration": OVER, "minimum": 50, **options})


def branch(requests, errors=0, latency=0.01):
    return BranchFigures(requests=requests, errors=errors, seconds=(requests - errors) * latency)


def outcome(new, former, *, elapsed=OVER, agreement=None, **options):
    figures = CanaryFigures(new=new, former=former)
    return decide(spec(**options), figures, elapsed=elapsed, agreement=agreement)


def test_what_is_within_its_limits_waits_for_the_end_and_goes_on_then_with_its_figures():
    good = branch(100, latency=0.012), branch(900, errors=1)
    waiting = outcome(*good, elapsed=UNDER_WAY)
    assert (waiting.outcome, waiting.reason.split(".")[0]) == (WAIT, "for 4 min of 10 min")
    gone_on = outcome(*good, agreement=0.97)
    assert gone_on.outcome is ON
    assert gone_on.reason == (
        "within its limits after 10 min. new: 0 of 100 requests failed (0.00 %), answers took 12.0 ms; "
        "former: 1 of 900 requests failed (0.11 %), answers took 10.0 ms; they agree on 97.0 % of the examples"
    )


def test_so_many_requests_end_it_before_its_time():
    assert outcome(branch(59), branch(600), elapsed=UNDER_WAY, requests=60).outcome is WAIT
    assert outcome(branch(60), branch(600), elapsed=UNDER_WAY, requests=60).outcome is ON
    assert outcome(branch(30), branch(600), elapsed=UNDER_WAY, requests=30).outcome is ON, "no more than that are needed"


def test_errors_beyond_doubt_end_it_at_once_with_however_few_requests():
    decision = outcome(branch(12, errors=9), branch(110), elapsed=timedelta(seconds=20))
    assert decision.outcome is BACK
    assert "it fails at" in decision.reason
    assert "9 of 12 requests failed (75.00 %)" in decision.reason


def test_errors_that_may_be_chance_are_waited_for_and_held_against_it_in_the_end():
    unlucky = branch(60, errors=2), branch(540)
    assert outcome(*unlucky, elapsed=UNDER_WAY).outcome is WAIT
    assert outcome(*unlucky).outcome is BACK
    assert outcome(*unlucky, error_rate=0.05).outcome is ON


def test_what_callers_do_wrong_is_no_version_s_error():
    assert outcome(branch(200, errors=40), branch(1800, errors=360)).outcome is ON


def test_latency_is_judged_as_soon_as_there_are_enough_requests_of_both():
    slow = branch(50, latency=0.016)
    decision = outcome(slow, branch(450), elapsed=UNDER_WAY)
    assert decision.outcome is BACK
    assert decision.reason.startswith("it takes 1.60 times as long; 1.5 times is allowed. new: 0 of 50")
    assert outcome(branch(49, latency=0.016), branch(450), elapsed=UNDER_WAY).outcome is WAIT
    assert outcome(slow, branch(49), elapsed=UNDER_WAY).outcome is WAIT
    assert outcome(slow, branch(450), latency_ratio=2).outcome is ON


@pytest.mark.parametrize(("too_few", "then"), [("back", BACK), ("on", ON), ("wait", WAIT)])
@pytest.mark.parametrize(("new", "former"), [(49, 900), (900, 49), (0, 0)])
def test_too_few_requests_in_the_end_do_what_the_spec_says(too_few, then, new, former):
    decision = outcome(branch(new), branch(former), too_few=too_few)
    assert decision.outcome is then
    assert decision.reason.startswith(f"too few requests in 10 min to tell, 50 of each ensemble are needed (too_few: {too_few})")


def test_too_few_requests_do_not_let_a_version_on_that_fails_beyond_doubt():
    assert outcome(branch(12, errors=12), branch(110), too_few="on").outcome is BACK


def test_an_ensemble_of_which_nothing_is_answered_is_not_compared():
    everything_fails = branch(100, errors=100)
    assert outcome(everything_fails, everything_fails).outcome is BACK


def test_agreement_without_a_limit_decides_nothing():
    assert outcome(branch(100), branch(900), agreement=0.1).outcome is ON


def limited(new, former, *, agreement, elapsed=OVER, compared=0, agreed=0, **options):
    figures = CanaryFigures(new=new, former=former, compared=compared, agreed=agreed)
    return decide(spec(agreement=0.8, **options), figures, elapsed=elapsed, agreement=agreement)


def test_too_little_agreement_on_the_validation_split_needs_no_request_to_show():
    decision = limited(branch(0), branch(0), agreement=0.7, elapsed=UNDER_WAY)
    assert decision.outcome is BACK
    assert decision.reason.startswith("both agree on 70.0 % of the examples only; 80 % are asked for")
    assert limited(branch(100), branch(900), agreement=0.8).outcome is ON


def test_an_agreement_that_is_asked_for_and_not_known_holds_it_back_in_the_end():
    assert limited(branch(100), branch(900), agreement=None, elapsed=UNDER_WAY).outcome is WAIT
    decision = limited(branch(100), branch(900), agreement=None)
    assert (decision.outcome, decision.reason.split(".")[0]) == (BACK, "how often both agree is asked for and not known")


def test_a_shadow_agrees_by_its_answers_once_there_are_enough():
    good = branch(100), branch(100)
    assert limited(*good, agreement=1.0, compared=49, agreed=0, mode="shadow", elapsed=UNDER_WAY).outcome is WAIT
    assert limited(*good, agreement=1.0, compared=50, agreed=39, mode="shadow", elapsed=UNDER_WAY).outcome is BACK
    assert limited(*good, agreement=0.0, compared=100, agreed=80, mode="shadow").outcome is ON


COUNTS = st.integers(0, 3000)
BRANCHES = st.builds(
    lambda answered, errors, latency: branch(answered + errors, errors, latency), COUNTS, COUNTS, st.floats(1e-4, 1)
)


@given(BRANCHES, BRANCHES, st.integers(0, 20).map(lambda minutes: timedelta(minutes=minutes)))
def test_what_goes_on_was_not_worse_and_nothing_waits_beyond_its_time(new, former, elapsed):
    canary = spec()
    decision = decide(canary, CanaryFigures(new=new, former=former), elapsed=elapsed, agreement=None)
    if decision.outcome is ON:
        assert elapsed >= OVER
        assert min(new.requests, former.requests) >= canary.enough
        assert new.error_rate - former.error_rate <= canary.error_rate
        assert new.latency <= canary.latency_ratio * former.latency
    if decision.outcome is WAIT:
        assert elapsed < OVER
    assert str(CanaryFigures(new=new, former=former)) in decision.reason
