"""The composition root: the one place that reads the settings and builds adapters."""

from headrace.bootstrap.platform import Platform
from headrace.bootstrap.wiring import utc_now

__all__ = ["Platform", "utc_now"]
