"""What `headrace up` shows while the parts start: lines that are redrawn on a terminal, one line a finished part elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from headrace.stack.starter import Progress, Report

_WORTH_A_LINE_SECONDS = 1.0


@contextmanager
def up_progress(*, quiet: bool) -> Iterator[Report]:
    """A report for `Stack.up`; quiet ones show nothing."""
    console = Console(stderr=True, highlight=False)
    if quiet:
        yield lambda progress: None
    elif console.is_terminal:
        with _bars(console) as bars:
            yield _Redrawn(bars)
    else:
        yield lambda progress: _print(console, progress)


def _bars(console: Console) -> Bars:
    return Bars(SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"), TimeElapsedColumn(), console=console)


class _Redrawn:
    """One line a node; set-ups that take no time vanish again."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._lines: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            if not progress.done:
                self._lines[progress.name] = self._bars.add_task(progress.title, total=1)
                return
            line = self._lines[progress.name]
            self._bars.update(line, completed=1, visible=_worth_showing(progress))


def _print(console: Console, progress: Progress) -> None:
    if progress.done and _worth_showing(progress):
        console.print(f"{progress.title}: {progress.seconds:.1f} s")


def _worth_showing(progress: Progress) -> bool:
    """Parts always; set-ups (whose title is not their name) when someone had to wait for them."""
    return progress.title == progress.name or progress.seconds >= _WORTH_A_LINE_SECONDS
