"""Shards: of every epoch each rank sees its own rows, and together they see all of them, once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from headrace.training.examples import Examples
from headrace.training.sharding import epoch_share, share_size

sizes = {
    "rows": some.integers(1, 400),
    "batch_size": some.integers(1, 96),
    "workers": some.integers(1, 5),
    "seed": some.integers(0, 9),
    "epoch": some.integers(0, 9),
}


def _shares(workers, **size):
    return [epoch_share(rank=rank, workers=workers, **size) for rank in range(workers)]


@given(**sizes)
def test_every_row_counts_exactly_once_in_an_epoch(**size):
    counted = np.concatenate([share.rows[share.weights > 0] for share in _shares(**size)])
    assert sorted(counted) == list(range(size["rows"]))


@given(**sizes)
def test_shares_are_equal_and_a_steps_weights_sum_to_one(**size):
    shares = _shares(**size)
    assert {share.rows.shape for share in shares} == {(shares[0].steps, share_size(size["batch_size"], size["workers"]))}
    np.testing.assert_allclose(sum(share.weights.sum(axis=1) for share in shares), 1, rtol=1e-5)


def test_the_global_batches_do_not_depend_on_the_number_of_workers():
    size = {"rows": 100, "batch_size": 24, "seed": 1, "epoch": 2}
    alone, pair = _shares(1, **size), _shares(2, **size)
    np.testing.assert_array_equal(alone[0].rows, np.concatenate([share.rows for share in pair], axis=1))
    np.testing.assert_array_equal(alone[0].weights, np.concatenate([share.weights for share in pair], axis=1))


def test_the_order_is_new_each_epoch_and_the_same_when_repeated():
    size = {"rows": 50, "batch_size": 10, "seed": 1, "rank": 0, "workers": 1}
    first, again, second = (epoch_share(epoch=epoch, **size).rows for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()


def test_rows_are_gathered_over_shards_in_the_order_asked_for():
    images = np.arange(7 * 4, dtype=np.uint8).reshape(7, 2, 2)
    labels = np.arange(7, dtype=np.uint8)
    examples = Examples([(images[:3], labels[:3]), (images[3:4], labels[3:4]), (images[4:], labels[4:])])
    rows = np.array([[6, 0, 3], [2, 4, 2]])
    taken, taken_labels = examples.take(rows)
    assert len(examples) == 7
    np.testing.assert_array_equal(taken, images[rows])
    np.testing.assert_array_equal(taken_labels, labels[rows])
