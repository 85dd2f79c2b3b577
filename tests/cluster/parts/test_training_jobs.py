"""Training jobs in real pods: started whole, followed, never doubled, honest when they fail, gone when a person ends them."""

import json

import pytest

from cluster.parts.step_world import ACCESS_KEY, SECRET_KEY, keep_store_keys, minio_server, node_address
from cluster.parts.training_world import Task, TrainingOnCluster, mlflow_server
from cluster.tenancy import own_namespace
from headrace.bootstrap import Platform
from headrace.config import load_settings
from headrace.errors import TrainingFailedError
from headrace.specs.dataset import Split
from headrace.specs.step import run_name
from training_data import write_version
from waiting import wait_for

pytestmark = pytest.mark.timeout(1200)
EVERYTHING = ["job", "pod/0", "pod/1", "service"]
EPOCHS = 60
"""Enough to do something to a job before it is done: an epoch takes a tenth of a second."""


@pytest.fixture(scope="module")
def kubectl(admin):
    with own_namespace(admin, "training") as kubectl:
        keep_store_keys(kubectl)
        yield kubectl


@pytest.fixture(scope="module")
def world(kubectl, minio_program, tmp_path_factory):
    address = node_address(kubectl)
    home = tmp_path_factory.mktemp("training")
    with (
        minio_server(minio_program, tmp_path_factory.mktemp("minio"), address) as minio,
        mlflow_server(tmp_path_factory.mktemp("mlflow"), address) as tracking,
        pytest.MonkeyPatch.context() as patch,
    ):
        for key, value in _environment(kubectl, home, minio.endpoint, tracking).items():
            patch.setenv(key, value)
        platform = Platform(load_settings())
        version = write_version(platform.store, rows={Split.TRAIN: 2000, Split.VALIDATION: 300, Split.TEST: 400})
        yield TrainingOnCluster(kubectl, platform, version)


def _environment(kubectl, home, endpoint, tracking):
    """The installation, as settings in the environment."""
    return {
        "KUBECONFIG": str(kubectl.kubeconfig),
        "NO_PROXY": f"{endpoint.partition(':')[0]},127.0.0.1",
        "HEADRACE_HOME": str(home),
        "HEADRACE_BACKEND": "kubernetes",
        "HEADRACE_TRACKING_URL": tracking,
        "HEADRACE_STORE": "minio",
        "HEADRACE_MINIO__ENDPOINT": endpoint,
        "HEADRACE_MINIO__ACCESS_KEY": ACCESS_KEY,
        "HEADRACE_MINIO__SECRET_KEY": SECRET_KEY,
        "HEADRACE_KUBERNETES__NAMESPACE": kubectl.namespace,
        "HEADRACE_KUBERNETES__SECRETS": '["store"]',
    }


@pytest.fixture
def task(world, request):
    """Makes a task of a run of its own; leaves nothing of it."""
    tasks = []

    def make(**training):
        tasks.append(Task(world, run_name(f"{request.node.name}-{len(tasks)}"), **training))
        return tasks[-1]

    yield make
    for each in tasks:
        for followed in each.followed:
            followed.die()
    world.kubectl("delete", "jobs,resourcequotas", "--all")


def test_two_pods_train_a_member_together(world, task):
    job = task(epochs=2)
    followed = job.execute()
    followed.await_line("[worker 0] epoch 1/2")
    assert job.objects() == EVERYTHING
    candidate = job.complete(followed.event())
    assert candidate["metrics"]["validation_accuracy"] > 0.5
    (run,) = job.mlflow_runs()
    assert (run.info.run_id, run.info.status) == (candidate["run_id"], "FINISHED")
    assert world.platform.registry.version("tiny", candidate["version"]).run_id == candidate["run_id"]
    for rank in (0, 1):
        mine = [line for line in followed.lines if line.startswith(f"[worker {rank}] epoch")]
        assert [line.split()[3] for line in mine] == ["1/2", "2/2"], "each line once"


def test_a_worker_knows_the_store_and_mlflow_and_nothing_else(world, task):
    followed = (job := task(epochs=50)).execute()
    followed.await_line("[worker 0] epoch 1/50")
    inside = world.kubectl("exec", job.pod(0), "--", "env")
    assert "HEADRACE_MINIO__SECRET_KEY=" in inside
    assert "DATABASE" not in inside
    assert "_SERVICE_HOST" not in inside.replace("KUBERNETES_SERVICE_HOST", "")
    assert not world.kubectl("exec", job.pod(0), "--", "sh", "-c", "ls /var/run/secrets/kubernetes.io 2>/dev/null || true")
    job.end(state="failed")


