"""Changed, typical and hostile inputs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.ports.source import Batch
from headrace.specs.gate import InvarianceSpec
from headrace.usecases.gate.behaviour import brightened, changes, hostile_inputs, most_typical, shifted

IMAGE = np.array([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]], np.uint8)


def test_a_shift_moves_the_content_and_repeats_the_edge_it_leaves():
    assert shifted(IMAGE, down=1, right=0).tolist() == [[[1, 2, 3], [1, 2, 3], [4, 5, 6]]]
    assert shifted(IMAGE, down=0, right=-2).tolist() == [[[3, 3, 3], [6, 6, 6], [9, 9, 9]]]


@given(down=st.integers(-3, 3), right=st.integers(-3, 3))
def test_a_shift_brings_in_nothing_new(down, right):
    found = shifted(IMAGE, down=down, right=right)
    assert (found.shape, found.dtype) == (IMAGE.shape, IMAGE.dtype)
    assert set(found.ravel()) <= set(IMAGE.ravel())


def test_light_is_rounded_and_ends_at_white():
    assert brightened(np.array([[[0, 5, 100, 250]]], np.uint8), factor=1.1).tolist() == [[[0, 6, 110, 255]]]


def test_changes_are_those_asked_for():
    assert list(changes(InvarianceSpec(shift_pixels=2, brightness=0.2))) == [
        "shifted up by 2",
        "shifted down by 2",
        "shifted left by 2",
        "shifted right by 2",
        "brightness × 0.8",
        "brightness × 1.2",
    ]
    assert not changes(InvarianceSpec(shift_pixels=0, brightness=0))


def test_hostile_inputs_are_of_the_examples_shape():
    found = hostile_inputs((4, 5))
    assert {name: (inputs.shape[1:], inputs.dtype) for name, inputs in found.items()} == dict.fromkeys(
        ("all 0", "all 255", "noise"), ((4, 5), np.dtype(np.uint8))
    )
    assert [int(found[name].min()) for name in ("all 0", "all 255")] == [0, 255]


def test_the_most_typical_are_those_nearest_to_the_mean_of_their_class():
    """Class 0 lies around 10, class 1 around 200; each has one example far off, and the pieces cut a class in two."""
    values, labels = [10, 11, 9, 90, 200, 199, 120, 201], [0, 0, 0, 0, 1, 1, 1, 1]
    images = np.array(values, np.uint8).reshape(-1, 1, 1)
    pieces = [Batch(images[:3], np.array(labels[:3], np.uint8)), Batch(images[3:], np.array(labels[3:], np.uint8))]
    assert most_typical(pieces, classes=2, per_class=3).tolist() == [0, 1, 2, 4, 5, 7]
    # A class has as many as it has.
    assert len(most_typical(pieces, classes=3, per_class=100)) == 8
