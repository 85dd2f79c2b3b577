"""What every pod the platform starts has in common: the `restricted` Pod Security Standard, one scratch volume, plain variables.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Manifest = dict[str, Any]

USER_ID = 10001
"""Of every image's own user; a number, so that the kubelet can tell it is not root."""
SCRATCH = "/tmp"  # noqa: S108 - the pod's own volume, empty when it starts
SCRATCH_VOLUME: Manifest = {"name": "tmp", "emptyDir": {}}
SCRATCH_MOUNT: Manifest = {"name": "tmp", "mountPath": SCRATCH}
SCRATCH_ENVIRONMENT: Mapping[str, str] = {"HOME": SCRATCH, "HEADRACE_HOME": f"{SCRATCH}/headrace"}
"""Libraries and the store's reader keep caches, and a pod may only write below its scratch volume."""


def pod_security() -> Manifest:
    """A pod's securityContext."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """A container's securityContext."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def variables(environment: Mapping[str, str]) -> list[Manifest]:
    """Variables as a container's `env`, sorted by name, so that equal input renders equal documents."""
    return [{"name": name, "value": value} for name, value in sorted(environment.items())]


def variables_from(secrets: Sequence[str]) -> list[Manifest]:
    """Secrets as a container's `envFrom`: each of their keys becomes a variable."""
    return [{"secretRef": {"name": name}} for name in secrets]
