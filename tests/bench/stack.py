"""What the embedded stack costs: seconds to start, and memory while nothing runs on it."""

from __future__ import annotations

import time

from bench.rows import Row, row
from embedded_stack import RunningStack, temporary_stack
from headrace.stack.status import look

_SETTLE_SECONDS = 30.0


def rows() -> list[Row]:
    """Start a new stack, end it, start it again, ask for it once more, let it idle, and add up its parts' memory."""
    with temporary_stack() as stack:
        cold = up_seconds(stack)
        stack.headrace("down")
        warm = up_seconds(stack)
        again = up_seconds(stack)
        time.sleep(_SETTLE_SECONDS)
        parts = idle_pss_gb(stack)
    total = sum(parts.values())
    return [
        row("stack.cold_start_s", cold, "s", better="lower"),
        row("stack.warm_start_s", warm, "s", better="lower", against="cold start", ratio=warm / cold),
        row("stack.up_when_up_s", again, "s", better="lower", against="warm start", ratio=again / warm),
        row("stack.idle_pss_gb", total, "GB", better="lower"),
        *(
            row(f"stack.idle_pss_gb.{name}", each, "GB", better="lower", against="the whole", ratio=each / total)
            for name, each in parts.items()
        ),
    ]


def up_seconds(stack: RunningStack) -> float:
    """Seconds of `headrace up`, from the command's start to its end: every part ready."""
    began = time.monotonic()
    stack.headrace("up")
    return time.monotonic() - began


def idle_pss_gb(stack: RunningStack) -> dict[str, float]:
    """PSS of each part's process tree, in GB (10^9 bytes)."""
    return {part.name: part.memory_bytes / 1e9 for part in look(stack.stack).parts}
