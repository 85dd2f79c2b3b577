"""What the engine refuses, and what it reports: each says what, where and the remedy."""

from __future__ import annotations

from typing import Any


class EngineError(Exception):
    """The base of the engine's errors; `status` is the HTTP status the edge answers with."""

    status = 500
    reason = "ENGINE_ERROR"

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what, self.where, self.remedy = what, where, remedy

    def __str__(self) -> str:
        """Render as `what (at where). remedy`."""
        text = f"{self.what} (at {self.where})" if self.where else self.what
        return f"{text}. {self.remedy}" if self.remedy else text

    def problem(self) -> dict[str, Any]:
        """As problem+json (RFC 9457), for the resource interface."""
        return {"title": self.reason, "status": self.status, "detail": str(self)}

    def seldon_status(self) -> dict[str, Any]:
        """As a Seldon status message, for predictions."""
        return {"status": {"code": self.status, "info": str(self), "reason": self.reason, "status": "FAILURE"}}


class DocumentError(EngineError):
    """A document is malformed or uses what the engine does not do; nothing was changed."""

    status = 422
    reason = "INVALID_DOCUMENT"


class BadRequestError(EngineError):
    """A prediction's message is malformed."""

    status = 400
    reason = "BAD_REQUEST"


class TooLargeError(EngineError):
    """A prediction's body is over the limit."""

    status = 413
    reason = "TOO_LARGE"


class UnknownGraphError(EngineError):
    """No graph has that name."""

    status = 404
    reason = "NOT_FOUND"


class ReadOnlyError(EngineError):
    """Documents come from somewhere else and are only shown here."""

    status = 405
    reason = "READ_ONLY"


class KubernetesError(EngineError):
    """The Kubernetes API server refused, or does not answer."""

    status = 502
    reason = "KUBERNETES"


class NotReadyError(EngineError):
    """A node has no ready replica."""

    status = 503
    reason = "NOT_READY"


class NodeTimeoutError(EngineError):
    """A node did not answer in time."""

    status = 504
    reason = "NODE_TIMEOUT"


class RolloutError(EngineError):
    """A generation did not become ready; the former one still serves."""

    reason = "ROLLOUT_FAILED"


class NodeReplyError(EngineError):
    """A node answered something that is no message: the graph's own fault, not the caller's."""

    status = 502
    reason = "BAD_NODE_REPLY"
