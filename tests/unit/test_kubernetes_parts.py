"""Certificates and container images of Kubernetes clusters."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from cryptography import x509

from schedlab.images.files import make_files_disk, write_container_images
from schedlab.images.oci import Program, write_archive
from schedlab.schedulers.kubernetes.pki import write_credentials

NODES = {"head": "10.0.100.10", "compute1": "10.0.100.11", "carrier1": "10.0.100.12"}


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    write_credentials(tmp_path / "secrets", NODES)
    for node in NODES:
        (tmp_path / node).mkdir()
        with tarfile.open(tmp_path / "secrets" / f"{node}.tar") as archive:
            archive.extractall(tmp_path / node, filter="data")
    return tmp_path


def verified(authority: Path, certificate: Path, purpose: str) -> bool:
    command = ["openssl", "verify", "-CAfile", authority, "-purpose", purpose, certificate]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_openssl_accepts_the_chain(credentials: Path) -> None:
    head = credentials / "head" / "pki"
    assert verified(head / "ca.crt", head / "apiserver.crt", "sslserver")
    assert verified(head / "ca.crt", head / "admin.crt", "sslclient")
    assert verified(head / "ca.crt", head.parent / "driver" / "client.crt", "sslclient")
    assert not verified(head / "ca.crt", head / "admin.crt", "sslserver")


def test_the_server_is_known_by_every_name_that_clients_use(credentials: Path) -> None:
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-text", "-in", credentials / "head/pki/apiserver.crt"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in ("DNS:head", "IP Address:10.0.100.10", "IP Address:127.0.0.1", "10.96.0.1"):
        assert name in text


def test_kubernetes_reads_users_and_groups_from_the_names(credentials: Path) -> None:
    kubelet = json.loads((credentials / "compute1" / "kubelet.conf").read_text())
    data = kubelet["users"][0]["user"]["client-certificate-data"]
    subject = x509.load_pem_x509_certificate(base64.b64decode(data)).subject.rfc4514_string()
    assert subject == "CN=system:node:compute1,O=system:nodes"
    assert kubelet["clusters"][0]["cluster"]["server"] == "https://10.0.100.10:6443"


def test_a_carrier_may_report_for_every_node_and_has_no_kubelet(credentials: Path) -> None:
    folder = credentials / "carrier1"
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names == {"kwok.conf", "kwok.crt", "kwok.key", "pki/ca.crt"}
    data = json.loads((folder / "kwok.conf").read_text())["users"][0]["user"]
    certificate = base64.b64decode(data["client-certificate-data"])
    subject = x509.load_pem_x509_certificate(certificate).subject.rfc4514_string()
    assert subject == "CN=kwok:carrier1,O=system:masters"


def test_compute_nodes_get_no_key_of_the_head(credentials: Path) -> None:
    names = {p.relative_to(credentials / "compute1").as_posix()
             for p in (credentials / "compute1").rglob("*") if p.is_file()}  # fmt: skip
    assert names == {"kubelet.conf", "pki/ca.crt"}


def test_secrets_are_for_their_owner_and_differ_between_clusters(
    credentials: Path, tmp_path: Path
) -> None:
    assert (credentials / "secrets").stat().st_mode & 0o777 == 0o700
    for path in (credentials / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    write_credentials(tmp_path / "other", NODES)
    first = (credentials / "secrets" / "head.tar").read_bytes()
    assert (tmp_path / "other" / "head.tar").read_bytes() != first


def test_image_archive_is_a_sound_oci_layout_with_the_same_bytes(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF not really")
    images = {"localhost/a:1": Program(program, "/usr/local/bin/a")}
    archive = write_archive(images, tmp_path / "one.tar")
    assert archive.read_bytes() == write_archive(images, tmp_path / "two.tar").read_bytes()
    with tarfile.open(archive) as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar}
    for name, blob in content.items():
        if name.startswith("blobs/"):
            assert hashlib.sha256(blob).hexdigest() == Path(name).name
    entry = json.loads(content["index.json"])["manifests"][0]
    assert entry["annotations"]["io.containerd.image.name"] == "localhost/a:1"

    def blob(descriptor: dict[str, str]) -> bytes:
        return content["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]

    manifest = json.loads(blob(entry))
    config = json.loads(blob(manifest["config"]))
    assert config["config"]["Entrypoint"] == ["/usr/local/bin/a"]
    (tmp_path / "layer").write_bytes(blob(manifest["layers"][0]))
    with tarfile.open(tmp_path / "layer") as layer:
        assert layer.getmember("usr/local/bin/a").mode == 0o755
        assert layer.extractfile("usr/local/bin/a").read() == program.read_bytes()


def test_pause_ends_when_told(tmp_path: Path) -> None:
    write_container_images(tmp_path, tmp_path / "images.tar")
    process = subprocess.Popen([tmp_path / "schedlab-pause"])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.terminate()
    assert process.wait(5) == 0


def test_disk_of_files_has_what_the_role_looks_for(tmp_path: Path) -> None:
    if shutil.which("isoinfo") is None:
        pytest.skip("isoinfo is not installed")
    for name in ("kubelet", "definition.yaml", "given.tar"):
        (tmp_path / name).write_text(name)
    (tmp_path / "work").mkdir()
    for role, name in (("one", "etc/default/etcd"), ("two", "etc/default/x"), ("two", "lib/y.py")):
        path = tmp_path / role / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    disk = make_files_disk(
        [tmp_path / "kubelet"],
        {"volcano": [tmp_path / "definition.yaml"]},
        [tmp_path / "one", tmp_path / "two"],
        [tmp_path / "given.tar"],
        tmp_path / "work",
    )
    listed = subprocess.run(
        ["isoinfo", "-R", "-f", "-i", disk], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {
        "/bin/kubelet",
        "/archives/given.tar",
        "/share/volcano/definition.yaml",
        "/etc/default/etcd",
        "/etc/default/x",
        "/lib/y.py",
        "/images.tar",
    } <= set(listed)
    label = subprocess.run(["isoinfo", "-d", "-i", disk], capture_output=True, text=True).stdout
    assert "Volume id: FILES" in label
