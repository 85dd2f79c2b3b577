"""One embedded stack for the whole end-to-end suite: starting it takes half a minute."""

import pytest

from embedded_stack import temporary_stack


@pytest.fixture(scope="session")
def stack():
    """A running stack. Whoever kills something in it leaves it healthy."""
    with temporary_stack() as running:
        running.headrace("up")
        yield running
