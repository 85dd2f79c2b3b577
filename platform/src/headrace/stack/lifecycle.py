"""The embedded stack of one installation, up and down."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property

from headrace.config import Settings
from headrace.errors import StackError
from headrace.stack.assembly import assemble
from headrace.stack.environment import inherited_environment
from headrace.stack.health import examine
from headrace.stack.listeners import refuse_taken_ports
from headrace.stack.lock import exclusive
from headrace.stack.part import Assembly, PartState
from headrace.stack.placement import running_as_root
from headrace.stack.remnants import describe_all, end, remnants, stack_id
from headrace.stack.secrets import ensure_secrets, known_secrets
from headrace.stack.starter import Report, Starter
from headrace.stack.stopper import stop_parts
from headrace.stack.supervisor import Supervisor
from headrace.stack.supervisord_config import Layout, render

_UP_PATIENCE_SECONDS = 240.0
_DOWN_PATIENCE_SECONDS = 60.0


class Stack:
    """Starts, stops and looks at one installation's stack.

    Args:
        settings: the installation.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.layout = Layout(settings.home)
        self.supervisor = Supervisor(self.layout)
        self._mark = stack_id(settings.home)

    @cached_property
    def assembly(self) -> Assembly:
        """What the stack is made of; generates no secrets."""
        return assemble(self.settings, known_secrets(self.settings.secrets_folder))

    def up(self, report: Report) -> bool:
        """Bring every part to `running`; concurrent calls wait for each other. State on disk survives any end.

        Returns:
            False when everything was up already.

        Raises:
            StackError: a port is taken, a part does not start, or the stack runs with other settings.
        """
        self._make_folders()
        with exclusive(self.layout.lock, patience_seconds=_UP_PATIENCE_SECONDS):
            assembly = assemble(self.settings, ensure_secrets(self.settings.secrets_folder))
            config = render(assembly.parts, layout=self.layout, stack=self._mark, as_root=running_as_root())
            if self.supervisor.answers():
                self._refuse_other_settings(config)
                if self._all_running(assembly):
                    return False
            else:
                self._start_supervisor(assembly, config)
            Starter(assembly, self.supervisor, self.layout, report).run()
            return True

    def down(self, report: Callable[[str], None]) -> bool:
        """Stop every part in reverse order, then the supervisor, then whatever is left; within 20 seconds.

        Returns:
            False when nothing ran.

        Raises:
            StackError: a process outlived SIGKILL.
        """
        if not self.layout.run.exists():
            return False
        with exclusive(self.layout.lock, patience_seconds=_DOWN_PATIENCE_SECONDS):
            was_up = self.supervisor.answers()
            if was_up:
                stop_parts(self.assembly, self.supervisor, report)
                self.supervisor.shut_down()
            return self._end_remnants() or was_up

    def _make_folders(self) -> None:
        for folder in (self.settings.home, self.layout.run, self.layout.logs, self.settings.store_folder / "mlflow"):
            folder.mkdir(parents=True, exist_ok=True)
        self.layout.run.chmod(0o700)  # the supervisor's socket and its configuration, which holds secrets

    def _start_supervisor(self, assembly: Assembly, config: str) -> None:
        self._end_remnants()
        refuse_taken_ports(assembly.parts)
        self.supervisor.start(config, inherited_environment(os.environ))

    def _refuse_other_settings(self, config: str) -> None:
        if config != self.supervisor.config():
            raise StackError(
                "the stack runs with other settings or another version of headrace",
                where=str(self.layout.config),
                remedy="Run `headrace down`, then `headrace up`.",
            )

    def _all_running(self, assembly: Assembly) -> bool:
        processes = self.supervisor.processes()
        return all(examine(part, processes.get(part.name)).state is PartState.RUNNING for part in assembly.parts)

    def _end_remnants(self) -> bool:
        """End every process of this installation that no supervisor has.

        What a killed supervisor left cannot be adopted: its output goes to pipes that nobody reads any more.
        """
        left = remnants(self._mark, supervisor=None)
        outlived = end(left)
        if outlived:
            raise StackError(f"cannot be ended: {describe_all(outlived)}", where=str(self.settings.home))
        return bool(left)
