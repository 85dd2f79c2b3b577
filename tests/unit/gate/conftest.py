"""Networks that several tests look at, trained once."""

import pytest

import tiny_networks


@pytest.fixture(scope="session")
def good():
    """A network that is right on 98 of a hundred examples."""
    return tiny_networks.train()


@pytest.fixture(scope="session")
def shuffled():
    """The same, trained on other examples' labels."""
    return tiny_networks.train(shuffled=True)
