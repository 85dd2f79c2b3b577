"""A client of an endpoint inside the cluster: asks all the time, and counts what was not answered.

It runs in a pod because a port-forward is tied to one pod, and what is to be seen is what a Service does while pods come and go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cluster.kubectl import Kubectl
from waiting import wait_for

_SCRIPT = """
import asyncio, collections, json, pathlib, sys, time
import aiohttp

URL, STOP, CONCURRENT, PAUSE, LIMIT = sys.argv[1], pathlib.Path("/tmp/stop"), 4, 0.02, 900
MESSAGE = {"data": {"ndarray": [[[0] * 28] * 28]}}
answers = collections.Counter()

async def ask(session):
    try:
        async with session.post(URL, json=MESSAGE) as reply:
            return str(reply.status) if reply.status == 200 else f"{reply.status} {(await reply.text())[:300]}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

async def caller(session, deadline):
    while not STOP.exists() and time.monotonic() < deadline:
        answer = await ask(session)
        if not answers:
            print("asking", flush=True)
        answers[answer] += 1
        await asyncio.sleep(PAUSE)

async def main():
    # A connection a request, as short-lived clients have: each is balanced anew.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        await asyncio.gather(*(caller(session, time.monotonic() + LIMIT) for _ in range(CONCURRENT)))
    print(json.dumps(answers), flush=True)

asyncio.run(main())
"""
_POD = "trickle"


@dataclass
class Answers:
    """What came back, by status or error; filled when the context ends."""

    counts: dict[str, int] = field(default_factory=dict)

    @property
    def failures(self) -> dict[str, int]:
        """Everything but 200."""
        return {answer: count for answer, count in self.counts.items() if answer != "200"}


@contextmanager
def trickle(kubectl: Kubectl, url: str, *, image: str) -> Iterator[Answers]:
    """Ask an address inside the cluster while the context lasts, a few dozen times a second.

    Args:
        kubectl: in the namespace of the client.
        url: a Fashion-MNIST endpoint's.
        image: one with Python and aiohttp.
    """
    answers = Answers()
    kubectl.apply(_pod(url, image))
    try:
        wait_for(lambda: "asking" in _logs(kubectl), within=120, what="the client has its first answer")
        yield answers
        kubectl("exec", _POD, "--", "touch", "/tmp/stop")
        wait_for(lambda: kubectl.get("pod", _POD)["status"]["phase"] == "Succeeded", within=60, what="the client ends")
        answers.counts = json.loads(_logs(kubectl).strip().splitlines()[-1])
    finally:
        kubectl("delete", "pod", _POD, "--ignore-not-found", "--grace-period=0", "--force")


def _logs(kubectl: Kubectl) -> str:
    phase = kubectl.get("pod", _POD)["status"]["phase"]
    assert phase != "Failed", kubectl("logs", _POD)
    return kubectl("logs", _POD) if phase != "Pending" else ""


def _pod(url: str, image: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _POD},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "client",
                    "image": image,
                    "command": ["python", "-c", _SCRIPT, url],
                    "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
