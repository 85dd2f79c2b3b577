"""`headrace history | serving | diff`: what serves, what served, and how two revisions differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.render import show_json, show_table
from headrace.errors import InvalidSpecError, NotFoundError

if TYPE_CHECKING:
    from headrace.bootstrap import Platform
    from headrace.specs.deployment import Deployment

Ensemble = Annotated[str, typer.Argument(help="The ensemble's name.")]
Revision = Annotated[int, typer.Argument(min=1, help="A revision, as `headrace history` numbers them.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]

_COLOURS = {"live": "green", "failed": "red", "withdrawn": "red", "restored": "red", "superseded": "dim", "canary": "cyan"}
_MEMBER = ("slot", "version", "weight", "run", "dataset version")


def history(
    ensemble: Ensemble,
    last: Annotated[int | None, typer.Option("--last", "-n", min=1, help="Only so many of the newest.")] = None,
    events: Annotated[bool, typer.Option("--events", help="Everything that happened to each revision.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show an ensemble's revisions, the newest first: what, who, why, from when to when, and how each ended."""
    known = _deployments(ensemble)
    shown = list(reversed(known))[:last]
    if as_json:
        show_json([plain(each, known) for each in shown])
    elif events:
        show_table(("revision", "moment", "event", "detail"), (row for each in shown for row in event_rows(each)))
    else:
        headings = ("revision", "outcome", "live", "ended", "versions", "origin", "who", "why")
        show_table(headings, (revision_row(each, known) for each in shown))


