"""A member's training as an Indexed Job: the provider's KubernetesJobOperator, with a name that is a lock."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.cncf.kubernetes.operators.job import KubernetesJobOperator
from kubernetes.client import ApiClient

from headrace.render.job import CONTAINER, job_name, render_job, render_service
from headrace.usecases.cluster_training.launch import launch
from headrace_airflow.pods.training_trigger import TrainingJobTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.bootstrap import Platform
    from headrace.specs.training import TrainingJob


class TrainingJobPods(KubernetesJobOperator):  # type: ignore[misc]
    """The one Job that a member's training in a run may have.

    Of the provider's operator it takes the labels of the task, what the cluster's policy adds to pods (`pod_mutation_hook`),
    and deferral. It differs in three things. The Job's name is the same for
    every try, so the API server itself sees to it that there is one: a try finds what an earlier one left. The Job is created
    suspended, so there are no pods to wait for before the task is deferred. And its trigger admits it, passes on its workers'
    logs while they run, and ends with the reason of a failure, where the provider's waits for the end and then reads the logs.
    """

    BASE_CONTAINER_NAME = CONTAINER

    def __init__(self, *, job: TrainingJob, platform: Platform, context: Context, **kwargs: Any) -> None:
        self._job = job
        self._platform = platform
        self._context = context
        self._owner = str(context["ti"].id)  # a try's own: Airflow gives another to every try
        self._run_id = ""
        super().__init__(
            task_id=context["ti"].task_id,
            name=job_name(job),
            random_name_suffix=False,
            kubernetes_conn_id=None,
            parallelism=job.training.workers,
            wait_until_job_complete=True,
            deferrable=True,
            **kwargs,
        )

    def launch(self) -> None:
        """See to it that the Job exists, whatever earlier tries did, and note its name where the UI shows it."""
        self._run_id = asyncio.run(self._launch())
        self._context["ti"].xcom_push(key="job_name", value=self.name)
        self._context["ti"].xcom_push(key="job_namespace", value=self._platform.job_target.namespace)

    def execute_deferrable(self) -> NoReturn:
        """Be deferred until the Job has ended; no worker slot is held meanwhile."""
        trigger = TrainingJobTrigger(job=self._job.model_dump(mode="json"), run_id=self._run_id, owner=self._owner)
        self.defer(trigger=trigger, method_name="execute_complete")

    def render(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """The Job's manifest, its pods labelled with the task and changed as the cluster's policy says."""
        manifest = render_job(self._job, self._platform.job_target, environment=environment)
        self.pod_template_dict = manifest["spec"]["template"]
        # "Dry" means without a label that says how this process reached the API server, which it would open a connection for.
        pod = ApiClient().sanitize_for_serialization(self.build_pod_request_obj(self._context, dry_run=True))
        metadata = {key: pod["metadata"][key] for key in ("labels", "annotations") if pod["metadata"].get(key)}
        return {**manifest, "spec": {**manifest["spec"], "template": {"metadata": metadata, "spec": pod["spec"]}}}

    async def _launch(self) -> str:
        target = self._platform.job_target
        async with self._platform.worker_pods() as pods:
            return await launch(
                pods,
                self._job,
                records=self._platform.training_records,
                render=self.render,
                service=lambda uid: render_service(self._job, target, uid=uid),
                owner=self._owner,
                log=self.log.info,
            )
