"""MLflow's exceptions as the platform's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException

from headrace.errors import NotFoundError, UnavailableError


@contextmanager
def translated(what: str, *, where: str) -> Iterator[None]:
    """Raise the platform's error for what MLflow raises inside the block; `what` names the thing that was asked for."""
    try:
        yield
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise NotFoundError(f"{what} does not exist", where=where) from error
        raise UnavailableError(f"{what}: {error.message}", where=where, remedy="Look at `headrace logs mlflow`.") from error
