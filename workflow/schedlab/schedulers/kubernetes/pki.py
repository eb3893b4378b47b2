"""Certificates and access files of a Kubernetes cluster, made anew for each cluster.

They are stored in the cluster's folder of secrets and on its nodes, and never enter a record, a
log or a bundle. Keys are elliptic (P-256), because an emulated guest checks these in milliseconds.
"""

from __future__ import annotations

import base64
import datetime
import io
import ipaddress
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from schedlab.privacy.private_files import secret_folder, write_secret
from schedlab.schedulers.kubernetes.network import SERVICE_ADDRESS

LIFETIME = datetime.timedelta(days=3650)
# A restored guest's clock starts at the instant of its snapshot, so certificates must already be
# valid at earlier times than now.
EARLIER = datetime.timedelta(days=2)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def certificate_pem(self) -> bytes:
        """Certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """Private key in PEM."""
        return private_pem(self.key)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Private key in PEM (SEC 1, which all of Kubernetes' components read)."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _name(common: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _sign(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + LIFETIME)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def authority(common: str) -> Pair:
    """Make a certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    basic = x509.BasicConstraints(ca=True, path_length=0)
    return Pair(_sign(name, key, name, key, [(basic, True), (usage, True)]), key)


def client(ca: Pair, common: str, organisation: str = "") -> Pair:
    """Make a client's certificate; Kubernetes reads user and group from its names."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    subject = _name(common, organisation)
    signed = _sign(subject, key, ca.certificate.subject, ca.key, [(usage, False)])
    return Pair(signed, key)


def server(ca: Pair, common: str, names: Sequence[str], addresses: Sequence[str]) -> Pair:
    """Make a server's certificate for these names and IPv4 addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = x509.SubjectAlternativeName(
        [x509.DNSName(name) for name in names]
        + [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    )
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    extensions: list[tuple[x509.ExtensionType, bool]] = [(usage, False), (alternatives, False)]
    return Pair(_sign(_name(common), key, ca.certificate.subject, ca.key, extensions), key)


def access_file(ca: Pair, user: Pair, url: str) -> bytes:
    """Return a kubeconfig that contains the credentials, as JSON (a subset of YAML)."""

    def packed(content: bytes) -> str:
        return base64.b64encode(content).decode()

    cluster = {"server": url, "certificate-authority-data": packed(ca.certificate_pem())}
    credentials = {
        "client-certificate-data": packed(user.certificate_pem()),
        "client-key-data": packed(user.key_pem()),
    }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "user", "user": credentials}],
        "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": "user"}}],
        "current-context": "context",
    }
    return json.dumps(content, indent=1).encode()


def write_credentials(folder: Path, nodes: Mapping[str, str], *, bench_group: int = 1000) -> None:
    """Write ``<node>.tar`` for every node, to be unpacked into its /etc/kubernetes.

    Parameters
    ----------
    folder : pathlib.Path
        The cluster's folder of secrets.
    nodes : mapping of str to str
        Node names and their addresses; the one named ``head`` runs the control plane.
    bench_group : int
        Id of the group that may read the driver's key: that of the guest user who submits jobs.
    """
    secret_folder(folder)
    ca = authority("kubernetes")
    url = f"https://{nodes['head']}:6443"
    tokens = ec.generate_private_key(ec.SECP256R1())
    admin = client(ca, "admin", "system:masters")
    names = ["head", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    addresses = [nodes["head"], "127.0.0.1", SERVICE_ADDRESS]
    api = server(ca, "kube-apiserver", names, addresses)
    public = tokens.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    driver = client(ca, "driver", "system:masters")
    files: dict[str, dict[str, tuple[bytes, int]]] = {
        "head": {
            "pki/apiserver.crt": (api.certificate_pem(), 0o644),
            "pki/apiserver.key": (api.key_pem(), 0o600),
            "pki/admin.crt": (admin.certificate_pem(), 0o644),
            "pki/admin.key": (admin.key_pem(), 0o600),
            "driver/client.crt": (driver.certificate_pem(), 0o644),
            "driver/client.key": (driver.key_pem(), 0o640),
            "pki/service-account.key": (private_pem(tokens), 0o600),
            "pki/service-account.pub": (public, 0o644),
            "admin.conf": (access_file(ca, admin, url), 0o640),
        }
    }
    for name in ("controller-manager", "scheduler"):
        user = client(ca, f"system:kube-{name}")
        files["head"][f"{name}.conf"] = (access_file(ca, user, url), 0o600)
    for node in nodes:
        if node.startswith("carrier"):
            # It reports for many nodes, which the API server permits no kubelet.
            user = client(ca, f"kwok:{node}", "system:masters")
            files[node] = {
                "kwok.conf": (access_file(ca, user, url), 0o600),
                "kwok.crt": (user.certificate_pem(), 0o644),
                "kwok.key": (user.key_pem(), 0o600),
            }
        elif node != "head":
            user = client(ca, f"system:node:{node}", "system:nodes")
            files[node] = {"kubelet.conf": (access_file(ca, user, url), 0o600)}
    for node, contents in files.items():
        contents["pki/ca.crt"] = (ca.certificate_pem(), 0o644)
        _write_archive(folder / f"{node}.tar", contents, bench_group)


def _write_archive(path: Path, contents: Mapping[str, tuple[bytes, int]], group: int) -> None:
    with tarfile.open(write_secret(path, b""), "w") as archive:
        for name, (content, mode) in sorted(contents.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            info.gid = group if mode == 0o640 else 0
            archive.addfile(info, io.BytesIO(content))
