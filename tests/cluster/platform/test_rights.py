"""What a training pod cannot do, shown by asking the API server and by knocking on doors."""

from __future__ import annotations

import json

import pytest

from cluster.installation import RELEASE, Installation
from cluster.kubectl import Kubectl
from waiting import wait_for

pytestmark = pytest.mark.timeout(2400)  # the first test installs the platform and waits for a whole run

_PROBE = """
import json, socket, sys
answers = {}
for name, address in json.loads(sys.argv[1]).items():
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=4).close()
        answers[name] = True
    except OSError:
        answers[name] = False
print(json.dumps(answers))
"""


@pytest.mark.parametrize("verb", ["get", "list", "create", "delete"])
@pytest.mark.parametrize("resource", ["secrets", "pods", "jobs.batch", "configmaps"])
def test_the_account_of_jobs_may_do_nothing(installation: Installation, admin: Kubectl, verb, resource):
    account = f"system:serviceaccount:{installation.jobs}:{RELEASE}-jobs"
    for namespace in (installation.jobs, installation.namespace):
        answer = admin.within(namespace).says("auth", "can-i", verb, resource, f"--as={account}")
        assert answer.strip() == "no"


@pytest.mark.parametrize(
    ("component", "verb", "resource"),
    [("scheduler", "get", "secrets"), ("triggerer", "create", "pods"), ("scheduler", "create", "deployments.apps")],
)
def test_airflow_may_only_do_what_it_does(installation: Installation, admin: Kubectl, component, verb, resource):
    account = f"system:serviceaccount:{installation.namespace}:{RELEASE}-airflow-{component}"
    answer = admin.within(installation.namespace).says("auth", "can-i", verb, resource, f"--as={account}")
    assert answer.strip() == "no"


def test_a_training_pod_reaches_the_store_and_mlflow_and_nothing_else(
    first_run, installation: Installation, jobs: Kubectl, admin: Kubectl
):
    here = f"{installation.namespace}.svc"
    doors = {
        "store": f"{RELEASE}-minio.{here}:9000",
        "mlflow": f"{RELEASE}-mlflow.{here}:5000",
        "database": f"{RELEASE}-postgresql.{here}:5432",
        "airflow": f"{RELEASE}-airflow-api-server.{here}:8080",
        "serving": f"{RELEASE}-serving.{here}:9000",
        "api server": "kubernetes.default.svc:443",
    }
    reached = _knock(jobs, doors, like=_last_training_pod(admin.within(installation.jobs)))
    assert reached == {name: name in {"store", "mlflow"} for name in doors}


def _last_training_pod(jobs: Kubectl) -> dict:
    """A pod of a finished job, as a pattern for one that knocks."""
    return jobs.get("pods", "-l", "app.kubernetes.io/name=headrace-training")[-1]


def _knock(jobs: Kubectl, doors: dict[str, str], *, like: dict) -> dict[str, bool]:
    """Run the probe in a pod with the labels, account, image and limits of a training pod."""
    spec = like["spec"]
    container = {
        **{key: spec["containers"][0][key] for key in ("name", "image", "securityContext")},
        "command": ["python", "-c", _PROBE, json.dumps(doors)],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
    }
    labels = {key: value for key, value in like["metadata"]["labels"].items() if "job" not in key and "controller" not in key}
    jobs.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "knock", "labels": labels},
            "spec": {
                **{key: spec[key] for key in ("serviceAccountName", "securityContext")},
                "automountServiceAccountToken": False,
                "restartPolicy": "Never",
                "containers": [container],
            },
        }
    )
    try:
        wait_for(
            lambda: jobs.get("pod", "knock")["status"]["phase"] in {"Succeeded", "Failed"}, within=120, what="the probe ends"
        )
        return json.loads(jobs("logs", "knock"))
    finally:
        jobs("delete", "pod", "knock", "--grace-period=0", "--force")
