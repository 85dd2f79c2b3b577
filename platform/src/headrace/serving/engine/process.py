"""A command at work for the engine: a process that leads a session of its own, with a log of bounded size."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

_STOP_SECONDS = 5
_TAIL_BYTES = 4000
_MOST_LOG_BYTES = 8 << 20


class Process:
    """A command that is started at most once. Whoever makes one ends it: the session is swept, not only the main process.

    Args:
        log: the file that its output is appended to.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: asyncio.subprocess.Process | None = None
        self._first_word = 0

    @property
    def pid(self) -> int | None:
        """The main process's id, once started."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """The main process's, once it has ended; negative for a signal."""
        return self._process.returncode if self._process else None

    @property
    def runs(self) -> bool:
        """Whether the main process runs; a zombie, whose end the event loop has yet to notice, does not."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        return fields[0] != "Z"

    async def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the command.

        Raises:
            OSError: it cannot be started.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.bound_log()
        with self.log.open("ab") as output:
            self._first_word = output.tell()
            self._process = await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def wait(self) -> None:
        """Return when the main process has ended, however; what is left of its session is ended too."""
        if self._process is not None:
            await self._process.wait()
            self.sweep()

    async def stop(self) -> None:
        """End the process gently, then not."""
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        self.sweep()
        await self._process.wait()

    def sweep(self) -> None:
        """End at once whatever is left of the session; it leads one, so the group is its own."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def bound_log(self) -> None:
        """Set a log aside that has grown too long, in place of the one set aside before.

        The process goes on writing to the same file: it appends, so that an emptied file begins anew. What it writes between the
        copy and the emptying is lost.
        """
        if not self.log.exists() or self.log.stat().st_size <= _MOST_LOG_BYTES:
            return
        with contextlib.suppress(OSError):  # no room for it any more
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
        os.truncate(self.log, 0)
        self._first_word = 0

    def last_words(self) -> str:
        """The end of what it logged."""
        with contextlib.suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(max(self._first_word, self.log.stat().st_size - _TAIL_BYTES))
            return log.read().decode(errors="replace").strip()
        return ""
