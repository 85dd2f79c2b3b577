"""Choosing an ensemble by what its candidates answered to the validation split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import CorruptError, InvalidSpecError
from headrace.usecases.ensemble import PICKS_PER_SLOT, score, select

LABELS = np.array([0, 0, 1, 1])


def sure_of_label(*probabilities):
    """Predictions of two classes, by the probability given to each row's label."""
    rows = np.array(probabilities, dtype=np.float32)
    return np.stack([np.where(LABELS == 0, rows, 1 - rows), np.where(LABELS == 0, 1 - rows, rows)], axis=1)


@st.composite
def candidates(draw):
    """Predictions of up to six candidates for up to 30 rows of three classes, some of them alike."""
    rows = draw(st.integers(1, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = random.integers(0, 3, rows)
    kinds = [random.dirichlet([0.5, 0.5, 0.5], rows).astype(np.float32) for _ in range(4)]
    kinds.append(np.eye(3, dtype=np.float32)[labels])
    chosen = draw(st.dictionaries(st.integers(1, 99), st.sampled_from(range(5)), min_size=1, max_size=6))
    return {version: kinds[kind] for version, kind in chosen.items()}, labels


def test_those_that_err_on_different_rows_are_better_together_than_the_best_alone():
    predictions = {
        1: sure_of_label(0.9, 0.9, 0.9, 0.4),
        2: sure_of_label(0.8, 0.8, 0.4, 0.4),
        3: sure_of_label(0.2, 0.6, 0.6, 0.9),
    }
    selection = select(predictions, LABELS, size=2)
    assert selection.weights == {1: 1.0, 3: 1.0}
    assert [pick.version for pick in selection.path] == [1, 3]
    assert [pick.score.accuracy for pick in selection.path] == [0.75, 1.0]


def test_what_would_make_the_mean_worse_is_left_out_unless_the_minimum_asks_for_it():
    predictions = {1: sure_of_label(0.9, 0.9, 0.9, 0.9), 2: sure_of_label(0.0, 0.0, 0.5, 0.5)}
    assert select(predictions, LABELS, size=2).weights == {1: 1.0}
    assert select(predictions, LABELS, size=2, minimum=2).weights == {1: 1.0, 2: 1.0}
    assert select(predictions, LABELS, size=2, minimum=2, weighted=True).weights.keys() == {1, 2}
    assert select(predictions, LABELS, size=1, minimum=2).weights == {1: 1.0}


def test_a_candidate_that_is_needed_more_weighs_more():
    predictions = {1: sure_of_label(0.8, 0.8, 0.8, 0.3), 2: sure_of_label(0.1, 0.1, 0.1, 0.95)}
    assert select(predictions, LABELS, size=2).weights == {1: 1.0}
    weighted = select(predictions, LABELS, size=2, weighted=True)
    assert weighted.weights == {1: 2.0, 2: 1.0}
    assert weighted.score.accuracy == 1.0


def test_ties_go_to_the_smaller_log_loss_then_to_the_smaller_ensemble_then_to_the_older_version():
    unsure, sure = sure_of_label(0.6, 0.6, 0.6, 0.6), sure_of_label(0.9, 0.9, 0.9, 0.9)
    assert select({1: unsure, 2: sure}, LABELS, size=2).weights == {2: 1.0}
    assert select({9: sure, 4: sure}, LABELS, size=2).weights == {4: 1.0}


def test_the_score_is_that_of_the_weighted_mean():
    predictions = {1: sure_of_label(0.9, 0.9, 0.9, 0.2), 2: sure_of_label(0.3, 0.9, 0.9, 0.6)}
    found = score(predictions, LABELS, {1: 3.0, 2: 1.0})
    assert found.accuracy == 0.75
    assert found.log_likelihood == pytest.approx(np.log([0.75, 0.9, 0.9, 0.3]).mean(), rel=1e-6)
    assert np.isfinite(score({1: sure_of_label(0.0, 0, 0, 0)}, LABELS, {1: 1.0}).log_likelihood)


@given(given=candidates(), size=st.integers(1, 4), weighted=st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_candidate_alone_does_better(given, size, weighted):
    predictions, labels = given
    selection = select(predictions, labels, size=size, weighted=weighted)
    assert selection.score >= max(score(predictions, labels, {version: 1.0}) for version in predictions)
    assert selection.score == score(predictions, labels, selection.weights)


@given(given=candidates(), size=st.integers(1, 4), minimum=st.integers(1, 4), weighted=st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_ensemble_has_the_size_and_the_weights_that_were_asked_for(given, size, minimum, weighted):
    predictions, labels = given
    if len(predictions) < min(minimum, size):
        with pytest.raises(InvalidSpecError, match="cannot make an ensemble of at least"):
            select(predictions, labels, size=size, minimum=minimum, weighted=weighted)
        return
    weights = select(predictions, labels, size=size, minimum=minimum, weighted=weighted).weights
    assert min(minimum, size) <= len(weights) <= size
    assert sum(weights.values()) <= size * PICKS_PER_SLOT
    assert weighted or set(weights.values()) == {1.0}


@given(given=candidates(), size=st.integers(1, 4), weighted=st.booleans(), shuffling=st.randoms())
@settings(max_examples=100, deadline=None)
def test_the_order_in_which_candidates_come_decides_nothing(given, size, weighted, shuffling):
    predictions, labels = given
    items = list(predictions.items())
    shuffling.shuffle(items)
    first, second = (select(dict(each), labels, size=size, weighted=weighted) for each in (predictions.items(), items))
    assert first == second
    assert list(first.weights) == list(second.weights)


@pytest.mark.parametrize(
    "other",
    [sure_of_label(0.5, 0.5, 0.5, 0.5)[:3], np.full((4, 3), 1 / 3, np.float32), sure_of_label(0.5, 0.5, 0.5, np.nan)],
    ids=["other rows", "other classes", "no number"],
)
def test_predictions_that_cannot_be_compared_are_refused(other):
    with pytest.raises(CorruptError, match=r"rows and classes|no finite number"):
        select({1: sure_of_label(0.9, 0.9, 0.9, 0.9), 2: other}, LABELS, size=2)
