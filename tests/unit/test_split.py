"""The split: exact, in proportion, the same for the same seed, however the rows arrive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidSpecError, SourceError
from headrace.usecases.split import HoldOut, class_counts, quotas

COUNTS = st.lists(st.integers(0, 400), min_size=2, max_size=12).filter(lambda counts: sum(counts) > 1)


def chosen(labels, held_out, seed, batch_rows):
    labels = np.array(labels, np.uint8)
    hold_out = HoldOut(class_counts([labels], 12), held_out, seed)
    parts = [hold_out.choose(labels[start : start + batch_rows]) for start in range(0, len(labels), batch_rows)]
    return np.concatenate(parts)


@given(counts=COUNTS, data=st.data())
def test_quotas_are_exact_and_proportional(counts, data):
    held_out = data.draw(st.integers(0, sum(counts) - 1))
    shares = quotas(counts, held_out)
    assert sum(shares) == held_out
    for share, count in zip(shares, counts, strict=True):
        assert 0 <= share <= count
        assert abs(share - held_out * count / sum(counts)) < 1


@given(labels=st.lists(st.integers(0, 11), min_size=2, max_size=300), seed=st.integers(0, 2**32), data=st.data())
def test_each_class_gives_its_quota_and_the_batches_do_not_matter(labels, seed, data):
    held_out = data.draw(st.integers(0, len(labels) - 1))
    mask = chosen(labels, held_out, seed, batch_rows=len(labels))
    counts = np.bincount(labels, minlength=12)
    assert np.bincount(np.array(labels)[mask], minlength=12).tolist() == quotas(counts.tolist(), held_out)
    assert (mask == chosen(labels, held_out, seed, batch_rows=data.draw(st.integers(1, 50)))).all()


def test_another_seed_chooses_other_rows():
    labels = np.arange(1000) % 10
    assert (chosen(labels, 100, 1, 1000) != chosen(labels, 100, 2, 1000)).any()


def test_every_row_is_as_likely_as_any_other():
    """Over many seeds each of 20 rows is chosen half of the time: within 5 standard deviations of a binomial."""
    labels = np.zeros(20, np.uint8)
    times = sum(chosen(labels, 10, seed, 20).astype(int) for seed in range(2000))
    assert np.abs(times - 1000).max() < 5 * np.sqrt(2000 * 0.25)


@pytest.mark.parametrize("held_out", [10, 11])
def test_something_must_be_left_to_train_on(held_out):
    with pytest.raises(InvalidSpecError, match="cannot be held out of 10 training rows"):
        quotas([4, 6], held_out)


def test_a_label_without_a_class_is_refused():
    with pytest.raises(SourceError, match="labels go up to 7, but the spec names 7 classes"):
        class_counts([np.array([0, 6], np.uint8), np.array([7], np.uint8)], 7)
