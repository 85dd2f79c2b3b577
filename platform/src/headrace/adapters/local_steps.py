"""Steps as local processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque

from headrace.adapters.parent_death import die_with_parent
from headrace.errors import StepFailedError
from headrace.ports.log import LogLine
from headrace.specs.step import ENVIRONMENT_KEY, Step

_TAIL_LINES = 20


class LocalStepRunner:
    """Implements `ports.steps.StepRunner` with this interpreter. A step dies with the process that runs it."""

    def await_earlier(self, step: Step, *, log: LogLine) -> None:
        """See the port: there is never anything to wait for."""

    def run(self, step: Step, *, log: LogLine) -> None:
        """See the port."""
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace.steps", step.name],
            env={**os.environ, ENVIRONMENT_KEY: step.model_dump_json()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock, no memory
        )
        with process:
            try:
                for line in process.stdout or ():
                    tail.append(line.rstrip())
                    log(line.rstrip())
            finally:
                if process.poll() is None and sys.exc_info()[0] is not None:
                    process.terminate()
        if process.returncode:
            raise StepFailedError(
                f"step {step.name} ended with exit code {process.returncode}; its last lines:\n" + "\n".join(tail),
                where=f"run {step.run} of {step.pipeline.name}",
            )
