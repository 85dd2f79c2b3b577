"""Task factories: a pipeline's DAG is written with these, and each call adds the tasks its name says.

Nothing here imports a heavy library or touches the network when a DAG file is parsed; the tasks do when they run.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.providers.standard.operators.python import PythonOperator, ShortCircuitOperator
from airflow.sdk import Asset, Param, TriggerRule

from headrace.specs.pipeline import GATE_TASK, TRAINING_TASK, RunRequest
from headrace.specs.step import PromoteStep
from headrace.specs.training import TRAINING_POOL
from headrace_airflow.gate import GateOperator, admitted
from headrace_airflow.steps import MaterialiseOperator, StepOperator
from headrace_airflow.training import TrainingJobOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import XComArg

    from headrace.specs.pipeline import PipelineSpec
    from headrace_airflow.steps import BuildStep

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


def promote(spec: PipelineSpec, candidates: Sequence[XComArg], verdicts: Sequence[XComArg]) -> XComArg:
    """Add `promote`, and return what serves. Who did not pass the gate is not chosen; if nobody did, it is skipped."""
    promoted = StepOperator(
        task_id="promote",
        spec=spec,
        inputs={"candidates": list(candidates), "verdicts": list(verdicts)},
        build=_promotion(spec),
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        outlets=[deployment_asset(spec)],
    )
    output: XComArg = promoted.output
    return output


def _promotion(spec: PipelineSpec) -> BuildStep:
    """What makes the spec of `promote`."""

    def build(run: str, request: RunRequest, inputs: dict[str, Any]) -> PromoteStep:
        candidates = admitted(inputs["candidates"], inputs["verdicts"])
        return PromoteStep(pipeline=spec, run=run, candidates=candidates, size=min(request.ensemble_size, len(candidates)))

    return build
