"""Several calls at once, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together[Result](*calls: Coroutine[Any, Any, Result]) -> list[Result]:
    """The results of all calls, in their order, run in parallel.

    The first failure ends the others, so that nothing goes on working for nobody, and is raised by itself.
    """
    if len(calls) == 1:
        return [await calls[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
