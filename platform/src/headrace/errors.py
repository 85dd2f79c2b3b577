"""The errors of the platform: each says what failed, where, and what to do about it.

Edges translate them: the CLI to an exit code, the API to problem+json, Airflow to a failed task. Nothing else catches the base.
"""

from __future__ import annotations


class HeadraceError(Exception):
    """The base of every error the platform raises on purpose.

    Args:
        what: what failed, as a sentence without a full stop.
        where: the file, key, address or name it failed at.
        remedy: what the reader can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """Render as `what (at where). remedy`."""
        text = f"{self.what} (at {self.where})" if self.where else self.what
        return f"{text}. {self.remedy}" if self.remedy else text


class InvalidSpecError(HeadraceError):
    """A spec, a configuration or a parameter is malformed; nothing was done."""

    exit_code = 2


class NotFoundError(HeadraceError):
    """A named thing (object, dataset version, model version, part of the stack) does not exist."""

    exit_code = 3


class UnavailableError(HeadraceError):
    """A service the platform depends on does not answer; trying again later may help."""

    exit_code = 4


class ForbiddenError(HeadraceError):
    """The account the platform works as lacks a right; says which."""

    exit_code = 5


class SourceError(HeadraceError):
    """A dataset's source is missing, unreadable or not what its digest says."""


class CorruptError(HeadraceError):
    """Stored data does not match its manifest."""


class StepFailedError(HeadraceError):
    """A step's command ended without a result."""


class TrainingFailedError(HeadraceError):
    """A training job ended without a model: a worker died, or the job ran out of time."""


class PeerLostError(TrainingFailedError):
    """A worker cannot go on because another is gone. Its exit code says that it is not the one to blame."""

    exit_code = 6


class DeploymentFailedError(HeadraceError):
    """A graph did not become ready, or its answers differ from the ones recorded at training."""


class StackError(HeadraceError):
    """A part of the embedded stack cannot start or stop."""
