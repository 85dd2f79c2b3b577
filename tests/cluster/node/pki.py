"""Keys and certificates of one cluster: an authority, a certificate for each component, the key of service accounts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cluster.node import addresses

_VALID = dt.timedelta(days=30)
_SERVER_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", addresses.NODE_NAME)
_SERVER_ADDRESSES = (addresses.NODE, addresses.API_SERVICE, "127.0.0.1")
_ADMINISTRATORS = "system:masters"

# Who a component is to the API server: file, user, group.
_IDENTITIES = (
    ("admin", "headrace-admin", _ADMINISTRATORS),
    ("apiserver", "kube-apiserver", _ADMINISTRATORS),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("proxy", "system:kube-proxy", ""),
    ("netpol", "headrace-netpol", "headrace:netpol"),
    ("kubelet", f"system:node:{addresses.NODE_NAME}", "system:nodes"),
)


@dataclass(frozen=True)
class Pki:
    """The files' names in a folder."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate everybody trusts."""
        return self.folder / "ca.crt"

    @property
    def authority_key(self) -> Path:
        """Signs what CertificateSigningRequests ask for."""
        return self.folder / "ca.key"

    @property
    def service_accounts_key(self) -> Path:
        """Signs service accounts' tokens."""
        return self.folder / "service-accounts.key"

    def certificate(self, name: str) -> Path:
        """A component's certificate, for serving and for asking alike."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """A component's key."""
        return self.folder / f"{name}.key"


def ensure_pki(folder: Path) -> Pki:
    """Make everything that is missing; the last file written is the one looked for, so that half a folder is made anew."""
    pki = Pki(folder)
    if pki.service_accounts_key.exists():
        return pki
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key)
    _write(pki.authority, authority.public_bytes(serialization.Encoding.PEM))
    _write(pki.authority_key, _pem(authority_key))
    for name, user, group in _IDENTITIES:
        key = ec.generate_private_key(ec.SECP256R1())
        _write(pki.key(name), _pem(key))
        certificate = _certificate(user, group, key.public_key(), authority, authority_key)
        _write(pki.certificate(name), certificate.public_bytes(serialization.Encoding.PEM))
    _write(pki.service_accounts_key, _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    return pki


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "headrace-cluster")])
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _certificate(
    user: str,
    group: str,
    key: ec.EllipticCurvePublicKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    if group:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _SERVER_NAMES]
    names += [x509.IPAddress(ip_address(address)) for address in _SERVER_ADDRESSES]
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    return (
        _builder(x509.Name(attributes), authority.subject, key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(usage, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _VALID)
    )


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
