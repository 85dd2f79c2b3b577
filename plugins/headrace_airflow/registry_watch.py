"""The trigger that watches the registry: a moved alias becomes an event of the registry's asset within about a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.bootstrap import Platform

EVERY_SECONDS = 1.0
AGAIN_AFTER_SECONDS = 60.0
"""Longer than reconciling takes as a rule: whoever still waits then had a pass that failed, for a service that was away, say. A
canary waits as well, and is looked at so often."""


class RegistryTrigger(BaseEventTrigger):
    """Fires when something else than what serves is desired of an ensemble, and once a minute while that is still so.

    A look is one request and one count an ensemble, in a thread: the triggerer's event loop never waits for it. MLflow's client
    library is not imported. A registry or database that is away is said once, and looked for with every poll.

    What it sees is a state, not a change, so that nothing it remembers is needed: an event that is lost with its triggerer is
    fired again by the next one, and one that comes twice finds nothing left to do.

    Relied on of Airflow 3.3 (`airflow.jobs.triggerer_job_runner`, `airflow.models.trigger`, `airflow.models.dag`):

    - An asset's watcher keeps its row in the table of triggers as long as an unpaused DAG is scheduled on the asset; the
      dag-processor compares class path and arguments, so equal arguments mean that it is left alone. After a DAG is unpaused the
      row is there with the next parse of its file.
    - A trigger that ends, or raises, is started anew within about a second while its row is there; one of a triggerer that died
      once its heartbeat is `triggerer_health_check_threshold` old (30 s), one of a triggerer that stopped at once.
    - Each event marks the DAG as due: one row a DAG and asset, however many events. While the DAG has `max_active_runs` runs the
      row waits, so that any number of events during a run make one more run after it.

    Args:
        every: seconds between two looks.
    """

    def __init__(self, *, every: float = EVERY_SECONDS) -> None:
        super().__init__()
        self.every = every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What makes the trigger anew in the triggerer."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"every": self.every}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever; the payload of an event is `{"desires": {ensemble: what is desired}}`."""
        platform = await asyncio.to_thread(_platform)
        sightings, trouble = Sightings(), ""
        while True:
            try:
                waiting, said = await asyncio.to_thread(platform.desires), ""
            except HeadraceError as error:
                waiting, said = {}, str(error)
            if said and said != trouble:
                self.log.warning("the registry cannot be watched: %s", said)
            trouble = said
            if sightings.fires(waiting, time.monotonic()):
                yield TriggerEvent({"desires": waiting})
            await asyncio.sleep(self.every)


class Sightings:
    """What has been seen waiting, and when that was last told."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()
        self._at = 0.0

    def fires(self, waiting: Mapping[str, str], now: float) -> bool:
        """Whether to tell of this: when something is new in it, or the last time is long enough ago.

        Args:
            waiting: what is desired of each ensemble that waits.
            now: seconds, on any clock that never goes back.
        """
        new = waiting.items() - self._told
        self._told = set(waiting.items())
        if new or (waiting and now - self._at >= AGAIN_AFTER_SECONDS):
            self._at = now
            return True
        return False


def _platform() -> Platform:
    from headrace.bootstrap import Platform

    return Platform()
