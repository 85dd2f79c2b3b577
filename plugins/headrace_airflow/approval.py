"""Waiting for a person to approve a candidate: a task that is deferred, and a trigger that looks for the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSkipException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from headrace.errors import UnavailableError
from headrace_airflow.base import PipelineOperator
from headrace_airflow.gate import passed_or_skip

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.bootstrap import Platform
    from headrace.usecases.approval import Answer

EVERY_SECONDS = 2.0


class ApproveOperator(PipelineOperator):
    """Waits, deferred, until a person has approved a candidate, and returns its verdict; skipped when nobody does in time.

    A candidate that did not pass its gate is not shown to anybody. `inputs` holds the `verdict`.
    """

    def execute(self, context: Context) -> NoReturn:
        """Say in the registry that the candidate waits, and be deferred."""
        from headrace.bootstrap import Platform
        from headrace.usecases.approval import APPROVAL_TAG, APPROVED, REJECTED

        del context
        verdict, within = passed_or_skip(self.inputs["verdict"]), self._spec.ensemble.approval_within
        Platform().ask_approval(verdict.model, verdict.version)
        self.log.info(
            "version %d of %s waits: set its tag %s to `%s` or `%s` in the MLflow UI, within %s",
            *(verdict.version, verdict.model, APPROVAL_TAG, APPROVED, REJECTED, within),
        )
        until = (datetime.now(UTC) + within).isoformat()
        trigger = ApprovalTrigger(model=verdict.model, version=verdict.version, until=until)
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the verdict, as JSON-like data, of a candidate that was approved."""
        from headrace.bootstrap import Platform
        from headrace.usecases.approval import Answer

        del context
        verdict = passed_or_skip(self.inputs["verdict"])
        if event["answer"] is None:
            Platform().expire_approval(verdict.model, verdict.version)
            raise AirflowSkipException(
                f"nobody has decided on version {verdict.version} within {self._spec.ensemble.approval_within}; it is left out"
            )
        answer = Answer.model_validate(event["answer"])
        self.log.info("%s: %s", "approved" if answer.approved else "rejected", answer.reason)
        if not answer.approved:
            raise AirflowSkipException(f"not approved: {answer.reason}")
        return verdict.model_dump(mode="json")


class ApprovalTrigger(BaseTrigger):
    """Looks for a person's answer every few seconds, and fires when there is one or the time is over.

    A look is one request or two, in a thread: the triggerer's event loop never waits for it, and MLflow's client library is not
    imported. A registry that is away is said once, and looked for with every look.

    The event is `{"answer": …}`: an `Answer` as JSON-like data, or None when nobody came.

    Args:
        model: the registered model.
        version: the candidate's.
        until: the moment, in ISO 8601 with its offset, when waiting ends.
        every: seconds between two looks.
    """

    def __init__(self, *, model: str, version: int, until: str, every: float = EVERY_SECONDS) -> None:
        super().__init__()
        self.model = model
        self.version = version
        self.until = until
        self.every = every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What makes the trigger anew in another process; the time goes on meanwhile."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "model": self.model,
            "version": self.version,
            "until": self.until,
            "every": self.every,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is an answer, or the time is over."""
        platform, trouble = await asyncio.to_thread(_platform), ""
        until = datetime.fromisoformat(self.until)
        answer: Answer | None = None
        while answer is None:
            over, said = datetime.now(UTC) >= until, ""
            try:
                answer = await asyncio.to_thread(platform.find_answer, self.model, self.version)
            except UnavailableError as error:
                said = str(error)
            if said and said != trouble:
                self.log.warning("the answer cannot be looked for: %s", said)
            trouble = said
            if over:
                break
            if answer is None:
                await asyncio.sleep(self.every)
        yield TriggerEvent({"answer": answer.model_dump(mode="json") if answer else None})


def _platform() -> Platform:
    from headrace.bootstrap import Platform

    return Platform()
