"""What the node says while it works."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
