"""Building what a node consists of, bringing it up, telling how it is, and ending it."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cluster.node import images
from cluster.node.cgroups import remove_pod_cgroups
from cluster.node.components import CONTROL_PLANE, NODE, PAUSE_IMAGE, RUNTIME, Describe, Layout
from cluster.node.conditions import wait_until
from cluster.node.daemons import end, end_left_over, ensure_running, last_words, running
from cluster.node.home import Home, NodeError
from cluster.node.manifests import apply_manifests, kubectl
from cluster.node.mounts import unmount_below
from cluster.node.network import ensure_network, remove_network
from cluster.node.packages import ensure_packages
from cluster.node.pki import ensure_pki
from cluster.node.products import build_products
from cluster.node.programs import ensure_programs
from cluster.node.progress import say
from cluster.node.shell import run, succeeds
from cluster.node.standins import STANDINS, build_minio, build_standins

_READY_WITHIN = 120
_LOG_LINKS = Path("/var/log/containers")
_COREDNS_IMAGE = "docker.io/headrace/coredns:1"


def up(home: Home) -> None:
    """A ready cluster: what runs stays as it is, what is missing is built or started, what died is started again."""
    started = time.monotonic()
    with _alone(home):
        layout = _ensure_runtime(home)
        ensure_programs(home)
        ensure_network(home)
        images.ensure_program_image(home, "pause", PAUSE_IMAGE)
        images.ensure_program_image(home, "coredns", _COREDNS_IMAGE)
        shutil.copyfile(layout.kubeconfig("admin"), home.kubeconfig)
        _ensure_all(layout, CONTROL_PLANE)
        _await(home, CONTROL_PLANE, lambda: _api_ready(home), "the API server is ready")
        apply_manifests(home, coredns_image=_COREDNS_IMAGE)
        _ensure_all(layout, NODE)
        _await_node(home)
    say(f"Kubernetes is up after {time.monotonic() - started:.0f} s; export KUBECONFIG={home.kubeconfig}")


def build(home: Home, products: Sequence[str]) -> None:
    """Everything a cluster consists of and runs: programs, and images in its store. Only what runs containers is started.

    Programs are compiled beside the images, which mostly wait for the network and the disk.
    """
    started = time.monotonic()
    with _alone(home), ThreadPoolExecutor(max_workers=1) as beside:
        _ensure_runtime(home)
        programs = beside.submit(ensure_programs, home)
        build_standins(home)
        build_products(home)
        for tag in (*STANDINS, *products):
            images.load(home, tag)
        programs.result()
        images.load(home, build_minio(home))
    say(f"programs and images are there after {time.monotonic() - started:.0f} s")


def down(home: Home) -> None:
    """End everything that `up` started, however far it came, and remove the cluster's state. Programs and images stay."""
    with _alone(home):
        for name in reversed([*CONTROL_PLANE, *NODE]):
            end(home, name)
        _remove_pods(home)
        for name in reversed(RUNTIME):
            end(home, name)
        end_left_over(home)
        unmount_below(home.run)
        remove_network(home)
        remove_pod_cgroups()
        for folder in (home.run, home.volumes):
            if folder.exists():
                shutil.rmtree(folder)
        _remove_log_links()
        home.kubeconfig.unlink(missing_ok=True)
    say(f"Kubernetes is down; its programs and images stay in {home.root}")


def status(home: Home) -> bool:
    """Print each daemon, and the node and pods as the API server knows them; whether everything runs and the node is ready."""
    alive = running(home)
    wanted = (*RUNTIME, *CONTROL_PLANE, *NODE)
    for name in wanted:
        say(f"{name:<25} {f'pid {alive[name].pid}' if name in alive else 'not running'}")
    if "kube-apiserver" not in alive:
        return False
    say(kubectl(home, "get", "nodes,pods", "--all-namespaces"))
    return alive.keys() >= set(wanted) and _node_ready(home)


def _ensure_runtime(home: Home) -> Layout:
    """containerd and dockerd answer."""
    ensure_packages()
    _ensure_run_folder(home)
    layout = Layout(home, ensure_pki(home.run / "pki"))
    _ensure_all(layout, RUNTIME)
    _await(home, RUNTIME, lambda: images.answers(home), "containerd and dockerd answer")
    return layout


def _ensure_run_folder(home: Home) -> None:
    """A new cluster begins with new logs; those of the last one stay until then."""
    if not home.run.exists():
        shutil.rmtree(home.logs, ignore_errors=True)
        home.run.mkdir(mode=0o700)


def _ensure_all(layout: Layout, daemons: Mapping[str, Describe]) -> None:
    for name, describe in daemons.items():
        if ensure_running(layout.home, describe(layout)):
            say(f"started {name}")


def _api_ready(home: Home) -> bool:
    return succeeds(home.program("kubectl"), f"--kubeconfig={home.kubeconfig}", "get", "--raw=/readyz")


def _await_node(home: Home) -> None:
    _await(home, NODE, lambda: _node_ready(home), "the node is Ready")
    kubectl(home, "--namespace=kube-system", "rollout", "status", "deployment/coredns", f"--timeout={_READY_WITHIN}s")
    kubectl(home, "wait", "--for=create", "serviceaccount/default", f"--timeout={_READY_WITHIN}s")


def _node_ready(home: Home) -> bool:
    path = '--output=jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
    return kubectl(home, "get", "nodes", path) == "True"


def _await(home: Home, daemons: Mapping[str, Describe], condition: Callable[[], bool], what: str) -> None:
    """Wait for the condition; a daemon that ended meanwhile is an error at once, with the end of its log."""

    def holds() -> bool:
        for name in daemons.keys() - running(home).keys():
            raise NodeError(
                f"{name} ended while waiting until {what}; the end of {home.logs / name}.log:\n{last_words(home, name)}"
            )
        return condition()

    try:
        wait_until(holds, within=_READY_WITHIN, what=what)
    except TimeoutError as error:
        raise NodeError(f"{error}; see the logs in {home.logs}") from error


def _remove_pods(home: Home) -> None:
    """Pods outlive their containerd: where it is gone but a kubelet ran on it, it is started again to remove them."""
    if not (home.run / "kubelet.yaml").exists():
        return
    layout = Layout(home, ensure_pki(home.run / "pki"))
    ensure_running(home, RUNTIME["containerd"](layout))
    _await(home, {"containerd": RUNTIME["containerd"]}, lambda: images.store_answers(home), "containerd answers")
    run(home.program("kube"), "remove-sandboxes", f"unix://{home.containerd_socket}", within=300)


def _remove_log_links() -> None:
    """kubelet's links to the logs of containers that are gone: their folder is the same for every kubelet."""
    for link in _LOG_LINKS.glob("*"):
        if link.is_symlink() and not link.exists():
            link.unlink()


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[None]:
    """One `up` or `down` at a time; another waits."""
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
