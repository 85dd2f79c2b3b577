"""A training job as Kubernetes objects: an Indexed Job with one pod a worker, and the headless Service that names the pods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.render.pod import (
    SCRATCH_ENVIRONMENT,
    SCRATCH_MOUNT,
    SCRATCH_VOLUME,
    Manifest,
    container_security,
    pod_security,
    unique_label,
    variables,
    variables_from,
)
from headrace.specs.training import HOSTS_VARIABLE, JOB_VARIABLE, THREADS_VARIABLE, Resources, Toleration, TrainingJob

PORT = 2222
CONTAINER = "worker"
_LABEL_LIMIT = 52
"""Characters of the job's name: a pod's host name is `<job>-<index>` and may have 63, and the Job adds a suffix to pod names."""
_KEEP_SECONDS = 24 * 3600
"""How long a finished job stays to be looked at."""
_GRACE_SECONDS = 3
"""Between asking a worker to end and ending it."""
KIND_LABEL = "app.kubernetes.io/name"
KIND = "headrace-training"
"""What training jobs, their services and their pods are found by."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""https://kueue.sigs.k8s.io/docs/tasks/run/jobs/"""


@dataclass(frozen=True, kw_only=True)
class JobTarget:
    """Where and as what training jobs run, unless a pipeline's own placement says otherwise.

    Attributes:
        namespace: of all objects.
        image: the trainer's.
        pull_policy: when a node asks the registry for it.
        service_account: of the pods; training asks nothing of the API server, so it needs no rights.
        environment: plain variables, e.g. `MLFLOW_TRACKING_URI` and the store's settings.
        secrets: names of Secrets whose keys become variables, e.g. the store's credentials.
        priority_class: of the pods.
        queue: the Kueue LocalQueue that admits jobs; without one, whoever follows a job does, as the namespace's quota allows.
    """

    namespace: str
    image: str
    pull_policy: str = "IfNotPresent"
    service_account: str = "default"
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    priority_class: str | None = None
    queue: str | None = None


def job_name(job: TrainingJob) -> str:
    """A DNS label, the same for the same job: readable, and unique by a digest of the job's prefix."""
    return unique_label(f"train-{job.pipeline}-{job.name}", identity=job.prefix, limit=_LABEL_LIMIT)


def render_job(job: TrainingJob, target: JobTarget, *, environment: Mapping[str, str]) -> Manifest:
    """The Job. It is created suspended: Kueue, or whoever follows it, lets it start when there is room for all its pods at once.

    A worker that dies fails the Job at once (`backoffLimit` 0): its peers cannot go on without it, and the next try starts all
    of them from the checkpoint. Its deadline counts only while it is not suspended.

    Args:
        job: what to train.
        target: where.
        environment: of this try, e.g. `MLFLOW_RUN_ID`.
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job_name(job), "namespace": target.namespace, "labels": _job_labels(job, target)},
        "spec": {
            "suspend": True,
            "completionMode": "Indexed",
            "completions": job.training.workers,
            "parallelism": job.training.workers,
            "backoffLimit": 0,
            "activeDeadlineSeconds": job.training.timeout_minutes * 60,
            "ttlSecondsAfterFinished": _KEEP_SECONDS,
            "template": {"metadata": {"labels": _labels(job)}, "spec": _pod(job, target, environment)},
        },
    }


def render_service(job: TrainingJob, target: JobTarget, *, uid: str) -> Manifest:
    """The headless Service that gives the workers of the Job with that uid their names; it goes when the Job does."""
    name = job_name(job)
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": target.namespace, "labels": _labels(job), "ownerReferences": [owner]},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"batch.kubernetes.io/job-name": name},
            "ports": [{"name": "grpc", "port": PORT, "targetPort": PORT}],
        },
    }


def worker_hosts(job: TrainingJob, target: JobTarget) -> tuple[str, ...]:
    """`host:port` of every pod, by rank: names that the Service publishes before the pods are ready."""
    name = job_name(job)
    return tuple(f"{name}-{rank}.{name}.{target.namespace}.svc:{PORT}" for rank in range(job.training.workers))


def _pod(job: TrainingJob, target: JobTarget, environment: Mapping[str, str]) -> Manifest:
    placement = job.training.placement
    priority_class = placement.priority_class or target.priority_class
    return {
        "subdomain": job_name(job),
        "restartPolicy": "Never",
        **({"priorityClassName": priority_class} if priority_class else {}),
        **({"nodeSelector": dict(placement.node_selector)} if placement.node_selector else {}),
        **({"tolerations": [_toleration(each) for each in placement.tolerations]} if placement.tolerations else {}),
        # Nothing is lost with a worker: what counts is in the checkpoint.
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "enableServiceLinks": False,
        "serviceAccountName": target.service_account,
        "automountServiceAccountToken": False,
        "securityContext": pod_security(),
        "containers": [_container(job, target, environment)],
        "volumes": [SCRATCH_VOLUME],
    }


def _container(job: TrainingJob, target: JobTarget, environment: Mapping[str, str]) -> Manifest:
    return {
        "name": CONTAINER,
        "image": target.image,
        "imagePullPolicy": target.pull_policy,
        "command": ["python", "-m", "headrace.training"],
        "env": _environment(job, target, environment),
        "envFrom": variables_from(target.secrets),
        "ports": [{"name": "grpc", "containerPort": PORT}],
        "resources": _resources(job.training.resources),
        "securityContext": container_security(),
        "volumeMounts": [SCRATCH_MOUNT],
    }


def _environment(job: TrainingJob, target: JobTarget, environment: Mapping[str, str]) -> list[Manifest]:
    """Kubernetes itself adds JOB_COMPLETION_INDEX."""
    wanted = {
        **SCRATCH_ENVIRONMENT,
        **target.environment,
        **environment,
        JOB_VARIABLE: job.model_dump_json(),
        THREADS_VARIABLE: str(cores(job.training.resources.cpu)),
    }
    if job.training.workers > 1:
        wanted[HOSTS_VARIABLE] = ",".join(worker_hosts(job, target))
    return variables(wanted)


def cores(quantity: str) -> int:
    """A CPU quantity in whole cores, at least one: `1500m` is 1."""
    return max(1, int(quantity[:-1]) // 1000 if quantity.endswith("m") else int(float(quantity)))


def _resources(resources: Resources) -> Manifest:
    wanted = {"cpu": resources.cpu, "memory": resources.memory}
    # No CPU limit: a throttled worker would hold up all others. Memory is bounded, so that a leak hurts the job alone.
    limits: dict[str, str] = {"memory": resources.memory}
    if resources.gpu:
        limits["nvidia.com/gpu"] = str(resources.gpu)
    return {"requests": wanted, "limits": limits}


def _toleration(toleration: Toleration) -> Manifest:
    return toleration.model_dump(exclude_none=True)


def _job_labels(job: TrainingJob, target: JobTarget) -> dict[str, str]:
    queue = job.training.placement.queue or target.queue
    return {**_labels(job), **({QUEUE_LABEL: queue} if queue else {})}


def _labels(job: TrainingJob) -> dict[str, str]:
    return {
        KIND_LABEL: KIND,
        "app.kubernetes.io/part-of": "headrace",
        "headrace.dev/pipeline": job.pipeline,
        "headrace.dev/member": job.name,
    }
