"""What a document wants done before its nodes start: its init containers, as processes of the engine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from headrace.serving.engine.containers import InitContainer
from headrace.serving.engine.document import Deployment
from headrace.serving.engine.errors import RolloutError
from headrace.serving.engine.process import Process
from headrace.serving.engine.replica import Launch
from headrace.serving.parent_death import PARENT_KEY

_LAUNCHER = (sys.executable, "-m", "headrace.serving.parent_death")
"""What makes any command end with the engine."""


async def prepare(deployment: Deployment, init_containers: Sequence[InitContainer], launch: Launch) -> None:
    """Run the init containers of one component, one after the other, each in the time that a replica has for its start.

    Whatever ends this early, no process is left.

    Raises:
        RolloutError: one did not succeed; says which, and its last words.
    """
    for container in init_containers:
        await _run(container, Process(launch.log_of(deployment, f"{container.component}-{container.name}")), launch)


async def _run(container: InitContainer, process: Process, launch: Launch) -> None:
    try:
        async with asyncio.timeout(launch.ready_within):
            await process.start((*_LAUNCHER, *container.command), _environment(container))
            await process.wait()
    except TimeoutError:
        raise _failure(container, process, f"it did not end within {launch.ready_within:g} s") from None
    except OSError as error:
        raise _failure(container, process, f"it could not be started: {error}") from error
    finally:
        process.sweep()
    if process.exit_code:
        raise _failure(container, process, f"it ended with code {process.exit_code}")


def _environment(container: InitContainer) -> dict[str, str]:
    """The document's variables over the engine's own; `python` is the interpreter that the engine itself runs on."""
    if missing := sorted(container.inherited - os.environ.keys()):
        raise RolloutError(
            f"the engine reads no Secrets, and its own environment lacks {', '.join(missing)}",
            where=f"init container {container.name} of {container.component}",
            remedy="Set it for the engine.",
        )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, **container.environment, PARENT_KEY: str(os.getpid())}


def _failure(container: InitContainer, process: Process, why: str) -> RolloutError:
    return RolloutError(
        f"init container {container.name} of {container.component} failed: {why}; its last words:\n{process.last_words()}",
        where=str(process.log),
    )