def test_a_deleted_pod_fails_the_job_by_name_and_the_next_try_goes_on_in_the_same_run(world, task):
    job = task(epochs=EPOCHS)
    followed = job.execute()
    followed.await_line(f"[worker 1] epoch 2/{EPOCHS}")
    world.kubectl("delete", "pod", job.pod(1), "--wait=false")
    told = rf"worker 1 of 2 was deleted; its last lines:\n(.*\n)*epoch ([2-9]|\d\d)/{EPOCHS}"
    with pytest.raises(TrainingFailedError, match=told):
        job.complete(followed.event(within=180))
    (failed,) = job.mlflow_runs()
    assert failed.info.status == "FAILED"
    assert "worker 1 of 2 was deleted" in failed.data.tags["headrace.failure"]
    wait_for(lambda: not job.objects(), 30, "nothing is left of the failed job")

    again = job.execute()
    candidate = job.complete(again.event())
    assert any("[worker 0] resumed after epoch" in line for line in again.lines)
    (run,) = job.mlflow_runs()
    assert (run.info.run_id, run.info.status) == (failed.info.run_id, "FINISHED")
    assert candidate["run_id"] == failed.info.run_id
    steps = [point.step for point in world.client.get_metric_history(run.info.run_id, "loss")]
    assert sorted(steps) == list(range(1, EPOCHS + 1)), "no epoch is logged twice"


def test_a_killed_triggerer_and_a_killed_worker_find_the_same_job_again(task):
    job = task(epochs=EPOCHS)
    first = job.execute()
    first.await_line(f"[worker 0] epoch 2/{EPOCHS}")
    uid = job.uid()
    first.die()
    assert job.objects() == EVERYTHING, "a triggerer that ends leaves the job alone"
    second = job.follow_again()
    second.await_line("[worker 0] epoch")
    second.die()
    third = job.execute()
    assert job.uid() == uid, "a retry never starts a second job"
    job.complete(third.event())
    lines = [*first.lines, *second.lines, *third.lines]
    epochs = [line.split()[3] for line in lines if line.startswith("[worker 0] epoch")]
    assert epochs == [f"{number}/{EPOCHS}" for number in range(1, EPOCHS + 1)], "no line is lost or repeated"
    assert len(job.mlflow_runs()) == 1


@pytest.mark.parametrize("state", ["failed", "queued"])
def test_a_task_that_a_person_ends_or_clears_leaves_nothing_behind(task, state):
    job = task(epochs=50)
    job.execute().await_line("[worker 0] epoch 1/50")
    job.end(state=state)
    assert [each for each in job.objects() if each != "service"] == []
    wait_for(lambda: not job.objects(), 30, "the service goes, too")
    (run,) = job.mlflow_runs()
    assert run.info.status == "FAILED"
    assert run.data.tags["headrace.failure"].startswith("stopped")


def test_a_job_waits_for_the_quota_says_so_and_starts_when_there_is_room(world, task):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "jobs"}}
    world.kubectl.apply({**quota, "spec": {"hard": {"requests.cpu": "300m", "requests.memory": "8Gi"}}})
    wait_for(lambda: "used" in world.kubectl.get("resourcequota", "jobs").get("status", {}), 30, "the quota counts")
    first, second = task(epochs=50), task(epochs=1)
    first.execute().await_line("[worker 0] epoch 1/50")
    waiting = second.execute()
    waiting.await_line("waits for quota: requests.cpu 0.2 of 0.3 used, this job needs 0.2")
    assert second.objects() == ["job", "service"], "a job that waits holds nothing"
    first.end(state="failed")
    second.complete(waiting.event())


def test_a_worker_that_no_node_can_take_fails_the_whole_job_with_the_schedulers_words(task):
    job = task(resources={"cpu": "1000", "memory": "1Gi"}, placement={"schedule_within_seconds": 5})
    followed = job.execute()
    with pytest.raises(TrainingFailedError, match=r"worker 0 could not be started within 5 s: 0/1 nodes .* Insufficient cpu"):
        job.complete(followed.event(within=180))
    assert any("worker 0 waits: 0/1 nodes are available" in line for line in followed.lines)
    wait_for(lambda: not job.objects(), 30, "nothing is left")


def test_a_worker_out_of_memory_is_named_with_its_limit(task):
    job = task(resources={"cpu": "100m", "memory": "64Mi"})
    with pytest.raises(TrainingFailedError, match=r"worker [01] of 2 ran out of memory \(OOMKilled, its limit is 64Mi\)"):
        job.complete(job.execute().event(within=300))


def test_pods_are_placed_as_the_pipeline_says(world, task):
    label = json.dumps({"metadata": {"labels": {"headrace-test/pool": "training"}}})
    (node, *_) = world.kubectl.get("nodes")
    selector = {"headrace-test/pool": "training"}
    job = task(epochs=1, placement={"node_selector": selector, "schedule_within_seconds": 120})
    followed = job.execute()
    followed.await_line("waits: 0/1 nodes are available")
    world.kubectl("patch", "node", node["metadata"]["name"], "-p", label)
    try:
        job.complete(followed.event())
    finally:
        world.kubectl("label", "node", node["metadata"]["name"], "headrace-test/pool-")
