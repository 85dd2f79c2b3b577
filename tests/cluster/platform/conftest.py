"""The platform installed once for all these tests, by a user with rights in his own namespaces alone."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import yaml

from cluster.installation import CHART, RELEASE, Installation
from cluster.kubectl import Kubectl
from cluster.node.home import Home
from cluster.node.images import ctr
from cluster.platform.runs import SMALL, Run
from cluster.programs import EXISTING, TAG, program
from cluster.tenancy import make_namespace, restricted_user

NAMESPACE, JOBS, CLIENTS = "headrace-test", "headrace-test-jobs", "headrace-test-clients"
NEXT_TAG = f"{TAG}-next"


@pytest.fixture(scope="session")
def namespaces(admin: Kubectl) -> Iterator[None]:
    """The platform's, its jobs' and its callers'; new, and gone afterwards."""
    names = (NAMESPACE, JOBS, CLIENTS)
    admin("delete", "namespace", *names, "--ignore-not-found", timeout=300)
    for name in names:
        make_namespace(admin, name)
    yield
    admin("delete", "namespace", *names, "--ignore-not-found", timeout=300)


@pytest.fixture(scope="session")
def installation(admin: Kubectl, namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The chart, installed as the user whose rights its README lists, and the sample's raw files in its store."""
    rules = yaml.safe_load((CHART / "files" / "installer-rules.yaml").read_text())
    user = restricted_user(admin, (NAMESPACE, JOBS), rules, tmp_path_factory.mktemp("user") / "kubeconfig")
    installed = Installation(user=user, helm=program("helm"), jobs=JOBS)
    installed.install()
    installed.mirror("fashion_mnist")
    return installed


@pytest.fixture(scope="session")
def first_run(installation: Installation) -> Iterator[Run]:
    """A finished run of the sample pipeline, all its members; its Airflow goes through a way of its own."""
    with installation.airflow() as airflow:
        run = Run.start(airflow, epochs=2)
        run.await_success(within=1200)
    with installation.airflow() as airflow:
        yield Run(airflow, run.run_id)


@pytest.fixture(scope="session")
def jobs(installation: Installation) -> Kubectl:
    """The user, in the namespace of jobs."""
    return installation.user.within(installation.jobs)


@pytest.fixture(scope="session")
def bereaved_run(first_run: Run, installation: Installation, jobs: Kubectl) -> Iterator[Run]:
    """A second run that ended well, though the pod of one of its workers was killed after the first epoch."""
    with installation.airflow() as airflow:
        run = Run.start(airflow, **SMALL, epochs=8)
        run.await_epoch()
        rank = "batch.kubernetes.io/job-completion-index=1"
        worker = jobs.get("pods", "-l", rank, "--field-selector=status.phase=Running")[0]
        jobs("delete", "pod", worker["metadata"]["name"], "--grace-period=0", "--force")
        run.await_success()
    with installation.airflow() as airflow:
        yield Run(airflow, run.run_id)


@pytest.fixture
def clients(admin: Kubectl, namespaces: None) -> Kubectl:
    """An application team's namespace, beside the platform's."""
    return admin.within(CLIENTS)


@pytest.fixture(scope="session")
def next_images() -> str:
    """A tag under which the same images are another release."""
    if EXISTING:
        return os.environ["HEADRACE_NEXT_TAG"]
    for name in ("airflow", "trainer", "serving", "mlflow"):
        image = f"docker.io/headrace/{name}"
        ctr(Home.of_environment(), "images", "tag", "--force", f"{image}:{TAG}", f"{image}:{NEXT_TAG}")
    return NEXT_TAG


@pytest.fixture(scope="session")
def uninstalled(installation: Installation) -> None:
    """The release is gone."""
    installation.run_helm("uninstall", RELEASE, "--wait", "--timeout", "5m")
