"""The embedded stack as an operator meets it: up, looked at, hurt, taken down."""

import json
import socket
import stat
import time
from datetime import UTC, datetime

import httpx
import psutil
import pytest

from embedded_stack import DOWN_WITHIN_SECONDS
from headrace.specs.training import TRAINING_POOL
from headrace.stack.environment import LOOPBACK
from waiting import wait_for

PARTS = (
    "postgres",
    "mlflow",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "serving",
)
SECOND_UP_WITHIN_SECONDS = 3
BACK_WITHIN_SECONDS = 90
IDLE_BYTES = 2.0e9

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def status(stack):
    return json.loads(stack.headrace("status", "--json").stdout)


def test_a_second_up_is_quick_and_changes_nothing(stack):
    pids = {process.pid for process in stack.processes()}
    began = time.monotonic()
    done = stack.headrace("up")
    assert time.monotonic() - began < SECOND_UP_WITHIN_SECONDS
    assert "up already" in done.stdout
    assert {stack.pid(name) for name in PARTS} <= pids
    assert json.loads(stack.headrace("up", "--json").stdout)["started"] is False


def test_status_tells_each_parts_state_address_version_memory_and_age(stack):
    parts = {part["name"]: part for part in status(stack)["parts"]}
    assert tuple(parts) == PARTS
    for part in parts.values():
        assert part["state"] == "running", part
        assert part["version"][0].isdigit()
        assert part["memory_bytes"] > 10e6
        assert datetime.fromisoformat(part["since"]) < datetime.now(UTC)
    for name in ("mlflow", "airflow-api-server"):
        assert httpx.get(parts[name]["url"], trust_env=False, follow_redirects=True).is_success


def test_the_idle_stack_fits_into_two_gigabytes(stack):
    engine_alone = psutil.Process(stack.pid("serving")).memory_full_info().pss  # its replicas are what models cost
    others = [part["memory_bytes"] for part in status(stack)["parts"] if part["name"] != "serving"]
    assert engine_alone + sum(others) <= IDLE_BYTES


def test_everything_binds_the_loopback_interface(stack):
    listening = stack.open_ports()
    assert {address for address, _ in listening} == {LOOPBACK}
    assert set(stack.settings.ports.model_dump().values()) <= {port for _, port in listening}


def test_the_databases_server_is_never_root(stack):
    server = psutil.Process(stack.pid("postgres"))
    assert {process.uids().effective for process in (server, *server.children())}.isdisjoint({0})


def test_secrets_and_control_are_their_owners_alone(stack):
    for folder in (stack.settings.secrets_folder, stack.stack.layout.run):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in stack.settings.secrets_folder.iterdir()} == {0o600}
    assert stat.S_IMODE(stack.stack.layout.config.stat().st_mode) == 0o600


def test_airflow_has_the_training_pool(stack):
    url, login = stack.settings.airflow(), {"username": "admin", "password": stack.settings.secret("airflow-admin")}
    token = httpx.post(f"{url}/auth/token", json=login, trust_env=False).json()["access_token"]
    pool = httpx.get(f"{url}/api/v2/pools/{TRAINING_POOL}", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    assert pool.json()["slots"] == stack.settings.training_slots


def test_logs_are_shown_by_the_parts_name(stack):
    shown = stack.headrace("logs", "postgres", "-n", "500").stdout
    assert "database system is ready to accept connections" in shown


def test_logs_are_followed(stack):
    with stack.headrace_in_background("logs", "mlflow", "-f", "-n", "1") as lines:
        next(lines)  # it follows from here on
        httpx.get(f"{stack.settings.tracking()}/api/2.0/mlflow/experiments/get?experiment_id=no-such-one", trust_env=False)
        assert any("no-such-one" in line for line in lines)


def test_logs_of_an_unknown_part_name_the_known_ones(stack):
    done = stack.headrace("logs", "redis", check=False)
    assert done.returncode == 3
    assert all(name in done.stderr for name in PARTS)


def test_settings_that_differ_from_the_running_stacks_are_refused(stack):
    done = stack.headrace("up", check=False, HEADRACE_TRAINING_SLOTS="2")
    assert done.returncode == 1
    assert "headrace down" in done.stderr


def test_a_taken_port_is_refused_with_its_holder_and_the_setting(stack, tmp_path):
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        others = {
            f"HEADRACE_PORTS__{name}": str(number) for name, number in zip(("POSTGRES", "AIRFLOW"), (1024, 1025), strict=True)
        }
        done = stack.headrace(
            "up", check=False, HEADRACE_HOME=str(tmp_path), HEADRACE_PORTS__MLFLOW=port, HEADRACE_PORTS__SERVING="1026", **others
        )
    assert done.returncode == 1
    assert psutil.Process().name() in done.stderr
    assert f"(pid {psutil.Process().pid})" in done.stderr
    assert "HEADRACE_PORTS__MLFLOW" in done.stderr


@pytest.mark.parametrize("name", ["airflow-scheduler", "mlflow"])
def test_a_killed_part_comes_back_and_nothing_of_it_stays(stack, name):
    before = {process.pid for process in psutil.Process(stack.pid(name)).children(recursive=True)}
    killed = stack.kill(name)
    wait_for(lambda: stack.pid(name) not in {0, killed}, BACK_WITHIN_SECONDS, f"{name} is started again")
    assert before.isdisjoint(process.pid for process in stack.processes())
    wait_for(lambda: stack.part(name).state == "running", BACK_WITHIN_SECONDS, f"{name} works again")


def test_up_after_the_supervisors_death_cleans_up_and_keeps_the_state(stack):
    experiments = f"{stack.settings.tracking()}/api/2.0/mlflow/experiments"
    httpx.post(f"{experiments}/create", json={"name": "survivor"}, trust_env=False).raise_for_status()
    left = {process.pid for process in stack.processes()}
    supervisor = psutil.Process(stack.stack.supervisor.pid())
    supervisor.kill()
    wait_for(lambda: not supervisor.is_running(), 10, "the supervisor is gone")
    stack.headrace("up")
    assert left.isdisjoint(process.pid for process in stack.processes())
    found = httpx.get(f"{experiments}/get-by-name", params={"experiment_name": "survivor"}, trust_env=False)
    assert found.json()["experiment"]["name"] == "survivor"
    assert {part["state"] for part in status(stack)["parts"]} == {"running"}


def test_down_leaves_nothing_and_up_brings_everything_back(stack):
    began = time.monotonic()
    stack.headrace("down")
    assert time.monotonic() - began < DOWN_WITHIN_SECONDS
    assert stack.processes() == []
    assert stack.open_ports() == []
    assert "was not up" in stack.headrace("down").stdout
    assert {part["state"] for part in status(stack)["parts"]} == {"stopped"}
    stack.headrace("up")
    assert {part["state"] for part in status(stack)["parts"]} == {"running"}
