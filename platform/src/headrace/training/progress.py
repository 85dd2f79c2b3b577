"""Where the job stands, put into the store about once a second: whoever watches reads it there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from headrace.ports.store import ObjectStore
from headrace.specs.training import TrainingProgress

EVERY = 1.0
"""Seconds between puts."""


class ProgressReporter:
    """Puts `<prefix>progress.json`; the chief has one."""

    def __init__(self, store: ObjectStore, key: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._key = key
        self._now = now
        self._last = -EVERY

    def report(
        self, *, epoch: int, epochs: int, step: int, steps: int, images_per_second: float, metrics: Mapping[str, float]
    ) -> None:
        """Say where training stands, unless that was said less than a second ago; an epoch's start and end are always said."""
        if 0 < step < steps and self._now() - self._last < EVERY:
            return
        self._last = self._now()
        progress = TrainingProgress(
            epoch=epoch, epochs=epochs, step=step, steps=steps, images_per_second=images_per_second, metrics=dict(metrics)
        )
        self._store.put_bytes(self._key, progress.model_dump_json().encode())
