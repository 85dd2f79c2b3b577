"""`headrace up | down | status | logs`: the embedded stack from the command line."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.render import megabytes, show_json, show_table
from headrace.config import load_settings
from headrace.errors import NotFoundError

if TYPE_CHECKING:
    from headrace.stack.lifecycle import Stack
    from headrace.stack.status import PartStatus, StackStatus

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]

_COLOURS = {"running": "green", "starting": "yellow", "failed": "red", "stopped": "dim"}


def up(as_json: AsJson = False) -> None:
    """Start the embedded stack; harmless when it is up."""
    from headrace.cli.progress import up_progress
    from headrace.stack.status import look

    stack = _stack()
    began = time.monotonic()
    with up_progress(quiet=as_json) as report:
        started = stack.up(report)
    if as_json:
        show_json({"started": started, "seconds": round(time.monotonic() - began, 1), **_plain(look(stack))})
        return
    typer.echo(f"The stack is up ({time.monotonic() - began:.0f} s)." if started else "The stack was up already.")
    _show_login(stack)


def down(as_json: AsJson = False) -> None:
    """Stop the embedded stack; its state stays on disk. Harmless when it is down."""
    stack = _stack()
    began = time.monotonic()
    stopped = stack.down(lambda part: None if as_json else typer.echo(f"{part} stopped"))
    if as_json:
        show_json({"stopped": stopped, "seconds": round(time.monotonic() - began, 1)})
    else:
        typer.echo(f"The stack is down ({time.monotonic() - began:.0f} s)." if stopped else "The stack was not up.")


def status(
    as_json: AsJson = False,
    login: Annotated[bool, typer.Option("--login", help="Show the addresses and the generated login instead.")] = False,
) -> None:
    """Show each part and endpoint of the embedded stack."""
    from headrace.stack.status import look

    stack = _stack()
    if login:
        _show_login(stack)
        return
    found = look(stack)
    if as_json:
        show_json(_plain(found))
    else:
        _show_status(found)


def logs(
    name: Annotated[str, typer.Argument(help="A part, as `headrace status` names it.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 100,
) -> None:
    """Show a part's log."""
    from headrace.stack import logs as part_logs

    stack = _stack()
    if stack.assembly.part(name) is None:
        known = ", ".join(part.name for part in stack.assembly.parts)
        raise NotFoundError(f"the stack has no part {name}", where="headrace logs", remedy=f"Its parts are: {known}.")
    path = stack.layout.log(name)
    for line in part_logs.follow(path, lines) if follow else part_logs.last_lines(path, lines):
        typer.echo(line)


def _stack() -> Stack:
    from headrace.stack.lifecycle import Stack

    return Stack(load_settings())


def _plain(found: StackStatus) -> dict[str, object]:
    return {
        "parts": [asdict(part) for part in found.parts],
        "endpoints": [asdict(endpoint) for endpoint in found.endpoints],
    }


def _show_status(found: StackStatus) -> None:
    show_table(("part", "state", "address", "version", "memory", "since"), map(_row, found.parts))
    if found.endpoints:
        typer.echo()
        rows = [(each.name, each.namespace, each.state, each.url) for each in found.endpoints]
        show_table(("endpoint", "namespace", "state", "address"), rows)
    for part in found.parts:
        if part.detail:
            typer.echo(f"\n{part.name} is {part.state}: {part.detail}\n  Look at: headrace logs {part.name}")


def _row(part: PartStatus) -> tuple[str, ...]:
    colour = _COLOURS[part.state]
    since = part.since.astimezone().strftime("%Y-%m-%d %H:%M:%S") if part.since else ""
    return part.name, f"[{colour}]{part.state}[/]", part.url, part.version, megabytes(part.memory_bytes), since


def _show_login(stack: Stack) -> None:
    from headrace.stack.status import endpoints

    settings = stack.settings
    rows = [
        ("Airflow", settings.airflow(), " / ".join(settings.airflow_login())),
        ("MLflow", settings.tracking(), "no login"),
        ("Serving", settings.serving(), "no login"),
        *((f"Endpoint {each.name}", each.url, "no login") for each in endpoints(settings.serving())),
    ]
    show_table(("", "address", "user / password"), rows)
