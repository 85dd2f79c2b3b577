"""The `headrace` command: finds the subcommand, and turns the platform's errors into messages and exit codes.

A subcommand's module is imported only when it is called (or its help is shown): `headrace status` must not wait for numpy.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click
import typer
from typer.core import TyperGroup

from headrace.errors import HeadraceError

_COMMANDS = {
    "up": "headrace.cli.stack:up",
    "down": "headrace.cli.stack:down",
    "status": "headrace.cli.stack:status",
    "logs": "headrace.cli.stack:logs",
    "run": "headrace.cli.run:run",
    "predict": "headrace.cli.predict:predict",
}
"""Every subcommand, in the order `--help` lists them, with the function that is it. A new one is a line here."""

_INTERRUPTED = 130


class _LazyGroup(TyperGroup):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, function = _COMMANDS[cmd_name].split(":")
        single = typer.Typer(add_completion=False)
        single.command(cmd_name)(getattr(import_module(module), function))
        return typer.main.get_command(single)


app = typer.Typer(cls=_LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _headrace() -> None:
    """An MLflow-centred machine-learning platform: from raw bytes to a monitored endpoint."""


def main() -> None:
    """Run the command line; the process ends with the error's own exit code."""
    try:
        app()
    except HeadraceError as error:
        _explain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _explain(error: HeadraceError) -> None:
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    console.print(f"error: {error.what}", style="bold red")
    if error.where:
        console.print(f"  where:  {error.where}")
    if error.remedy:
        console.print(f"  remedy: {error.remedy}")
