"""The components' command lines, and the order in which they are started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.node import addresses, configs
from cluster.node.daemons import Daemon
from cluster.node.home import Home
from cluster.node.pki import Pki

PAUSE_IMAGE = "docker.io/headrace/pause:1"


@dataclass(frozen=True)
class Layout:
    """The present cluster's files."""

    home: Home
    pki: Pki

    @property
    def kube(self) -> str:
        """The components' one program, by the name that holds its version: of a new version, all are started anew."""
        return str((self.home.bin / "kube").resolve())

    def write(self, name: str, content: str) -> Path:
        """A configuration file in the run folder, readable by root alone: some hold keys.

        One that is as it should be is not touched: kube-proxy ends itself when its file is written.
        """
        path = self.home.run / name
        if not path.exists() or path.read_text() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(content)
        return path

    def kubeconfig(self, name: str) -> Path:
        """A component's kubeconfig."""
        return self.write(f"{name}.kubeconfig", configs.kubeconfig(self.pki, name))


def containerd(layout: Layout) -> Daemon:
    """Runs pods, and dockerd's builds."""
    layout.write("cni/10-headrace.conflist", configs.cni(layout.home))
    config = layout.write("containerd.toml", configs.containerd(layout.home, PAUSE_IMAGE))
    return Daemon("containerd", ("containerd", "--config", str(config)), reads=(config,))


def dockerd(layout: Layout) -> Daemon:
    """Builds images, on the host's network, in the same containerd under a namespace of its own."""
    home = layout.home
    argv = (
        "dockerd",
        f"--host=unix://{home.docker_socket}",
        f"--containerd={home.containerd_socket}",
        f"--data-root={home.root}/docker",
        f"--exec-root={home.run}/docker",
        "--pidfile=",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
    )
    return Daemon("dockerd", argv)


def etcd(layout: Layout) -> Daemon:
    """One member, on the loopback; what it holds goes with the cluster, so it need not reach the disk at once."""
    argv = (
        *(layout.kube, "etcd"),
        f"--data-dir={layout.home.run}/etcd",
        f"--listen-client-urls={addresses.ETCD}",
        f"--advertise-client-urls={addresses.ETCD}",
        f"--listen-peer-urls={addresses.ETCD_PEER}",
        f"--initial-advertise-peer-urls={addresses.ETCD_PEER}",
        f"--initial-cluster=default={addresses.ETCD_PEER}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    return Daemon("etcd", argv)


def apiserver(layout: Layout) -> Daemon:
    """RBAC and NodeRestriction on; PodSecurity, ResourceQuota, LimitRange and Priority are on by default."""
    pki = layout.pki
    argv = (
        *(layout.kube, "kube-apiserver"),
        f"--etcd-servers={addresses.ETCD}",
        f"--bind-address={addresses.NODE}",
        f"--advertise-address={addresses.NODE}",
        f"--service-cluster-ip-range={addresses.SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={pki.authority}",
        f"--tls-cert-file={pki.certificate('apiserver')}",
        f"--tls-private-key-file={pki.key('apiserver')}",
        f"--kubelet-certificate-authority={pki.authority}",
        f"--kubelet-client-certificate={pki.certificate('apiserver')}",
        f"--kubelet-client-key={pki.key('apiserver')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer=https://kubernetes.default.svc.{addresses.CLUSTER_DOMAIN}",
        f"--service-account-key-file={pki.service_accounts_key}",
        f"--service-account-signing-key-file={pki.service_accounts_key}",
    )
    return Daemon("kube-apiserver", argv)


def controller_manager(layout: Layout) -> Daemon:
    """Each controller with its own account, as on a real cluster."""
    pki = layout.pki
    argv = (
        *(layout.kube, "kube-controller-manager"),
        f"--kubeconfig={layout.kubeconfig('controller-manager')}",
        "--authentication-skip-lookup",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--root-ca-file={pki.authority}",
        f"--service-account-private-key-file={pki.service_accounts_key}",
        f"--cluster-signing-cert-file={pki.authority}",
        f"--cluster-signing-key-file={pki.authority_key}",
    )
    return Daemon("kube-controller-manager", argv)


def scheduler(layout: Layout) -> Daemon:
    """The default profile."""
    argv = (
        *(layout.kube, "kube-scheduler"),
        f"--kubeconfig={layout.kubeconfig('scheduler')}",
        "--authentication-skip-lookup",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    )
    return Daemon("kube-scheduler", argv)


def kubelet(layout: Layout) -> Daemon:
    """This machine as the only node."""
    home = layout.home
    config = layout.write("kubelet.yaml", configs.kubelet(home, layout.pki))
    argv = (
        *(layout.kube, "kubelet"),
        f"--config={config}",
        f"--kubeconfig={layout.kubeconfig('kubelet')}",
        f"--root-dir={home.run}/kubelet",
        f"--cert-dir={home.run}/kubelet/pki",
        f"--hostname-override={addresses.NODE_NAME}",
        f"--node-ip={addresses.NODE}",
    )
    return Daemon("kubelet", argv, reads=(config,))


def proxy(layout: Layout) -> Daemon:
    """Services."""
    config = layout.write("proxy.yaml", configs.proxy(layout.kubeconfig("proxy")))
    return Daemon("kube-proxy", (layout.kube, "kube-proxy", f"--config={config}"), reads=(config,))


def netpol(layout: Layout) -> Daemon:
    """NetworkPolicies."""
    return Daemon("netpol", (layout.kube, "netpol", f"--kubeconfig={layout.kubeconfig('netpol')}"))


Describe = Callable[[Layout], Daemon]

RUNTIME: dict[str, Describe] = {"containerd": containerd, "dockerd": dockerd}
CONTROL_PLANE: dict[str, Describe] = {
    "etcd": etcd,
    "kube-apiserver": apiserver,
    "kube-controller-manager": controller_manager,
    "kube-scheduler": scheduler,
}
NODE: dict[str, Describe] = {"netpol": netpol, "kube-proxy": proxy, "kubelet": kubelet}
