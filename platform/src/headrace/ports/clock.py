"""The time, so that freshness can be tested without waiting a fortnight."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Returns the current time, aware, in UTC."""

    def __call__(self) -> datetime:
        """The current time, with its zone."""
        ...
