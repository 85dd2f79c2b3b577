"""The container of a node: the project's serving image, running the component that MODEL_NAME names.

The operator gives a container without a port named `http` one of its own counting; with one, a node's address does not depend on
how many nodes stand before it. It adds TCP probes where there are none, and those succeed before the model is loaded.
"""

from __future__ import annotations

from headrace.render.pod import SCRATCH_ENVIRONMENT, SCRATCH_MOUNT, Manifest, container_security, variables
from headrace.render.seldon.node import MODELS, Node
from headrace.render.seldon.target import ClusterTarget, ServingTarget
from headrace.specs.serving import EnsembleSpec, NodeResources

MODELS_VOLUME = "models"
HTTP_PORT = 9000
METRICS_PORT = 6000

_START_SECONDS = 180
"""How long a node may take from the start of its process to its first healthy answer."""
_SPREAD_SECONDS = 5
"""How long it may take until nobody is sent to a pod any more that is about to end."""


def environment(node: Node) -> dict[str, str]:
    """What the wrapper reads. Its gRPC server would load every model once more, and takes half a minute to end."""
    return {
        "MODEL_NAME": node.component,
        "SERVICE_TYPE": node.type.value,
        "GRPC_WORKERS": "0",
        "GUNICORN_THREADS": "1",
    }


def container(node: Node, ensemble: EnsembleSpec, target: ServingTarget, cluster: ClusterTarget) -> Manifest:
    """The container on a cluster."""
    return {
        "name": node.name,
        "image": target.image,
        "imagePullPolicy": cluster.pull_policy,
        "command": ["python", "-m", "headrace.serving.node"],
        "env": variables({**SCRATCH_ENVIRONMENT, **environment(node)}),
        "ports": [_port("http", HTTP_PORT), _port("metrics", METRICS_PORT)],
        "resources": resources(ensemble.resources),
        "securityContext": container_security(),
        "volumeMounts": [SCRATCH_MOUNT, *_models(node)],
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(leave_seconds(target))]}}},
        **_probes(target),
    }


def resources(wanted: NodeResources) -> Manifest:
    """Reserved CPU and memory; memory is bounded by it, too."""
    # No CPU limit: a throttled node would hold up every request of its graph.
    return {"requests": {"cpu": wanted.cpu, "memory": wanted.memory}, "limits": {"memory": wanted.memory}}


def leave_seconds(target: ServingTarget) -> int:
    """How long a node that is about to end goes on answering: until nobody is sent to it, and the last one's request is over."""
    return _SPREAD_SECONDS + _timeout_seconds(target)


def grace_seconds(target: ServingTarget) -> int:
    """How long a pod may take to end: leaving, then whatever is still in flight."""
    return leave_seconds(target) + _timeout_seconds(target) + _SPREAD_SECONDS


def _models(node: Node) -> list[Manifest]:
    return [{"name": MODELS_VOLUME, "mountPath": MODELS, "readOnly": True}] if node.member else []


def _port(name: str, number: int) -> Manifest:
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def _probes(target: ServingTarget) -> Manifest:
    """All ask for `/health/status`: it runs the golden batch, and hangs or fails when a process of the wrapper has died.

    A node answers one request at a time, so a probe waits for its turn: it may take as long as a prediction.
    """
    check = {"httpGet": {"path": "/health/status", "port": "http", "scheme": "HTTP"}, "successThreshold": 1}
    patient = {**check, "timeoutSeconds": _timeout_seconds(target)}
    return {
        "startupProbe": {**check, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": _START_SECONDS},
        "readinessProbe": {**patient, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**patient, "periodSeconds": 10, "failureThreshold": 3},
    }


def _timeout_seconds(target: ServingTarget) -> int:
    return max(1, round(target.rest_timeout_ms / 1000))
