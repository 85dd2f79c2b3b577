"""The `headrace` command: finds the subcommand, and turns the platform's errors into messages and exit codes.

A subcommand's module is imported only when it is called (or its help is shown): `headrace status` must not wait for numpy.
"""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from headrace.errors import HeadraceError

_COMMANDS = {
    "up": "headrace.cli.stack:up",
    "down": "headrace.cli.stack:down",
    "status": "headrace.cli.stack:status",
    "logs": "headrace.cli.stack:logs",
    "run": "headrace.cli.run:run",
    "predict": "headrace.cli.predict:predict",
    "serving": "headrace.cli.history:serving",
    "history": "headrace.cli.history:history",
    "diff": "headrace.cli.history:diff",
    "promote": "headrace.cli.deployment:promote",
    "rollback": "headrace.cli.deployment:rollback",
    "release": "headrace.cli.deployment:release",
    "reconcile": "headrace.cli.deployment:reconcile",
    "freshness": "headrace.cli.freshness:freshness",
    "mirror": "headrace.cli.mirror:mirror",
    "migrate": "headrace.cli.migrate:migrate",
    "prepare-store": "headrace.cli.migrate:prepare_store",
}
"""Every subcommand, in the order `--help` lists them, with the function that is it. A new one is a line here."""

_INTERRUPTED = 130


def application(wanted: str = "") -> typer.Typer:
    """The command line with the wanted subcommand, or with all of them when it is none of them (so that `--help` lists them)."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_headrace)
    for name in [wanted] if wanted in _COMMANDS else _COMMANDS:
        module, function = _COMMANDS[name].split(":")
        app.command(name)(getattr(import_module(module), function))
    return app


def _headrace() -> None:
    """An MLflow-centred machine-learning platform: from raw bytes to a monitored endpoint."""


def main() -> None:
    """Run the command line; the process ends with the error's own exit code."""
    try:
        application(*sys.argv[1:2])()
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
