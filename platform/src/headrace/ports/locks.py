"""Locks that hold across processes and machines."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Locks(Protocol):
    """Named mutual exclusion. A holder that dies, however it dies, releases its locks."""

    def hold(self, name: str) -> AbstractContextManager[bool]:
        """Wait until nobody else holds `name`, then hold it until the context ends. Not re-entrant.

        The context's value says whether it had to wait.
        """
        ...
