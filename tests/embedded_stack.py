"""An embedded stack of the tests' own: on free ports, under a folder of its own, worked through the command line."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil

from free_ports import free_ports
from headrace.config import load_settings
from headrace.stack.environment import headrace_environment
from headrace.stack.lifecycle import Stack
from headrace.stack.listeners import listeners
from headrace.stack.remnants import marked, stack_id
from headrace.stack.status import look

ROOT = Path(__file__).parents[1]
HEADRACE = Path(sys.executable).parent / "headrace"
DOWN_WITHIN_SECONDS = 20
UP_WITHIN_SECONDS = 240


class RunningStack:
    """A stack of the tests' own, worked as a person does: through the command line."""

    def __init__(self, home):
        names = ("postgres", "mlflow", "airflow", "serving")
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.settings = load_settings(home=home, project=ROOT, ports=ports)
        self.stack = Stack(self.settings)

    def environment(self):
        """What points a command at this stack and no other."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("HEADRACE_")}
        return inherited | headrace_environment(self.settings)

    @contextmanager
    def headrace_in_background(self, *arguments):
        """Run the command until the end of the block, which reads its lines as they come."""
        command = [HEADRACE, *arguments]
        with subprocess.Popen(command, env=self.environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process.stdout
            finally:
                process.kill()

    def headrace(self, *arguments, check=True, **overrides):
        """Run the command; return what it did."""
        environment = self.environment() | overrides
        done = subprocess.run(
            [HEADRACE, *arguments],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=UP_WITHIN_SECONDS,
            check=False,
        )
        assert not check or done.returncode == 0, f"headrace {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def part(self, name):
        """A part as `headrace status` sees it."""
        return next(part for part in look(self.stack).parts if part.name == name)

    def pid(self, name):
        """The pid of a part's present process; 0 while it has none."""
        return self.stack.supervisor.processes()[name].pid

    def kill(self, name):
        """kill -9 of a part's process; returns its pid."""
        pid = self.pid(name)
        psutil.Process(pid).kill()
        return pid

    def processes(self):
        """Every living process of this stack."""
        return marked(stack_id(self.settings.home))

    def open_ports(self):
        """Address and port of everything this stack listens on, and everything anyone has on its ports."""
        pids, ports = {process.pid for process in self.processes()}, self.settings.ports.model_dump().values()
        return [(address, port) for address, port, pid in listeners() if pid in pids or port in ports]


@contextmanager
def temporary_stack():
    """A stack that is not up yet; at the end it is taken down, in time and without a trace, and its folder removed."""
    # Not pytest's own folder: only its owner may enter that, and PostgreSQL is another user when root runs the tests.
    home = Path(tempfile.mkdtemp(prefix="headrace-"))
    home.chmod(0o755)
    running = RunningStack(home)
    try:
        yield running
    finally:
        began = time.monotonic()
        running.headrace("down")
        assert time.monotonic() - began < DOWN_WITHIN_SECONDS
        assert running.processes() == []
        assert running.open_ports() == []
        shutil.rmtree(home)
