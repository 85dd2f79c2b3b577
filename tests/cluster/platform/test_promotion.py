"""What serves is changed by an alias of the registry, and back again by a form in Airflow, while callers are answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from cluster.installation import RELEASE, Installation
from cluster.kubectl import Kubectl
from cluster.platform.runs import Run
from cluster.trickle import trickle
from waiting import wait_for

MODEL = "fashion-mnist"
WITHIN_SECONDS = 240

pytestmark = pytest.mark.timeout(2400)  # the first test installs the platform and waits for a whole run


class Endpoint:
    """The ensemble, asked from outside the cluster."""

    def __init__(self, url: str) -> None:
        self._url = url

    def versions(self) -> list[int]:
        """Those that vote, in the slots' order."""
        images = np.zeros((1, 28, 28), dtype=np.uint8).tolist()
        reply = httpx.post(self._url, json={"data": {"ndarray": images}}, timeout=30, trust_env=False).raise_for_status()
        return [int(vote["version"]) for vote in reply.json()["meta"]["tags"]["votes"]]


@contextmanager
def endpoint(installation: Installation) -> Iterator[Endpoint]:
    with installation.user.forwarded(f"service/{RELEASE}-serving", 9000) as address:
        yield Endpoint(f"http://{address}/seldon/{installation.namespace}/fashion-mnist/api/v1.0/predictions")


@pytest.fixture
def inside(installation: Installation) -> str:
    """The ensemble's address in the cluster."""
    service = f"http://{RELEASE}-serving.{installation.namespace}.svc:9000"
    return f"{service}/seldon/{installation.namespace}/fashion-mnist/api/v1.0/predictions"


def test_a_moved_alias_serves_and_the_rollback_dag_brings_the_former_back(
    first_run: Run, installation: Installation, clients: Kubectl, serving_image: str, inside: str
):
    with trickle(clients, inside, image=serving_image) as answers:
        with endpoint(installation) as graph, installation.registry() as registry:
            former = graph.versions()
            trained = [first_run.result(f"train_{member}")["version"] for member in ("cnn", "cnn_batch_norm", "cnn_dropout")]
            other = next(version for version in trained if version not in former)
            registry.set_alias(MODEL, "slot-1", other)
            wanted = [other, *former[1:]]
            wait_for(lambda: graph.versions() == wanted, within=WITHIN_SECONDS, what=f"versions {wanted} answer")
        with installation.airflow() as airflow, endpoint(installation) as graph:
            asked = {"ensemble": "fashion-mnist", "revision": None, "why": "the former were better"}
            run = airflow.trigger("rollback", asked)
            wait_for(lambda: airflow.run("rollback", run.run_id).ended, within=WITHIN_SECONDS, what="the rollback ends")
            assert airflow.run("rollback", run.run_id).state == "success"
            assert graph.versions() == former
    assert answers.failures == {}
    assert answers.counts["200"] > 100


def test_a_graph_that_somebody_deletes_is_put_back(first_run: Run, installation: Installation):
    with endpoint(installation) as graph:
        serving = graph.versions()
    installation.user("delete", "configmap", "-l", "headrace.dev/document=seldondeployment")
    with installation.airflow() as airflow:
        run = airflow.trigger("reconcile", {})
        wait_for(lambda: airflow.run("reconcile", run.run_id).ended, within=WITHIN_SECONDS, what="the reconciliation ends")
        assert airflow.run("reconcile", run.run_id).state == "success"
    with endpoint(installation) as graph:
        wait_for(lambda: graph.versions() == serving, within=WITHIN_SECONDS, what="the same versions answer")
