"""What changes what serves besides a pipeline's run: the parts of the DAGs `reconcile` and `rollback`.

Nothing here imports a heavy library or touches the network when a DAG file is parsed; the tasks do when they run.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable, Param
from airflow.sdk.exceptions import AirflowFailException

from headrace.adapters.declared_ensembles import DeclaredEnsembles
from headrace_airflow.base import PlatformOperator, who_triggered
from headrace_airflow.registry_watch import RegistryTrigger

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context

_SHARED = {
    "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
    "catchup": False,
    "default_args": {"owner": "headrace"},
    "tags": ["headrace", "serving"],
    # Whatever Airflow is set to: a rollback must not have to be found and unpaused first.
    "is_paused_upon_creation": False,
}


def registry_asset() -> Asset:
    """The asset that stands for the registry's aliases; its events say which ensembles they now desire something else of."""
    watcher = AssetWatcher(name="registry", trigger=RegistryTrigger())
    return Asset(name="registry/aliases", uri="headrace://registry/aliases", watchers=[watcher])


def reconcile_schedule() -> dict[str, Any]:
    """The DAG arguments of the reconciliation: when the registry's watcher says so, and every five minutes.

    One run at a time: what comes meanwhile makes one more run afterwards.
    """
    return {
        **_SHARED,
        "schedule": AssetOrTimeSchedule(timetable=CronTriggerTimetable("*/5 * * * *", timezone="UTC"), assets=[registry_asset()]),
        "max_active_runs": 1,
    }


def reconcile_ensembles() -> None:
    """Add `reconcile`, which is retried while a service is away, and never when what is desired was refused."""
    ReconcileOperator(task_id="reconcile", retries=2, retry_delay=timedelta(seconds=10))


def rollback_form(pipelines: Path) -> dict[str, Any]:
    """The DAG arguments of a rollback: by hand, with a form that proposes the ensembles which the folder's pipelines declare."""
    return {
        **_SHARED,
        "schedule": None,
        "params": {
            "ensemble": Param(
                type="string",
                minLength=1,
                examples=list(DeclaredEnsembles(pipelines).by_name()),
                title="Ensemble",
                description="As its pipeline's YAML names it.",
            ),
            "revision": Param(
                None,
                type=["null", "integer"],
                minimum=1,
                title="Revision",
                description="As `headrace history` shows it; empty for the newest earlier one that served something else.",
            ),
            "why": Param(type="string", pattern=r"\S", title="Why", description="For the history; the reason is never empty."),
        },
    }


def roll_back() -> None:
    """Add `rollback`. It is not retried: `reconcile` goes on with what it asked for, and a second one could go further back."""
    RollbackOperator(task_id="rollback")


class ReconcileOperator(PlatformOperator):
    """Makes what is desired of each ensemble what serves, in its own process: a pod of its own would add its start."""

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return what each pass found and did, as JSON-like data."""
        from headrace.bootstrap import Platform
        from headrace.errors import HeadraceError, UnavailableError

        try:
            passes = Platform().reconcile_all(who=who_triggered(context), log=self.log.info)
        except UnavailableError:
            raise
        except HeadraceError as refusal:
            raise AirflowFailException(str(refusal)) from refusal
        return [each.model_dump(mode="json") for each in passes]


class RollbackOperator(PlatformOperator):
    """Makes an earlier revision what serves."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the new revision as JSON-like data."""
        from headrace.bootstrap import Platform

        asked = context["params"]
        deployment = Platform().rollback(
            asked["ensemble"], to=asked["revision"], who=who_triggered(context), why=asked["why"].strip()
        )
        self.log.info("revision %d of %s serves: %s", deployment.revision, asked["ensemble"], deployment.request.why)
        return deployment.model_dump(mode="json")
