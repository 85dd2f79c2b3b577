"""A step as a Kubernetes pod."""

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
from headrace.specs.dataset import StepResources
from headrace.specs.step import ENVIRONMENT_KEY, Step

CONTAINER = "step"
"""The name of the pod's one container."""
RUN_ANNOTATION = "headrace/run"
"""Says for which run of which pipeline the pod was started."""
_GRACE_SECONDS = 10
"""Between SIGTERM and SIGKILL; a step keeps nothing that would take longer to put down."""


@dataclass(frozen=True, kw_only=True)
class StepTarget:
    """Where and as what steps run.

    Attributes:
        namespace: of the pods.
        image: holds `headrace.steps`.
        pull_policy: when a node asks the registry for it.
        service_account: of the pods; a step asks nothing of the API server, so it needs no rights.
        priority_class: of the pods; None for the cluster's default.
        environment: plain variables: where the store is.
        secrets: names of Secrets whose keys become variables: the store's credentials.
    """

    namespace: str
    image: str
    pull_policy: str = "IfNotPresent"
    service_account: str = "default"
    priority_class: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


def pod_name(step: Step) -> str:
    """A DNS label, the same for the same identity: the API server gives it to one pod at a time, and so keeps steps apart."""
    return unique_label(step.identity, identity=step.identity)


def render_step(step: Step, target: StepTarget) -> Manifest:
    """The pod. It is not restarted, and does not live longer than the step may take, whatever becomes of who started it."""
    spec: Manifest = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": step.timeout_minutes * 60,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "serviceAccountName": target.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "containers": [_container(step, target)],
        "volumes": [SCRATCH_VOLUME],
    }
    if target.priority_class:
        spec["priorityClassName"] = target.priority_class
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(step),
            "namespace": target.namespace,
            "labels": _labels(step),
            "annotations": {RUN_ANNOTATION: f"{step.pipeline.name}/{step.run}"},
        },
        "spec": spec,
    }


def _container(step: Step, target: StepTarget) -> Manifest:
    environment = {**SCRATCH_ENVIRONMENT, **target.environment, ENVIRONMENT_KEY: step.model_dump_json()}
    return {
        "name": CONTAINER,
        "image": target.image,
        "imagePullPolicy": target.pull_policy,
        "command": ["python", "-m", "headrace.steps", step.name],
        "env": variables(environment),
        "envFrom": variables_from(target.secrets),
        "resources": _resources(step.resources),
        "securityContext": container_security(),
        "volumeMounts": [SCRATCH_MOUNT],
    }


def _resources(resources: StepResources) -> Manifest:
    # No CPU limit: idle cores may help. Memory is bounded, so that a leak hurts the step alone.
    return {"requests": {"cpu": resources.cpu, "memory": resources.memory}, "limits": {"memory": resources.memory}}


def _labels(step: Step) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "headrace-step",
        "app.kubernetes.io/part-of": "headrace",
        "headrace/pipeline": step.pipeline.name,
        "headrace/step": step.name,
    }
