"""The gate's statistics: against published figures, against scipy, and by what must hold of any of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm

from headrace.usecases.gate.statistics import (
    NO_ANSWER,
    answers_of,
    binomial_tail,
    calibration_bins,
    expected_calibration_error,
    losses,
    mcnemar,
    paired_bootstrap,
)

COUNTS = st.integers(0, 400)


def test_mcnemar_on_the_approval_ratings_of_agresti():
    """Agresti, Categorical Data Analysis (2002), table 10.1: 1600 people, 150 changed to disapproval, 86 to approval.

    R's exact2x2 gives 3.716e-05 for the exact two-sided test, which is twice the one-sided one.
    """
    one_sided = mcnemar(only_champion=150, only_candidate=86, rows=1600, margin=0)
    assert 2 * one_sided == pytest.approx(3.716e-05, rel=1e-3)


def test_a_margin_asks_whether_it_is_worse_by_more_than_that():
    """The drop is (150 - 86) / 1600 = 4 %: beyond chance, if 0 to 2 % are allowed, and not, if 4 % are."""
    p = [mcnemar(only_champion=150, only_candidate=86, rows=1600, margin=margin) for margin in (0, 0.01, 0.02, 0.04, 0.2)]
    assert p == sorted(p)
    assert p[1] < p[2] < 0.05 < p[3]
    assert p[2] == pytest.approx(binom.sf(149, 236, (1 + 0.02 * 1600 / 236) / 2), rel=1e-9)
    assert p[4] == 1


def test_two_that_are_equal_or_of_which_the_candidate_is_better_are_not_told_apart():
    assert mcnemar(only_champion=0, only_candidate=0, rows=10, margin=0) == 1
    assert mcnemar(only_champion=20, only_candidate=20, rows=100, margin=0) > 0.5
    assert mcnemar(only_champion=0, only_candidate=40, rows=100, margin=0) == 1


@given(champion=COUNTS, candidate=COUNTS)
def test_without_a_margin_it_is_the_sign_test(champion, candidate):
    found = mcnemar(only_champion=champion, only_candidate=candidate, rows=1000, margin=0)
    trials = champion + candidate
    expected = binomtest(champion, trials, alternative="greater").pvalue if trials else 1
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-300)


@given(champion=COUNTS, candidate=COUNTS, margin=st.floats(0, 0.5))
def test_it_is_a_probability_that_falls_with_every_example_that_the_champion_alone_gets_right(champion, candidate, margin):
    more, less = (mcnemar(only_champion=champion + extra, only_candidate=candidate, rows=1000, margin=margin) for extra in (1, 0))
    assert 0 <= more <= less + 1e-12
    assert less <= 1


@given(trials=st.integers(1, 300), probability=st.floats(0.01, 0.99), data=st.data())
def test_the_binomial_tail_is_scipys(trials, probability, data):
    successes = data.draw(st.integers(0, trials))
    assert binomial_tail(successes, trials, probability) == pytest.approx(
        binom.sf(successes - 1, trials, probability), rel=1e-7, abs=1e-300
    )


def test_the_bootstraps_interval_is_the_one_of_the_normal_distribution_where_that_holds():
    differences = np.random.default_rng(3).normal(0.02, 0.3, 4000)
    expected = differences.mean() + norm.ppf(0.05) * differences.std() / np.sqrt(len(differences))
    assert paired_bootstrap(differences, significance=0.05) == pytest.approx(expected, abs=5e-4)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=50))
def test_the_bootstrap_is_repeatable_and_stays_among_the_differences(values):
    differences = np.array(values)
    found = paired_bootstrap(differences, significance=0.05)
    assert found == paired_bootstrap(differences, significance=0.05)
    assert differences.min() - 1e-9 <= found <= differences.max() + 1e-9


def test_losses_are_the_negative_log_likelihood_and_bounded_whatever_comes():
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [0, 1], [np.nan, 1]], np.float32)
    found = losses(probabilities, np.array([0, 1, 0, 0]))
    assert found[:2] == pytest.approx([np.log(2), -np.log(0.75)])
    assert np.isfinite(found).all()
    assert found[2] == found[3] > 80


def test_an_answer_that_is_not_finite_is_none():
    probabilities = np.array([[0.1, 0.9], [np.nan, 0.9], [np.inf, 0]], np.float32)
    assert answers_of(probabilities).tolist() == [1, NO_ANSWER, NO_ANSWER]


def test_calibration_by_hand():
    """Two bins hold examples: three at confidence 0.6 of which one is right, and one at 1.0 that is right."""
    probabilities = np.array([[0.6, 0.4], [0.6, 0.4], [0.4, 0.6], [1, 0]], np.float32)
    bins = calibration_bins(probabilities, np.array([0, 1, 0, 0]), bins=10)
    assert sorted(each.rows for each in bins)[-2:] == [1, 3]
    assert expected_calibration_error(bins) == pytest.approx(3 / 4 * (0.6 - 1 / 3))


def by_definition(probabilities, labels, bins):
    """Equation 5 of Guo et al. (2017), example by example."""
    error = 0.0
    confidences = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    for m in range(1, bins + 1):
        inside = (np.ceil(confidences * bins) == m) | ((m == 1) & (confidences == 0))
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidences[inside].mean())
    return error


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 200), classes=st.integers(2, 6))
def test_calibration_is_what_its_definition_says(seed, rows, classes):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(classes) * 0.5, rows).astype(np.float32)
    labels = random.integers(0, classes, rows)
    bins = calibration_bins(probabilities, labels)
    error = expected_calibration_error(bins)
    assert sum(each.rows for each in bins) == rows
    assert 0 <= error <= 1
    assert error == pytest.approx(by_definition(probabilities, labels, 15), abs=1e-9)


def test_a_network_that_is_sure_and_always_wrong_is_as_badly_calibrated_as_can_be():
    probabilities = np.array([[1, 0]] * 10, np.float32)
    assert expected_calibration_error(calibration_bins(probabilities, np.ones(10, np.int64))) == 1
    assert expected_calibration_error(calibration_bins(probabilities, np.zeros(10, np.int64))) == 0
