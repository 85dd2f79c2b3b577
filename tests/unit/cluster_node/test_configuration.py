"""What the node's components are told."""

from __future__ import annotations

import json
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from cluster.node import addresses, configs, manifests
from cluster.node.components import CONTROL_PLANE, NODE, RUNTIME, Layout
from cluster.node.home import Home, NodeError
from cluster.node.mounts import mounts_below
from cluster.node.pki import Pki, ensure_pki


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    root = tmp_path_factory.mktemp("home")
    return Layout(Home(root), ensure_pki(root / "run" / "pki"))


def test_everything_that_a_cluster_writes_is_below_its_home(layout: Layout) -> None:
    containerd = tomllib.loads(configs.containerd(layout.home, "pause"))
    kubelet = json.loads(configs.kubelet(layout.home, layout.pki))
    (network,) = json.loads(configs.cni(layout.home))["plugins"]
    written = (containerd["root"], containerd["state"], kubelet["podLogsDir"], network["ipam"]["dataDir"])
    assert all(Path(path).is_relative_to(layout.home.root) for path in written)


def test_the_services_that_have_fixed_addresses_have_them_among_services() -> None:
    services = ip_network(addresses.SERVICES)
    assert ip_address(addresses.DNS_SERVICE) in services
    assert ip_address(addresses.API_SERVICE) == next(services.hosts())
    assert not services.overlaps(ip_network(addresses.PODS))
    assert ip_address(addresses.NODE) not in ip_network(addresses.PODS)


def test_writing_a_configuration_again_does_not_touch_the_file(layout: Layout) -> None:
    path = layout.write("example", "content")
    before = path.stat().st_mtime_ns
    layout.write("example", "content")
    assert path.stat().st_mtime_ns == before
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_description_of_a_daemon_is_the_same_daemon(layout: Layout) -> None:
    for describe in (RUNTIME | CONTROL_PLANE | NODE).values():
        assert describe(layout).version() == describe(layout).version()


def test_certificates_are_made_once_and_name_their_owner(layout: Layout) -> None:
    pki = ensure_pki(layout.pki.folder)
    kubelet = x509.load_pem_x509_certificate(pki.certificate("kubelet").read_bytes())
    authority = x509.load_pem_x509_certificate(pki.authority.read_bytes())
    kubelet.verify_directly_issued_by(authority)
    (user,) = kubelet.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert user.value == f"system:node:{addresses.NODE_NAME}"


def test_half_made_certificates_are_made_anew(tmp_path: Path) -> None:
    ensure_pki(tmp_path).service_accounts_key.unlink()
    before = Pki(tmp_path).authority.read_bytes()
    assert ensure_pki(tmp_path).authority.read_bytes() != before


def test_manifests_are_whole(tmp_path: Path) -> None:
    volume = yaml.safe_load(manifests.render("volume", VOLUME="local-00", FOLDER=str(tmp_path)))
    assert volume["spec"]["local"]["path"] == str(tmp_path)
    with pytest.raises(KeyError):
        manifests.render("volume", VOLUME="local-00")


def test_a_home_too_deep_for_sockets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_CLUSTER_HOME", "/" + "deep/" * 20)
    with pytest.raises(NodeError, match="shorter"):
        Home.of_environment()


def test_only_mounts_below_the_folder_are_found() -> None:
    table = "a /run/here ext4 rw 0 0\nb /run/here/it\\040is ext4 rw 0 0\nc /run/hereafter ext4 rw 0 0\n"
    assert mounts_below(Path("/run/here"), table) == ["/run/here", "/run/here/it is"]
