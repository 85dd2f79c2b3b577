"""What the cluster holds from the start: DNS, the class of volumes and the volumes, the rights of the node's own programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from string import Template

from cluster.node import addresses
from cluster.node.home import Home
from cluster.node.shell import run

_FOLDER = Path(__file__).parent / "yaml"
_VOLUMES = tuple(f"local-{number:02}" for number in range(24))
_TAKEN = ("Bound", "Available")


def render(name: str, **values: str) -> str:
    """A manifest with its ${NAMES} filled in; a name without a value is an error."""
    fixed = {
        "CLUSTER_DOMAIN": addresses.CLUSTER_DOMAIN,
        "DNS_SERVICE": addresses.DNS_SERVICE,
        "NODE_NAME": addresses.NODE_NAME,
    }
    return Template((_FOLDER / f"{name}.yaml").read_text()).substitute(fixed | values)


def apply_manifests(home: Home, *, coredns_image: str) -> None:
    """Make or renew all of it; volumes whose claims are gone are emptied and offered again."""
    _drop_released_volumes(home)
    documents = [render("policies"), render("storage"), render("dns", COREDNS_IMAGE=coredns_image)]
    documents += [render("volume", VOLUME=name, FOLDER=str(_folder(home, name))) for name in _VOLUMES]
    kubectl(home, "apply", "--filename=-", text="---\n".join(documents))


def kubectl(home: Home, *arguments: str, text: str | None = None) -> str:
    """The cluster's own kubectl as administrator."""
    return run(home.program("kubectl"), f"--kubeconfig={home.kubeconfig}", *arguments, text=text)


def _folder(home: Home, volume: str) -> Path:
    """A volume's folder, writable for the numeric users that pods run as."""
    folder = home.volumes / volume
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    return folder


def _drop_released_volumes(home: Home) -> None:
    for volume in json.loads(kubectl(home, "get", "persistentvolumes", "--output=json"))["items"]:
        name = volume["metadata"]["name"]
        if name in _VOLUMES and volume["status"]["phase"] not in _TAKEN:
            kubectl(home, "delete", "persistentvolume", name)
            shutil.rmtree(home.volumes / name)
