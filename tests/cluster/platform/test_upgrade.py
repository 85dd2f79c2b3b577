"""Upgrading, rolling back and uninstalling a release that serves."""

from __future__ import annotations

import pytest

from cluster.installation import RELEASE, Installation
from cluster.kubectl import Kubectl
from cluster.platform.runs import Run
from cluster.trickle import trickle

pytestmark = pytest.mark.timeout(2400)  # the first test installs the platform and waits for a whole run


def test_an_upgrade_to_another_image_loses_no_request_and_no_secret_and_can_be_rolled_back(
    first_run: Run, installation: Installation, clients: Kubectl, serving_image: str, next_images: str
):
    secrets = installation.secrets()
    url = f"http://{RELEASE}-serving.{installation.namespace}.svc:9000"
    endpoint = f"{url}/seldon/{installation.namespace}/fashion-mnist/api/v1.0/predictions"
    with trickle(clients, endpoint, image=serving_image) as answers:
        installation.install(f"images.tag={next_images}")
        assert _image(installation).endswith(next_images)
        installation.run_helm("rollback", RELEASE, "1", "--wait", "--timeout", "10m")
        assert _image(installation) == serving_image
    assert answers.failures == {}
    assert answers.counts["200"] > 100
    assert installation.secrets() == secrets


def test_a_run_after_the_rollback_succeeds(first_run: Run, installation: Installation):
    with installation.airflow() as airflow:
        run = Run.start(airflow, members=["cnn"], epochs=1, ensemble_size=1)
        run.await_success()


@pytest.mark.parametrize(
    "kind", ["deployments", "statefulsets", "services", "secrets", "networkpolicies", "persistentvolumeclaims"]
)
def test_nothing_is_left_after_uninstalling(first_run: Run, installation: Installation, uninstalled: None, kind):
    assert installation.user.get(kind, "-l", f"app.kubernetes.io/instance={RELEASE}") == []


def _image(installation: Installation) -> str:
    deployment = installation.user.get("deployment", f"{RELEASE}-serving")
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
