"""The chart's tests need helm alone."""

import pytest

from helm.chart import Chart, helm_binary


@pytest.fixture(scope="session")
def chart():
    """The chart; skips where helm is not at hand (`make test-cluster` builds it)."""
    if (binary := helm_binary()) is None:
        pytest.skip("no helm on this machine: `make cluster-up` builds one")
    return Chart(binary)
