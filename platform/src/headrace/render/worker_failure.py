"""How the end of a training job's worker is told, the same whether it was a process or a pod."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from headrace.errors import TrainingFailedError
from headrace.specs.training import TrainingJob

TAIL_LINES = 20
"""Of a worker's output, kept for the error."""
NEXT_TRY = "Another try goes on from the last checkpoint."
_SIGNAL_OFFSET = 128


def describe_exit(code: int) -> str:
    """An exit code in words: a signal's is negative for a child process, and 128 plus its number for a container."""
    number = -code if code < 0 else code - _SIGNAL_OFFSET
    if number > 0 and number in set(signal.Signals):
        return f"was ended by {signal.Signals(number).name}"
    return f"ended with exit code {code}"


def worker_failure(job: TrainingJob, rank: int, how: str, lines: Sequence[str]) -> TrainingFailedError:
    """The error for a job whose worker ended badly.

    Args:
        job: whose.
        rank: the worker to blame.
        how: words that follow its name.
        lines: its last ones.
    """
    last = "\n".join(lines) or "(it printed nothing)"
    return job_failure(job, f"worker {rank} of {job.training.workers} {how}; its last lines:\n{last}\n")


def timeout_failure(job: TrainingJob, lines: Sequence[str]) -> TrainingFailedError:
    """The error for a job that ran out of time; `lines` are the chief's last ones."""
    return worker_failure(job, 0, f"has not ended after {job.training.timeout_minutes} minute(s)", lines)


def job_failure(job: TrainingJob, what: str) -> TrainingFailedError:
    """The error for a job that failed as a whole."""
    return TrainingFailedError(what, where=f"training job {job.key}", remedy=NEXT_TRY)
