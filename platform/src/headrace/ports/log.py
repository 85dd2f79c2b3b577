"""Where the output of processes goes as it comes."""

from __future__ import annotations

from collections.abc import Callable

LogLine = Callable[[str], None]
"""Takes one line, without its end; a worker's is marked with its rank."""
