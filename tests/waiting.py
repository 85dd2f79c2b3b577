"""Waiting for a condition instead of for a time."""

import time

_POLL_SECONDS = 0.2


def wait_for(condition, within, what):
    """Wait until the condition holds and return its value; an assertion fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(_POLL_SECONDS)
    return value
