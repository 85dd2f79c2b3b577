"""The chart's tests need helm alone."""

import pytest

from cluster.programs import find_program
from helm.chart import Chart


@pytest.fixture(scope="session")
def chart():
    """The chart; skips where helm is not at hand (`make test-cluster` builds it)."""
    if (binary := find_program("helm")) is None:
        pytest.skip("no helm on this machine: `make cluster-up` builds one")
    return Chart(binary)
