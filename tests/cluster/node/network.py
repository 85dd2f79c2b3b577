"""The node's own address, the pods' way out, and the removal of every rule the cluster made."""

from __future__ import annotations

from pathlib import Path

from cluster.node import addresses
from cluster.node.home import Home
from cluster.node.shell import run, succeeds

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_TABLES = ("ip headrace-node", "ip headrace-netpol", "ip kube-proxy", "ip6 kube-proxy")
# Traffic to other machines leaves with the machine's address; everything inside keeps the pod's, which policies look at.
_MASQUERADE = f"""\
table ip headrace-node
delete table ip headrace-node
table ip headrace-node {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {addresses.PODS} ip daddr != {{ {addresses.PODS}, {addresses.NODE}, {addresses.SERVICES} }} masquerade
  }}
}}
"""


def ensure_network(home: Home) -> None:
    """The node's address on a bridge without ports (any device would do, but not every kernel has dummies), and routing."""
    if not succeeds("ip", "link", "show", addresses.NODE_DEVICE):
        run("ip", "link", "add", addresses.NODE_DEVICE, "type", "bridge")
    run("ip", "address", "replace", f"{addresses.NODE}/32", "dev", addresses.NODE_DEVICE)
    run("ip", "link", "set", addresses.NODE_DEVICE, "up")
    run("nft", "-f", "-", text=_MASQUERADE)
    former = _former_forwarding(home)
    if not former.exists():
        former.write_text(_FORWARDING.read_text())
    _FORWARDING.write_text("1")


def remove_network(home: Home) -> None:
    """Undo it, rules of kube-proxy and the policies included; a second time changes nothing."""
    for table in _TABLES:
        if succeeds("nft", "list", "table", *table.split()):
            run("nft", "delete", "table", *table.split())
    if succeeds("ip", "link", "show", addresses.NODE_DEVICE):
        run("ip", "link", "delete", addresses.NODE_DEVICE)
    former = _former_forwarding(home)
    if former.exists():
        _FORWARDING.write_text(former.read_text())
        former.unlink()


def _former_forwarding(home: Home) -> Path:
    return home.run / "former-ip-forward"
