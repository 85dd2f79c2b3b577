"""What runs a step: a local process, or a pod."""

from __future__ import annotations

from typing import Protocol

from headrace.ports.log import LogLine
from headrace.specs.step import Step


class StepRunner(Protocol):
    """Runs the command of a step."""

    def run(self, step: Step, *, log: LogLine) -> None:
        """Run the step to its end, passing on what it prints. Its result is in the store afterwards.

        The step does not outlive the call, nor the process that made it.

        Raises:
            StepFailedError: it ended badly; carries its last lines.
        """
        ...
