"""`headrace promote | rollback | reconcile | release`: what changes what serves, from the command line."""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.render import show_json, show_table
from headrace.errors import InvalidSpecError

if TYPE_CHECKING:
    from headrace.specs.deployment import Deployment, Reconciliation

Ensemble = Annotated[str, typer.Argument(help="The ensemble's name, as its pipeline's YAML says it.")]
Why = Annotated[str, typer.Option("--why", help="For the history; never empty.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def promote(
    ensemble: Ensemble,
    versions: Annotated[str, typer.Option(help="Registered versions, in the order of the slots: 7,9.")],
    why: Why,
    weights: Annotated[str | None, typer.Option(help="What each version's vote counts: 2,1. All the same unless said.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Take versions that have not passed a gate, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make registered versions what serves, once their graph has proved itself; the former one serves until then."""
    from headrace.bootstrap import Platform

    wanted, reason = parse_votes(versions, weights), _reason(why)
    with _working(ensemble):
        deployment = Platform().choose(ensemble, wanted, who=caller(), why=reason, force=force)
    _show(deployment, as_json=as_json)


def rollback(
    ensemble: Ensemble,
    why: Why,
    to: Annotated[
        int | None, typer.Option("--to", min=1, help="The revision to go back to; the newest earlier one unless said.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an earlier revision what serves, exactly; versions that serve now and would not then are rejected."""
    from headrace.bootstrap import Platform

    reason = _reason(why)
    with _working(ensemble):
        deployment = Platform().rollback(ensemble, to=to, who=caller(), why=reason)
    _show(deployment, as_json=as_json)


def reconcile(
    ensemble: Annotated[str | None, typer.Argument(help="Only this ensemble; all that are declared unless said.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make what the registry's aliases desire what serves, and put right what was changed by hand."""
    from headrace.bootstrap import Platform

    platform, who = Platform(), caller()
    passes = (
        [platform.reconcile(ensemble, who=who)]
        if ensemble
        else platform.reconcile_all(who=who, log=lambda line: typer.echo(line, err=True))
    )
    if as_json:
        show_json([each.model_dump(mode="json") for each in passes])
    else:
        show_table(("ensemble", "serves", "done"), (row for each in passes for row in pass_rows(each)))


def release(
    ensemble: Ensemble,
    version: Annotated[int, typer.Argument(min=1, help="A registered version that a rollback rejected.")],
    as_json: AsJson = False,
) -> None:
    """Let a version that a rollback rejected be chosen again."""
    from headrace.bootstrap import Platform

    rejected = Platform().release(ensemble, version)
    if as_json:
        show_json({"ensemble": ensemble, "version": version, "was_rejected": rejected})
    else:
        typer.echo(f"version {version} of {ensemble} {'may be chosen again' if rejected else 'was not rejected'}")


def caller() -> str:
    """Who runs the command, for the history: `login@host`; in a container whose user has no name, its number."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = f"uid-{os.getuid()}"
    return f"{login}@{socket.gethostname()}"


def parse_votes(versions: str, weights: str | None) -> dict[int, float]:
    """What each version's vote counts, in the order they are named.

    Raises:
        InvalidSpecError: a version or weight is malformed, a version is named twice, or there are not as many weights.
    """
    where = f"--versions {versions}"
    numbers = [_number(text, int, where) for text in versions.split(",")]
    votes = [_number(text, float, f"--weights {weights}") for text in weights.split(",")] if weights else [1.0] * len(numbers)
    if len(set(numbers)) != len(numbers):
        raise InvalidSpecError("a version is named twice", where=where, remedy="Give it a weight: `--weights 2,1`.")
    if len(votes) != len(numbers):
        raise InvalidSpecError(
            f"there are {len(votes)} weights for {len(numbers)} versions", where=where, remedy="Name one for each, or none."
        )
    return dict(zip(numbers, votes, strict=True))


def _number[N: (int, float)](text: str, kind: type[N], where: str) -> N:
    try:
        number = kind(text)
    except ValueError:
        number = kind(0)
    if not 0 < number < float("inf"):
        raise InvalidSpecError(f"`{text.strip()}` is no number above 0", where=where, remedy="Separate them by commas: 7,9.")
    return number


def _reason(why: str) -> str:
    if not why.strip():
        raise InvalidSpecError("the reason is empty", where="--why", remedy="Say in a few words why; the history shows it.")
    return why.strip()


def pass_rows(found: Reconciliation) -> list[tuple[str, str, str]]:
    """A pass as rows of a table: a line for each thing done, the ensemble and its revision on the first."""
    from rich.markup import escape

    revision = f"revision {found.revision}" if found.revision else "nothing"
    done = (*found.done, *([found.waits] if found.waits else [])) or ("as desired",)
    return [(found.ensemble, revision, escape(done[0])), *(("", "", escape(each)) for each in done[1:])]


def _working(ensemble: str) -> AbstractContextManager[object]:
    """Shows on a terminal that something goes on."""
    from rich.console import Console

    return Console(stderr=True).status(f"{ensemble}: its graph is started, has to prove itself, and takes over")


def _show(deployment: Deployment, *, as_json: bool) -> None:
    from headrace.cli.history import member_rows, plain

    if as_json:
        show_json(plain(deployment))
        return
    name, revision = deployment.request.ensemble, deployment.revision
    if deployment.canary and deployment.on_trial:
        typer.echo(f"revision {revision} of {name} is a canary: {deployment.canary.detail}. `headrace serving {name}` tells")
    else:
        typer.echo(f"{name} serves revision {revision}: {deployment.request.why}")
    show_table(("slot", "version", "weight", "run", "dataset version"), member_rows(deployment))
