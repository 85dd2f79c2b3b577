"""Run one step: parse its spec from the environment, call its use case, put its result in the store, last."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from pydantic import ValidationError

from headrace.bootstrap import Platform
from headrace.errors import HeadraceError, InvalidSpecError
from headrace.specs.base import Spec
from headrace.specs.step import ENVIRONMENT_KEY, EvaluateStep, IngestStep, JoinStep, PromoteStep, Step

RunStep = Callable[[Platform, str], None]
"""Takes the installation and the step's spec as JSON."""


def _step[S: Step](spec: type[S], use_case: Callable[[Platform, S], Spec]) -> RunStep:
    def run(platform: Platform, document: str) -> None:
        try:
            step = spec.model_validate_json(document)
        except ValidationError as error:
            raise InvalidSpecError(f"not a spec of step {spec.name}: {error}", where=ENVIRONMENT_KEY) from error
        result = use_case(platform, step)
        platform.store.put_bytes(step.result_key, result.model_dump_json(indent=2).encode())

    return run


STEPS: dict[str, RunStep] = {
    IngestStep.name: _step(IngestStep, Platform.ingest),
    EvaluateStep.name: _step(EvaluateStep, Platform.evaluate),
    JoinStep.name: _step(JoinStep, Platform.join),
    PromoteStep.name: _step(PromoteStep, Platform.promote),
}


def run_step(name: str, document: str, platform: Platform) -> None:
    """Run the named step as its JSON document says.

    Raises:
        InvalidSpecError: no step has that name, or the document is not its spec.
    """
    if name not in STEPS:
        raise InvalidSpecError(f"no step `{name}`", where="python -m headrace.steps", remedy=f"Known: {', '.join(STEPS)}.")
    STEPS[name](platform, document)


def main() -> int:
    """Return the exit code: 0, or the error's own."""
    signal.signal(signal.SIGTERM, _stop)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        run_step(sys.argv[1] if len(sys.argv) > 1 else "", os.environ.get(ENVIRONMENT_KEY, "{}"), Platform())
    except HeadraceError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    """Unwind, so that scratch folders go. Without a handler the first process of a container does not even notice SIGTERM."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
