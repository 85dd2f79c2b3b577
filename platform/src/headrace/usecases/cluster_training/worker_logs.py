"""What a job's workers print, passed on while they run: each line once, with its rank."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from headrace.errors import HeadraceError, NotFoundError, UnavailableError
from headrace.ports.log import LogLine
from headrace.ports.worker_pods import LoggedLine, WorkerPod, WorkerPods
from headrace.render.worker_failure import TAIL_LINES

LINES_LIMIT = 5_000
"""Of one worker, passed on; of what it prints beyond, only the last lines are shown."""
LENGTH_LIMIT = 4_000
"""Characters of a line."""
RECONNECT_SECONDS = 1.0
FINISH_SECONDS = 15.0
"""To read what the workers of a finished job still had to say."""


class WorkerLogs:
    """Follows the logs of a job's pods, side by side, until the context ends.

    A stream that breaks off is taken up again after the last line that came.

    Attributes:
        positions: by rank, `LoggedLine.at` of the last line passed on.
    """

    def __init__(self, pods: WorkerPods, *, log: LogLine, positions: Mapping[int, str]) -> None:
        """Begin after `positions`."""
        self.positions = dict(positions)
        self._pods = pods
        self._log = log
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._ended: set[str] = set()
        self._counts: dict[int, int] = defaultdict(int)
        self._tails: dict[int, deque[str]] = defaultdict(lambda: deque(maxlen=TAIL_LINES))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._cancel()

    def follow(self, workers: Sequence[WorkerPod]) -> None:
        """Take up the logs of pods that have started since, and note which have ended: those, and those that are gone."""
        for worker in workers:
            if worker.started and worker.name not in self._streams:
                self._streams[worker.name] = asyncio.create_task(self._stream(worker))
        running = {worker.name for worker in workers if worker.ending is None}
        self._ended.update(self._streams.keys() - running)

    async def finish(self) -> None:
        """Read to the end the logs of a job that has ended."""
        self._ended.update(self._streams)
        if self._streams:
            await asyncio.wait(self._streams.values(), timeout=FINISH_SECONDS)
        for rank, count in sorted(self._counts.items()):
            if count > LINES_LIMIT:
                for text in self._tails[rank]:
                    self._log(f"[worker {rank}] {text}")

    async def tail(self, worker: WorkerPod) -> Sequence[str]:
        """A worker's last lines: the pod's, or, when it is gone, those that were passed on."""
        try:
            lines = await self._pods.tail(worker.name, lines=TAIL_LINES)
        except HeadraceError:
            lines = ()  # what was passed on will do
        return lines or tuple(self._tails[worker.rank])

    async def _stream(self, worker: WorkerPod) -> None:
        while True:
            # A stream that begins after the end is complete when it stops; any other may just have broken off.
            last = worker.name in self._ended
            try:
                await self._read(worker)
            except NotFoundError:
                if last:
                    return
            except UnavailableError:
                last = False
            except HeadraceError as error:
                self._log(f"[worker {worker.rank}] its log cannot be read: {error}")
                return
            if last:
                return
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _read(self, worker: WorkerPod) -> None:
        async for line in self._pods.log(worker.name, after=self.positions.get(worker.rank, "")):
            if line.at > self.positions.get(worker.rank, ""):
                self._pass_on(worker.rank, line)

    def _pass_on(self, rank: int, line: LoggedLine) -> None:
        text = line.text[:LENGTH_LIMIT]
        self.positions[rank] = line.at
        self._tails[rank].append(text)
        self._counts[rank] += 1
        if self._counts[rank] <= LINES_LIMIT:
            self._log(f"[worker {rank}] {text}")
        elif self._counts[rank] == LINES_LIMIT + 1:
            self._log(f"[worker {rank}] … more than {LINES_LIMIT} lines; only its last ones will be shown, when it has ended")

    async def _cancel(self) -> None:
        for stream in self._streams.values():
            stream.cancel()
        await asyncio.gather(*self._streams.values(), return_exceptions=True)
