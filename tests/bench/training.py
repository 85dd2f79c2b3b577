"""How fast a member trains, and what it costs to spread one over two workers of one core each."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from bench.rows import Row, row
from headrace.specs.dataset import Split
from headrace.specs.training import TrainingSpec
from training_world import TrainingWorld, tracking_url

TRIES = 2
"""Of each kind, in turn; the faster counts: what else the machine does can only slow one down."""
ROWS = {Split.TRAIN: 25_000, Split.VALIDATION: 1000, Split.TEST: 1000}


@dataclass(frozen=True)
class Measured:
    """One job.

    Attributes:
        images_per_second: in its second epoch, when everything is traced and mapped.
        start: seconds from the launch to the first step.
    """

    images_per_second: float
    start: float


def rows() -> list[Row]:
    """Train the same network on the same cores, as one worker with all of them and as two with half of them each."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        home = Path(folder)
        with mock.patch.dict(os.environ, MLFLOW_TRACKING_URI=tracking_url(home)):
            world = TrainingWorld(home, rows=ROWS, cores=2)
            pairs = [(_measure(world, workers=1, attempt=n), _measure(world, workers=2, attempt=n)) for n in range(TRIES)]
    alone = max(one.images_per_second for one, _ in pairs)
    spread = max(two.images_per_second for _, two in pairs)
    against = "1 worker × 2 cores"
    return [
        row("train.images_per_second_1x2", alone, "images/s", better="higher"),
        row("train.images_per_second_2x1", spread, "images/s", better="higher", against=against, ratio=spread / alone),
        row("train.two_by_one_efficiency", spread / alone, "ratio", better="higher", against=against, ratio=spread / alone),
        row("train.start_s", min(two.start for _, two in pairs), "s", better="lower"),
    ]


def _measure(world: TrainingWorld, *, workers: int, attempt: int) -> Measured:
    batch_size = TrainingSpec().batch_size
    job = world.job(f"{workers}-{attempt}", workers=workers, epochs=2, batch_size=batch_size)
    launched, started = time.monotonic(), []

    def log(line: str) -> None:
        if line.startswith("[worker 0] training "):
            started.append(time.monotonic() - launched)

    world.train(job, log)
    return Measured(world.history(job, "images_per_second")[-1][1], started[0])
