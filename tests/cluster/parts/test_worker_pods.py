"""Jobs on a real API server keep the contract."""

import asyncio

import pytest

from cluster.tenancy import own_namespace
from headrace.adapters.kubernetes.api_server import open_api_server
from headrace.adapters.kubernetes.worker_pods import KubernetesWorkerPods
from headrace.ports.worker_pods import JobPhase
from headrace.render.job import JobTarget
from worker_pods_contract import LINES, WorkerPodsContract

pytestmark = pytest.mark.timeout(120)

WORKER = f"""
import os, pathlib, sys, time
for line in {LINES!r}:
    print(line, flush=True)
order = pathlib.Path("/tmp/end")
while not order.exists():
    time.sleep(0.05)
sys.exit(int(order.read_text()))
"""
"""Prints, and ends when it is told to."""


class Scripted:
    """The adapter, whose jobs' workers run WORKER."""

    def __init__(self, pods):
        self._pods = pods

    def __getattr__(self, name):
        return getattr(self._pods, name)

    async def create(self, job, service, *, owner):
        job["spec"]["template"]["spec"]["containers"][0]["command"] = ["python3.12", "-c", WORKER]
        return await self._pods.create(job, service, owner=owner)


class RealCluster:
    """A namespace on the cluster."""

    def __init__(self, kubectl):
        self.kubectl = kubectl
        self.target = JobTarget(namespace=kubectl.namespace, image="headrace/python:3.12")
        self.pods = None

    def session(self, scene):
        async def connected():
            async with open_api_server() as server:
                self.pods = Scripted(KubernetesWorkerPods(server, namespace=self.kubectl.namespace))
                await scene()

        asyncio.run(connected())

    async def let_workers_print(self, name):
        uid = (await self.pods.find(name)).uid
        async with asyncio.timeout(60):
            while [await self._printed(each) for each in await self.pods.workers(uid)] != [True, True]:
                await asyncio.sleep(0.2)

    async def let_workers_end(self, name, code):
        uid = (await self.pods.find(name)).uid
        workers = await self.pods.workers(uid)
        for worker in workers if code == 0 else workers[:1]:
            await asyncio.to_thread(self.kubectl, "exec", worker.name, "--", "sh", "-c", f"echo {code} >/tmp/end")
        async with asyncio.timeout(60):
            while (await self.pods.find(name)).phase is JobPhase.ACTIVE:
                await asyncio.sleep(0.2)

    async def limit_pods(self, count):
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": str(count)}}}
        await asyncio.to_thread(self.kubectl.apply, quota)
        async with asyncio.timeout(30):
            while "used" not in (await asyncio.to_thread(self.kubectl.get, "resourcequota", "few")).get("status", {}):
                await asyncio.sleep(0.2)

    async def _printed(self, worker):
        return list(await self.pods.tail(worker.name, lines=3)) == LINES


@pytest.fixture(scope="module")
def kubectl(admin):
    with own_namespace(admin, "worker-pods") as kubectl:
        yield kubectl


class TestKubernetesWorkerPods(WorkerPodsContract):
    @pytest.fixture
    def cluster(self, kubectl, monkeypatch):
        monkeypatch.setenv("KUBECONFIG", str(kubectl.kubeconfig))
        yield RealCluster(kubectl)
        kubectl("delete", "jobs,resourcequotas", "--all")
