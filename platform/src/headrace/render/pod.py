"""What every pod the platform starts has in common: the `restricted` Pod Security Standard, one scratch volume, plain variables.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

import hashlib
import re
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


def unique_label(text: str, *, identity: str, limit: int = 63) -> str:
    """A DNS label of at most `limit` characters: a readable text, and the begin of the digest of what it must be unique by."""
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"{readable[: limit - len(digest) - 1].rstrip('-')}-{digest}"


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
    """Variables as a container's `env`, sorted by name, so that equal input renders equal documents.

    A value arrives as it is: Kubernetes replaces `$(NAME)` in it and takes `$$` for `$`, so each `$` is doubled.
    """
    return [{"name": name, "value": value.replace("$", "$$")} for name, value in sorted(environment.items())]


def variables_from(secrets: Sequence[str]) -> list[Manifest]:
    """Secrets as a container's `envFrom`: each of their keys becomes a variable."""
    return [{"secretRef": {"name": name}} for name in secrets]
