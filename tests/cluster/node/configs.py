"""The components' configuration files, rendered purely: JSON, which is YAML too, and containerd's TOML."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from cluster.node import addresses
from cluster.node.home import Home
from cluster.node.pki import Pki

CNI_PLUGINS = Path("/usr/lib/cni")
_MOST_PODS = 110


def kubeconfig(pki: Pki, name: str) -> str:
    """Everything inline: the file can be carried elsewhere on this machine."""
    user = {
        "client-certificate-data": _base64(pki.certificate(name)),
        "client-key-data": _base64(pki.key(name)),
    }
    cluster = {"server": addresses.API_SERVER, "certificate-authority-data": _base64(pki.authority)}
    return kubeconfig_of(cluster=cluster, user=user, user_name=name)


def kubeconfig_of(*, cluster: dict[str, str], user: dict[str, str], user_name: str, namespace: str = "default") -> str:
    """A kubeconfig of one cluster, one user and one context."""
    context = {"cluster": "headrace", "user": user_name, "namespace": namespace}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "headrace", "cluster": cluster}],
        "users": [{"name": user_name, "user": user}],
        "contexts": [{"name": "headrace", "context": context}],
        "current-context": "headrace",
    }
    return _json(document)


def containerd(home: Home, pause_image: str) -> str:
    """containerd 1.6's configuration. Scores stay as they are where a container may not lower its own (no CAP_SYS_RESOURCE)."""
    return f"""\
version = 2
root = "{home.root}/containerd"
state = "{home.run}/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "{home.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{home.root}/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause_image}"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{home.run}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def cni(home: Home) -> str:
    """A pair of veths a pod, routed, no bridge: all traffic between pods passes the node's forward hook, where policies are."""
    addresses_of_pods = {
        "type": "host-local",
        "ranges": [[{"subnet": addresses.PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(home.run / "cni-addresses"),
    }
    return _json(
        {"cniVersion": "1.0.0", "name": "headrace", "plugins": [{"type": "ptp", "ipam": addresses_of_pods}]},
    )


def kubelet(home: Home, pki: Pki) -> str:
    """For cgroup v1 or v2 without systemd; images are never collected, since there is no registry to pull them from again."""
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": addresses.NODE,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki.authority)},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "clusterDNS": [addresses.DNS_SERVICE],
            "clusterDomain": addresses.CLUSTER_DOMAIN,
            "containerRuntimeEndpoint": f"unix://{home.containerd_socket}",
            "evictionHard": {"memory.available": "100Mi"},
            "failCgroupV1": False,
            "failSwapOn": False,
            "healthzPort": addresses.KUBELET_HEALTH_PORT,
            "imageGCHighThresholdPercent": 100,
            "makeIPTablesUtilChains": False,
            "maxPods": _MOST_PODS,
            "podLogsDir": str(home.run / "pods"),
            "resolvConf": "/etc/resolv.conf",
            "serializeImagePulls": False,
            "tlsCertFile": str(pki.certificate("kubelet")),
            "tlsPrivateKeyFile": str(pki.key("kubelet")),
            "volumePluginDir": str(home.run / "volume-plugins"),
        }
    )


def proxy(kubeconfig_file: Path) -> str:
    """In nftables mode all of kube-proxy's rules are in tables of its own, and go with them."""
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clusterCIDR": addresses.PODS,
            "hostnameOverride": addresses.NODE_NAME,
            "nodePortAddresses": [f"{addresses.NODE}/32"],
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "clientConnection": {"kubeconfig": str(kubeconfig_file)},
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        }
    )


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
