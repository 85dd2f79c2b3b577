"""The node puts NetworkPolicies into force: without that, a test of the chart's own would prove nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.kubectl import Kubectl
from cluster.node.programs import GO_SETTINGS
from cluster.programs import EXISTING
from waiting import wait_for

NAMESPACE = "headrace-test-policies"
PORT = 8080
_MODULE = Path(__file__).parent / "kube"
_GO_TEST = ("go", "test", "./netpol")
_IN_FORCE_WITHIN = 20
_DNS = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
_PROBE = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)"


@pytest.fixture(scope="module")
def pods(admin: Kubectl, serving_image: str) -> Iterator[Kubectl]:
    """A server with a Service, a friend and a stranger."""
    pods = admin.within(NAMESPACE)
    admin("delete", "namespace", NAMESPACE, "--ignore-not-found")
    admin("create", "namespace", NAMESPACE)
    pods.apply(_pod("server", serving_image, "-m", "http.server", str(PORT), "--directory", "/opt"))
    for name in ("friend", "stranger"):
        pods.apply(_pod(name, serving_image, "-c", "import signal; signal.pause()"))
    pods("expose", "pod", "server", f"--port={PORT}")
    pods("wait", "--for=condition=Ready", "pods", "--all", "--timeout=120s")
    wait_for(lambda: _reaches(pods, "stranger"), 60, "the server listens")
    yield pods
    admin("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(autouse=True)
def without_policies(pods: Kubectl) -> None:
    """Each test starts from none."""
    pods("delete", "networkpolicies", "--all")
    for name in ("friend", "stranger"):
        wait_for(lambda name=name: _reaches(pods, name), _IN_FORCE_WITHIN, f"{name} reaches the server")


def test_a_default_deny_stops_everybody(pods: Kubectl) -> None:
    pods.apply(_policy("deny", {}, "Ingress"))
    for name in ("friend", "stranger"):
        wait_for(lambda name=name: not _reaches(pods, name), _IN_FORCE_WITHIN, f"{name} is stopped")


def test_an_allow_admits_whom_it_names_at_the_port_that_it_names(pods: Kubectl) -> None:
    pods.apply(_policy("deny", {}, "Ingress"))
    rule = {"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": [{"port": "web"}]}
    pods.apply(_policy("allow", {"matchLabels": {"app": "server"}}, "Ingress", ingress=[rule]))
    wait_for(lambda: not _reaches(pods, "stranger"), _IN_FORCE_WITHIN, "the stranger is stopped")
    assert _reaches(pods, "friend")


def test_a_pod_without_egress_reaches_neither_pods_nor_the_api_server(pods: Kubectl) -> None:
    assert _connects(pods, "friend", "kubernetes.default", 443)
    pods.apply(_policy("deny", {"matchLabels": {"app": "friend"}}, "Egress", egress=[_DNS]))
    wait_for(lambda: not _reaches(pods, "friend"), _IN_FORCE_WITHIN, "the friend is stopped")
    assert not _connects(pods, "friend", "kubernetes.default", 443)
    assert _reaches(pods, "stranger")


@pytest.mark.skipif(EXISTING, reason="the enforcer is the project's own node's")
def test_the_enforcer_reads_policies_as_the_api_defines_them() -> None:
    done = subprocess.run(_GO_TEST, cwd=_MODULE, env=os.environ | GO_SETTINGS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _reaches(pods: Kubectl, name: str) -> bool:
    return _python(pods, name, _PROBE, f"http://server:{PORT}/")


def _connects(pods: Kubectl, name: str, host: str, port: int) -> bool:
    return _python(pods, name, f"import socket; socket.create_connection(({host!r}, {port}), timeout=2)")


def _python(pods: Kubectl, name: str, *program: str) -> bool:
    return "done" in pods.says("exec", name, "--", "python3", "-c", f"{program[0]}; print('done')", *program[1:])


def _pod(name: str, image: str, *arguments: str) -> dict[str, Any]:
    container = {
        "name": "python",
        "image": image,
        "command": ["python3", *arguments],
        "ports": [{"name": "web", "containerPort": PORT}],
        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def _policy(name: str, selected: dict[str, Any], kind: str, **rules: Any) -> dict[str, Any]:
    spec = {"podSelector": selected, "policyTypes": [kind], **rules}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}
