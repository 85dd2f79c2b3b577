"""What runs a step: a local process, or a pod."""

from __future__ import annotations

from typing import Protocol

from headrace.ports.log import LogLine
from headrace.specs.step import Step


class StepRunner(Protocol):
    """Runs the commands of steps. Of one identity (`Step.identity`) it never runs two at a time."""

    def await_earlier(self, step: Step, *, log: LogLine) -> None:
        """Return when no command of the step's identity runs any more; to be called before `run`.

        There is one when the process that called `run` for it died without a word, in this run or another. It is waited for,
        passing on what it prints, because what it makes can be used; how it ended is logged, never raised. One that has not
        begun is removed.
        """
        ...

    def run(self, step: Step, *, log: LogLine) -> None:
        """Run the step to its end, passing on what it prints. Its result is in the store afterwards.

        However the call ends, the command has ended, too, or has been told to. Only the death of the calling process may leave
        it running: see `await_earlier`.

        Raises:
            StepFailedError: it ended badly or could not start; carries the reason and its last lines.
        """
        ...
