"""`headrace migrate` and `headrace prepare-store`: what an installation on a cluster runs before it serves anyone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from headrace.errors import InvalidSpecError, UnavailableError
from headrace.specs.store import StoreKeys, StorePlan

_PAUSE_SECONDS = 1.0


def migrate(
    within: Annotated[float, typer.Option(help="For how many seconds a database that does not answer is waited for.")] = 0,
) -> None:
    """Bring headrace's own tables up to date; does nothing when they are."""
    from headrace.bootstrap import Platform

    platform, deadline = Platform(), time.monotonic() + within
    while True:
        try:
            platform.migrate()
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return typer.echo("the tables are up to date")


def prepare_store(
    plan: Annotated[Path, typer.Argument(help="A file: the buckets and accounts there shall be (specs/store.py), as JSON.")],
    credentials: Annotated[
        Path, typer.Option(help="A folder with a folder ACCOUNT/ for each account: the files access-key and secret-key.")
    ],
) -> None:
    """Make a MinIO's buckets and accounts as planned; takes an administrator's keys from the store's settings.

    A server that is away is waited for. Nothing that the plan does not name is touched.
    """
    from headrace.bootstrap import Platform

    wanted = _plan(plan)
    Platform().prepare_store(wanted, {account: _keys(credentials / account) for account in wanted.users})
    typer.echo(f"buckets {', '.join(wanted.buckets)}; accounts {', '.join(wanted.users)}")


def _plan(path: Path) -> StorePlan:
    try:
        return StorePlan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidSpecError(f"no plan of a store: {error}", where=str(path), remedy="See specs/store.py.") from error


def _keys(folder: Path) -> StoreKeys:
    try:
        read = {name: (folder / name).read_text().strip() for name in ("access-key", "secret-key")}
    except OSError as error:
        raise InvalidSpecError(f"an account's key is missing: {error}", where=str(folder), remedy="Mount its Secret.") from error
    return StoreKeys(access_key=read["access-key"], secret_key=read["secret-key"])
