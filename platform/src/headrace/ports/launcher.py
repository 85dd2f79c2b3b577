"""What runs the workers of a training job within one call. Pods outlive calls: see `ports.worker_pods`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from headrace.ports.log import LogLine
from headrace.specs.training import TrainingJob


class TrainingLauncher(Protocol):
    """Runs all workers of a job, all or nothing."""

    def run(self, job: TrainingJob, *, environment: Mapping[str, str], log: LogLine) -> None:
        """Start every worker, pass on what they print, and return when all have ended well.

        No worker outlives the call, nor the process that made it.

        Args:
            job: what to train.
            environment: added to each worker's own, e.g. `MLFLOW_RUN_ID`.
            log: called for each line, in the order they arrive.

        Raises:
            TrainingFailedError: a worker ended badly or the job ran out of time. All others are ended first; the message
                names the rank, how it ended, and its last lines. Raised within 30 s of the death.
            SystemExit: this process was asked to end (SIGTERM) during the call; the workers are ended first.
        """
        ...
