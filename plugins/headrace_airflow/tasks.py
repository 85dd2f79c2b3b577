"""Task factories: a pipeline's DAG is written with these, and each call adds the tasks its name says.

Nothing here imports a heavy library or touches the network when a DAG file is parsed; the tasks do when they run.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.providers.standard.operators.python import PythonOperator, ShortCircuitOperator
from airflow.sdk import Asset, Param, TriggerRule

from headrace.specs.pipeline import APPROVAL_TASK, GATE_TASK, JOIN_TASK, TRAINING_TASK, RunRequest
from headrace.specs.serving import Approval, Progressive
from headrace.specs.training import TRAINING_POOL
from headrace_airflow.approval import ApproveOperator
from headrace_airflow.gate import GateOperator
from headrace_airflow.promotion import JoinOperator, PromoteOperator
from headrace_airflow.steps import MaterialiseOperator
from headrace_airflow.training import TrainingJobOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk import XComArg

    from headrace.specs.pipeline import PipelineSpec

log = logging.getLogger(__name__)


def schedule_of(spec: PipelineSpec) -> dict[str, Any]:
    """The DAG arguments that say when: as the spec's cron expression, or by hand."""
    return {
        "dag_id": spec.name,
        "description": spec.description,
        "schedule": spec.schedule,
        "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
        "catchup": False,
        "default_args": {"owner": "headrace"},
        "tags": ["headrace", spec.dataset.name, spec.ensemble.name],
    }


def params_of(spec: PipelineSpec) -> dict[str, Param]:
    """The trigger form: defaults from the spec, bad values refused by Airflow before anything runs."""
    defaults = RunRequest.defaults(spec)
    members = list(spec.members)
    return {
        "force_refresh": Param(False, type="boolean", title="Ingest again", description="Even if the cached dataset is fresh."),
        "epochs": Param(defaults.epochs, type="integer", minimum=1, maximum=200, title="Epochs"),
        "workers": Param(
            defaults.workers, type="integer", minimum=1, maximum=16, title="Workers", description="Of each training job."
        ),
        "members": Param(
            members,
            type="array",
            items={"type": "string", "enum": members},
            examples=members,
            minItems=1,
            uniqueItems=True,
            title="Members to train",
        ),
        "ensemble_size": Param(
            defaults.ensemble_size,
            type="integer",
            minimum=1,
            maximum=len(members),
            title="Ensemble size",
            description="The best so many of the trained members serve together.",
        ),
    }


def dataset_asset(spec: PipelineSpec) -> Asset:
    """The asset that stands for the pipeline's dataset; its events carry version, cached or not, and the reason."""
    return Asset(name=f"dataset/{spec.dataset.name}", uri=f"headrace://datasets/{spec.dataset.name}")


def deployment_asset(spec: PipelineSpec) -> Asset:
    """The asset that stands for what serves."""
    return Asset(name=f"deployment/{spec.ensemble.name}", uri=f"headrace://deployments/{spec.ensemble.name}")


def ingest_if_stale(spec: PipelineSpec) -> XComArg:
    """Add `is_stale` → `ingest` → `dataset`, and return the dataset version as the later tasks are handed it.

    A fresh dataset skips `ingest` alone. `dataset` runs either way and emits the asset's event.
    """
    asset = dataset_asset(spec)
    check = ShortCircuitOperator(
        task_id="is_stale", python_callable=_staleness_check(spec), ignore_downstream_trigger_rules=False
    )
    ingest = MaterialiseOperator(
        task_id="ingest",
        spec=spec,
        retries=1,
        retry_delay=timedelta(seconds=5),
        execution_timeout=timedelta(minutes=spec.dataset.timeout_minutes),
    )
    publish = PythonOperator(
        task_id="dataset",
        python_callable=_publication(asset),
        outlets=[asset],
        trigger_rule=TriggerRule.NONE_FAILED,
    )
    check >> ingest >> publish
    output: XComArg = publish.output
    return output


def _staleness_check(spec: PipelineSpec) -> Callable[..., bool]:
    """What `is_stale` runs; its XCom `reason` says why, `version` holds the fresh version."""

    def is_stale(params: dict[str, Any], ti: Any) -> bool:
        from headrace.bootstrap import Platform

        request = RunRequest.parse(spec, dict(params))
        started = time.perf_counter()
        freshness = Platform().check_freshness(spec, force=request.force_refresh)
        log.info("%s: %s", spec.dataset.name, freshness.reason)
        ti.xcom_push("reason", freshness.reason)
        ti.xcom_push("work_seconds", round(time.perf_counter() - started, 4))
        ti.xcom_push("version", freshness.version.model_dump(mode="json") if freshness.version else None)
        return not freshness.fresh

    return is_stale


