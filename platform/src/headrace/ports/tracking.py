"""Experiment tracking: one run a training job, opened before its workers start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Tracking(Protocol):
    """Runs of experiments. All methods may raise UnavailableError."""

    def open_run(self, *, experiment: str, name: str, key: str, tags: Mapping[str, str]) -> str:
        """Return the id of the run that `key` stands for, RUNNING; create it when there is none.

        `key` is unique to a training job: a retried job gets the run of its first try back, its earlier metrics kept.
        """
        ...

    def finish_run(self, run_id: str) -> None:
        """Mark the run FINISHED."""
        ...

    def fail_run(self, run_id: str, reason: str) -> None:
        """Mark the run FAILED and keep the reason where a person looks: the tag `headrace.failure` and the description."""
        ...

    def log_page(self, run_id: str, path: str, html: str) -> str:
        """Keep a page as an artifact of the run, replacing one of that path.

        Returns:
            Where the tracking server's own pages show it: a link that holds inside them.
        """
        ...


class RunEnding(Protocol):
    """Ending runs from an event loop that others wait for."""

    async def fail_run(self, run_id: str, reason: str) -> None:
        """As `Tracking.fail_run`. May raise UnavailableError, within 30 s."""
        ...
