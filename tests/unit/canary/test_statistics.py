"""The bounds of an error rate hold at all looks together, and show what there is to show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.specs.canary import BranchFigures
from headrace.usecases.canary.statistics import error_bounds, excess_at_least


def counted(errors, requests):
    return BranchFigures(requests=requests, errors=errors)


def test_nothing_is_known_before_the_first_request():
    assert error_bounds(counted(0, 0), 0.05) == (0.0, 1.0)


# Solved by hand: without an error, (n + 1) (1 - p)^n = significance.
@pytest.mark.parametrize("requests", [1, 20, 1000])
def test_the_bound_without_an_error_is_the_formula_s(requests):
    low, high = error_bounds(counted(0, requests), 0.05)
    assert low == 0.0
    assert high == pytest.approx(1 - (0.05 / (requests + 1)) ** (1 / requests))


@given(st.integers(0, 500), st.integers(1, 500), st.floats(0.001, 0.3))
def test_the_observed_rate_lies_within_and_failures_mirror_successes(errors, more, significance):
    requests = errors + more
    low, high = error_bounds(counted(errors, requests), significance)
    assert 0 <= low <= errors / requests <= high <= 1
    mirrored = error_bounds(counted(requests - errors, requests), significance)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-9)


@given(st.integers(0, 40), st.integers(41, 80))
def test_more_requests_of_the_same_kind_tell_more(errors, requests):
    low, high = error_bounds(counted(errors, requests), 0.05)
    lower, higher = error_bounds(counted(10 * errors, 10 * requests), 0.05)
    assert low <= lower <= higher <= high


def test_who_looks_after_every_request_is_misled_no_more_often_than_was_said():
    rate, significance, looks = 0.1, 0.2, 400
    generator = np.random.default_rng(1)
    misled = 0
    for _ in range(300):
        errors = np.cumsum(generator.random(looks) < rate)
        bounds = (error_bounds(counted(int(errors[n - 1]), n), significance) for n in range(1, looks + 1, 3))
        misled += any(not low <= rate <= high for low, high in bounds)
    assert misled / 300 <= significance


def test_an_excess_is_shown_by_few_requests_when_it_is_large_and_not_by_chance():
    assert excess_at_least(counted(10, 20), counted(0, 180), 0.05) > 0.1
    assert excess_at_least(counted(1, 20), counted(0, 180), 0.05) < 0
    assert excess_at_least(counted(100, 1000), counted(900, 9000), 0.05) < 0
    assert excess_at_least(counted(5, 5), counted(0, 0), 0.05) < 0, "the former one is not known to do better"