def serving(
    ensemble: Ensemble,
    at: Annotated[str | None, typer.Option("--at", help="Then, as 2026-11-01T12:00Z; local time without a zone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what serves, or what served at a moment."""
    from headrace.specs.deployment import canary_at, live_at

    moment = parse_moment(at) if at else datetime.now(UTC)
    known = _deployments(ensemble)
    found = live_at(known, moment)
    if found is None:
        raise NotFoundError(
            f"nothing served {'then' if at else 'yet'}", where=f"ensemble {ensemble}", remedy=_first_live(known, ensemble)
        )
    tried = canary_at(known, moment)
    if as_json:
        show_json({"at": moment, **plain(found, known), "canary": plain(tried, known) if tried else None})
        return
    typer.echo(f"revision {found.revision}, live {span(found, known)}, asked for by {found.request.who}: {found.request.why}\n")
    show_table(_MEMBER, member_rows(found))
    if tried and tried.canary:
        since = f"a canary since {_moment(tried.canary.at)}: {tried.canary.detail}"
        typer.echo(f"\nrevision {tried.revision}, {since}; asked for by {tried.request.who}: {tried.request.why}\n")
        show_table(_MEMBER, member_rows(tried))


def diff(ensemble: Ensemble, first: Revision, second: Revision, as_json: AsJson = False) -> None:
    """Show how two revisions differ, slot by slot."""
    known = _deployments(ensemble)
    one, other = (_revision(known, number, ensemble) for number in (first, second))
    changes = compare(one, other)
    if as_json:
        show_json({"first": plain(one, known), "second": plain(other, known), "changes": changes})
        return
    if not changes:
        typer.echo(f"revisions {first} and {second} serve the same")
        return
    rows = (
        (str(change["slot"]), change["what"], str(change["first"] or "–"), str(change["second"] or "–")) for change in changes
    )
    show_table(("slot", "what", f"revision {first}", f"revision {second}"), rows)


def parse_moment(text: str) -> datetime:
    """A moment in ISO 8601, aware; one without a zone is local time.

    Raises:
        InvalidSpecError: it is none.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise InvalidSpecError(
            f"`{text}` is no moment", where="--at", remedy="Write it as 2026-11-01T12:00Z or 2026-11-01T12:00+01:00."
        ) from error


def plain(deployment: Deployment, known: Sequence[Deployment] = ()) -> dict[str, Any]:
    """A revision for programs: itself, and what is derived of it and of the history it stands in."""
    from headrace.specs.deployment import ended

    return {
        **deployment.model_dump(mode="json"),
        "requested": deployment.requested,
        "live": deployment.live,
        "ended": ended(known, deployment),
        "outcome": deployment.outcome.value,
        "reason": deployment.reason,
    }


def revision_row(deployment: Deployment, known: Sequence[Deployment]) -> tuple[str, ...]:
    """A revision as a row of the history."""
    from rich.markup import escape

    from headrace.specs.deployment import ended, last_live

    outcome = deployment.outcome.value
    serves = last_live(known)
    current = serves is not None and serves.revision == deployment.revision
    request = deployment.request
    return (
        str(deployment.revision),
        f"[{_COLOURS.get(outcome, 'yellow')}]{outcome}[/]",
        _moment(deployment.live),
        "[green]serves[/]" if current else _moment(ended(known, deployment)),
        ", ".join(vote(slot.version, slot.weight) for slot in request.slots),
        request.origin.value,
        escape(request.who),
        escape(f"{request.why} – {deployment.reason}" if deployment.reason else request.why),
    )


def event_rows(deployment: Deployment) -> Iterable[tuple[str, ...]]:
    """A revision's events as rows, oldest first."""
    from rich.markup import escape

    for event in deployment.events:
        yield str(deployment.revision), _moment(event.at), event.kind.value, escape(event.detail)


def member_rows(deployment: Deployment) -> Iterable[tuple[str, ...]]:
    """A revision's filled slots as rows."""
    for member in deployment.members:
        yield str(member.slot), str(member.version), f"{member.weight:g}", member.run_id, member.dataset_version


def compare(one: Deployment, other: Deployment) -> list[dict[str, Any]]:
    """What differs between two revisions: slot, what (version, weight, run, dataset version), and both values; None for none."""
    pairs = {slot: (_said(one, slot), _said(other, slot)) for slot in sorted(_slots(one) | _slots(other))}
    return [
        {"slot": slot, "what": what, "first": first.get(what), "second": second.get(what)}
        for slot, (first, second) in pairs.items()
        for what in ("version", "weight", "run", "dataset version")
        if first.get(what) != second.get(what)
    ]


def span(deployment: Deployment, known: Sequence[Deployment]) -> str:
    """From when to when a revision served, in words."""
    from headrace.specs.deployment import ended

    until = ended(known, deployment)
    return f"from {_moment(deployment.live)} to {_moment(until)}" if until else f"since {_moment(deployment.live)}"


def vote(version: int, weight: float) -> str:
    """A version, and what its vote counts unless that is 1."""
    return f"{version}" if weight == 1 else f"{version} × {weight:g}"


def _slots(deployment: Deployment) -> set[int]:
    return {slot.slot for slot in deployment.request.slots}


def _said(deployment: Deployment, number: int) -> dict[str, Any]:
    """What a revision says of a slot; of one that never was published only what was asked for is known."""
    said: dict[str, Any] = {}
    for slot in deployment.request.slots:
        if slot.slot == number:
            said = {"version": slot.version, "weight": slot.weight}
    for member in deployment.members:
        if member.slot == number:
            said |= {"run": member.run_id, "dataset version": member.dataset_version}
    return said


def _deployments(ensemble: str) -> Sequence[Deployment]:
    """The ensemble's history, oldest first.

    Raises:
        NotFoundError: it was never deployed.
    """
    from headrace.bootstrap import Platform

    platform = Platform()
    found = platform.history.deployments(ensemble)
    if not found:
        raise NotFoundError(f"ensemble {ensemble} was never deployed", where="headrace history", remedy=_known(platform))
    return found


def _known(platform: Platform) -> str:
    known = ", ".join(platform.history.ensembles())
    return f"Those that were: {known}." if known else "Run a pipeline first: `headrace run`."


def _revision(known: Sequence[Deployment], number: int, ensemble: str) -> Deployment:
    for deployment in known:
        if deployment.revision == number:
            return deployment
    raise NotFoundError(
        f"there is no revision {number}", where=f"ensemble {ensemble}", remedy=f"They go from 1 to {known[-1].revision}."
    )


def _first_live(known: Sequence[Deployment], ensemble: str) -> str:
    first = next((deployment for deployment in known if deployment.live), None)
    if first is None:
        return f"No revision ever went live: `headrace history {ensemble}` says why."
    return f"Revision {first.revision} was the first that did, from {_moment(first.live)}."


def _moment(moment: datetime | None) -> str:
    """In local time, to the second; nothing for none."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""
