"""Training workers as processes of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import NoReturn

from headrace.adapters.parent_death import die_with_parent
from headrace.errors import PeerLostError
from headrace.ports.log import LogLine
from headrace.render.tf_config import render_tf_config
from headrace.render.worker_failure import TAIL_LINES, describe_exit, timeout_failure, worker_failure
from headrace.specs.training import JOB_VARIABLE, THREADS_VARIABLE, TrainingJob

GRACE_SECONDS = 3.0
"""Between asking workers to end and ending them. Nothing is lost: what counts is in the checkpoint."""
POLL_SECONDS = 0.1
_TF_CONFIG = "TF_CONFIG"


class LocalTrainingLauncher:
    """Implements `ports.launcher.TrainingLauncher` with this interpreter, on free loopback ports."""

    def __init__(self, *, cores: int | None = None) -> None:
        """Share `cores` equally among a job's workers; by default those that this process may run on."""
        self._cores = cores or len(os.sched_getaffinity(0))

    def run(self, job: TrainingJob, *, environment: Mapping[str, str], log: LogLine) -> None:
        """See the port."""
        with _sigterm_raises():
            crew = _Crew(log)
            try:
                for variables in self._environments(job, environment):
                    crew.start(variables)
                crew.wait(job)
            finally:
                crew.end()

    def _environments(self, job: TrainingJob, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Each worker's variables, by rank."""
        hosts = free_addresses(job.training.workers)
        inherited = {key: value for key, value in os.environ.items() if key != _TF_CONFIG}
        shared = {
            **inherited,
            **environment,
            JOB_VARIABLE: job.model_dump_json(),
            THREADS_VARIABLE: str(max(1, self._cores // len(hosts))),
        }
        for rank in range(len(hosts)):
            config = {_TF_CONFIG: json.dumps(render_tf_config(hosts, rank))} if len(hosts) > 1 else {}
            yield {**shared, **config}


def free_addresses(count: int) -> tuple[str, ...]:
    """Loopback addresses where nobody listens now. Whoever finds that one was taken before it could bind says so and fails."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return tuple(f"127.0.0.1:{each.getsockname()[1]}" for each in sockets)


class _Worker:
    """A worker's process, in a group of its own, and the last lines it printed."""

    def __init__(self, rank: int, variables: Mapping[str, str]) -> None:
        self.rank = rank
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headrace.training"],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
            # The kernel ends it when this thread ends: the call that waits for it, that is, or the whole process.
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock, no memory
        )

    def signal(self, number: int) -> None:
        """Send a signal to the worker and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        return describe_exit(self.process.returncode)


class _Crew:
    """The workers of one job. Lines are handed on by the thread that waits, so `log` need not be thread-safe."""

    def __init__(self, log: LogLine) -> None:
        self._log = log
        self._workers: list[_Worker] = []
        self._readers: list[threading.Thread] = []
        self._lines: queue.Queue[tuple[_Worker, str]] = queue.Queue()

    def start(self, variables: Mapping[str, str]) -> None:
        """Start the next rank."""
        worker = _Worker(len(self._workers), variables)
        self._workers.append(worker)
        reader = threading.Thread(target=self._read, args=(worker,), daemon=True)
        self._readers.append(reader)
        reader.start()

    def wait(self, job: TrainingJob) -> None:
        """Return when all have ended well.

        Raises:
            TrainingFailedError: one did not, or time is up.
        """
        deadline = time.monotonic() + job.training.timeout_minutes * 60
        while any(worker.process.poll() is None for worker in self._workers):
            self._pass_on(wait=POLL_SECONDS)
            self._check(job)
            if time.monotonic() > deadline:
                raise timeout_failure(job, self._workers[0].tail)
        self._drain()
        self._check(job)

    def end(self) -> None:
        """End those that still run, and collect all of them."""
        running = [worker for worker in self._workers if worker.process.poll() is None]
        for worker in running:
            worker.signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in running:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.signal(signal.SIGKILL)
                worker.process.wait()
        self._drain()

    def _check(self, job: TrainingJob) -> None:
        """Raise for the first worker that ended badly; one that was killed before one that only missed its peer."""
        bad = [worker for worker in self._workers if worker.process.poll()]
        if bad:
            first = min(bad, key=_blame)
            self._drain(first.rank)
            raise worker_failure(job, first.rank, first.ending, first.tail)

    def _read(self, worker: _Worker) -> None:
        for line in worker.process.stdout or ():
            self._lines.put((worker, line.rstrip()))

    def _drain(self, *ranks: int) -> None:
        """Wait until the given ranks' output (or everybody's) has been read, and pass it on."""
        for rank in ranks or range(len(self._readers)):
            self._readers[rank].join(timeout=GRACE_SECONDS)
        while not self._lines.empty():
            self._pass_on(wait=0)

    def _pass_on(self, *, wait: float) -> None:
        with contextlib.suppress(queue.Empty):
            worker, line = self._lines.get(timeout=wait) if wait else self._lines.get_nowait()
            worker.tail.append(line)
            self._log(f"[worker {worker.rank}] {line}")


def _blame(worker: _Worker) -> tuple[bool, bool, int]:
    """Orders workers that ended badly: killed before failed before those that only missed a peer."""
    code = worker.process.returncode
    return code == PeerLostError.exit_code, code > 0, worker.rank


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into SystemExit inside the block, so that `finally` runs. Signals reach the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        raise SystemExit(128 + number)

    former = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