def _publication(asset: Asset) -> Callable[..., dict[str, Any]]:
    """What `dataset` runs: takes the version from `ingest`, or from `is_stale` when that was skipped."""

    def dataset(ti: Any, outlet_events: Any) -> dict[str, Any]:
        ingested = ti.xcom_pull(task_ids="ingest") or {
            "version": ti.xcom_pull(task_ids="is_stale", key="version"),
            "cached": True,
            "reason": ti.xcom_pull(task_ids="is_stale", key="reason"),
        }
        version: dict[str, Any] = ingested["version"]
        log.info("dataset version %s (%s)", version["version"], ingested["reason"])
        outlet_events[asset].extra = {
            "version": version["version"],
            "cached": ingested["cached"],
            "reason": ingested["reason"],
        }
        return version

    return dataset


def train(spec: PipelineSpec, member: str, dataset: XComArg) -> XComArg:
    """Add `train_<member>`, and return its candidate. A retry resumes from the last checkpoint, in the same MLflow run."""
    operator = TrainingJobOperator(
        task_id=TRAINING_TASK + member,
        spec=spec,
        member=member,
        inputs={"dataset": dataset},
        pool=TRAINING_POOL,
        retries=spec.training.retries,
        retry_delay=timedelta(seconds=5),
    )
    output: XComArg = operator.output
    return output


@dataclass(frozen=True)
class Entry:
    """What a member's tasks hand on to the final choice.

    Attributes:
        candidate: what training registered.
        verdict: its gate's.
        admission: the verdict once more, when everybody who had to admit the candidate has.
        last: the member's last task; the choice waits for it, however it ends.
    """

    candidate: XComArg
    verdict: XComArg
    admission: XComArg
    last: XComArg


def admit(spec: PipelineSpec, member: str, candidate: XComArg, dataset: XComArg) -> Entry:
    """Add `gate_<member>`, `approve_<member>` where a person is asked, and `join_<member>` where candidates may join what serves.

    A candidate that is refused or has to wait fails nothing: the rest of its tasks are skipped.
    """
    verdict = gate(spec, member, candidate, dataset)
    admission = approve(spec, member, verdict) if spec.ensemble.approval is Approval.MANUAL else verdict
    if spec.ensemble.progressive is Progressive.NEVER:
        return Entry(candidate, verdict, admission, last=admission)
    inputs = {"candidate": candidate, "verdict": admission}
    joined: XComArg = JoinOperator(task_id=JOIN_TASK + member, spec=spec, inputs=inputs, outlets=[deployment_asset(spec)]).output
    return Entry(candidate, verdict, admission, last=joined)


def gate(spec: PipelineSpec, member: str, candidate: XComArg, dataset: XComArg) -> XComArg:
    """Add `gate_<member>`, and return its verdict. A candidate that fails it fails nothing else: it is not chosen."""
    operator = GateOperator(
        task_id=GATE_TASK + member,
        spec=spec,
        inputs={"candidate": candidate, "dataset": dataset},
        retries=1,
        retry_delay=timedelta(seconds=5),
    )
    output: XComArg = operator.output
    return output


def approve(spec: PipelineSpec, member: str, verdict: XComArg) -> XComArg:
    """Add `approve_<member>`, and return the verdict of a candidate that a person has approved."""
    operator = ApproveOperator(
        task_id=APPROVAL_TASK + member, spec=spec, inputs={"verdict": verdict}, retries=1, retry_delay=timedelta(seconds=5)
    )
    output: XComArg = operator.output
    return output


def promote(spec: PipelineSpec, entries: Mapping[str, Entry], dataset: XComArg) -> XComArg:
    """Add `promote`, and return what serves. It waits for everybody and counts on nobody.

    Args:
        spec: the pipeline's.
        entries: by member.
        dataset: the version that the gates measured on.
    """
    operator = PromoteOperator(
        task_id="promote",
        spec=spec,
        inputs={
            "candidates": {member: entry.candidate for member, entry in entries.items()},
            "verdicts": {member: entry.verdict for member, entry in entries.items()},
            "admissions": {member: entry.admission for member, entry in entries.items()},
            "dataset": dataset,
        },
        trigger_rule=TriggerRule.ALL_DONE,
        outlets=[deployment_asset(spec)],
    )
    for entry in entries.values():
        entry.last >> operator
    output: XComArg = operator.output
    return output
