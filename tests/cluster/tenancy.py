"""What an administrator prepares for a team: namespaces, and a user who may install the platform into them and nothing more."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cluster.kubectl import Kubectl

_ACCOUNT = "installer"


def make_namespace(admin: Kubectl, name: str) -> None:
    """A namespace whose pods must be restricted."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


@contextmanager
def own_namespace(admin: Kubectl, purpose: str) -> Iterator[Kubectl]:
    """A new namespace that admits restricted pods alone, with the administrator in it; it goes when the context ends."""
    name = f"{purpose}-{uuid.uuid4().hex[:6]}"
    make_namespace(admin, name)
    try:
        yield admin.within(name)
    finally:
        admin("delete", "namespace", name, "--wait=false")


def restricted_user(admin: Kubectl, namespaces: Sequence[str], rules: Sequence[Any], kubeconfig: Path) -> Kubectl:
    """A user with these rights in these namespaces and no others; his own is the first.

    Args:
        admin: who makes him.
        namespaces: that exist.
        rules: of a Role, the same in each.
        kubeconfig: the file to write his credentials to.
    """
    home = admin.within(namespaces[0])
    home.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ACCOUNT}})
    for namespace in namespaces:
        for document in _rights(namespaces[0], rules):
            admin.within(namespace).apply(document)
    token = home("create", "token", _ACCOUNT, "--duration=6h").strip()
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(admin, token)))
    kubeconfig.chmod(0o600)
    return Kubectl(admin.program, kubeconfig, namespaces[0])


def _rights(home: str, rules: Sequence[Any]) -> tuple[Any, Any]:
    api = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": {"name": _ACCOUNT}, "rules": rules}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": _ACCOUNT},
        "roleRef": {"apiGroup": api, "kind": "Role", "name": _ACCOUNT},
        "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": home}],
    }
    return role, binding


def _kubeconfig(admin: Kubectl, token: str) -> dict[str, Any]:
    """The administrator's cluster, the user's token."""
    seen = yaml.safe_load(admin("config", "view", "--minify", "--flatten", "--raw"))
    (cluster,) = seen["clusters"]
    context = {"name": _ACCOUNT, "context": {"cluster": cluster["name"], "user": _ACCOUNT}}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": _ACCOUNT, "user": {"token": token}}],
        "contexts": [context],
        "current-context": _ACCOUNT,
    }
