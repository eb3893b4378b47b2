"""Secrets and what holds them are their owner's alone, from the moment that they exist."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from trial_factory import make_experiment

from schedlab.errors import SchedlabError
from schedlab.images.qcow2 import create_overlay
from schedlab.privacy.private_files import copy_secret, secret_folder, write_secret
from schedlab.privacy.secrets import withhold
from schedlab.schedulers import get_scheduler
from schedlab.stages.provision import generate_key
from schedlab.testbed import session, snapshot

ADDRESSES = {"head": "10.0.0.2", "node1": "10.0.0.3"}
DOMAIN = """\
<domain><devices>
<disk><source file="{folder}/vda"/><target dev="vda"/></disk>
<disk><source file="{folder}/seed"/><target dev="vdb"/></disk>
</devices></domain>
"""


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The most open umask: what is private must be so by itself."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_secret_replaces_what_was_there(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "key"
    other.write_bytes(b"other")
    path.symlink_to(other)
    assert write_secret(path, b"secret") == path
    assert (path.read_bytes(), mode(path), other.read_bytes()) == (b"secret", 0o600, b"other")
    assert mode(copy_secret(other, path)) == 0o600 and path.read_bytes() == b"other"
    os.umask(0o777)
    assert mode(write_secret(path, b"")) == 0o600
    folder = secret_folder(tmp_path / "a" / "secrets")
    assert mode(folder) == mode(secret_folder(folder)) == 0o700


@pytest.mark.parametrize("name", ["slurm", "kubernetes", "volcano", "nullscheduler"])
def test_keys_of_clusters_are_never_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # What would be closed only afterwards, stays open.
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    folders = [secret_folder(tmp_path / word / "secrets") for word in "ab"]
    for folder in folders:
        get_scheduler(name).make_secrets(folder, ADDRESSES)
        assert mode(folder) == 0o700
        assert all(mode(path) == 0o600 for path in folder.rglob("*") if path.is_file())
    files = sorted(path.name for path in folders[0].iterdir())
    assert [
        n for n in files if (folders[0] / n).read_bytes() == (folders[1] / n).read_bytes()
    ] == []


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
def test_machines_have_an_ssh_key_of_their_own(tmp_path: Path) -> None:
    public = [generate_key(tmp_path / name / "secrets") for name in "ab"]
    assert public[0] != public[1]
    assert mode(tmp_path / "a/secrets") == 0o700
    assert mode(tmp_path / "a/secrets/id_ed25519") == 0o600


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")
def test_disks_of_clusters_are_as_private_as_their_memory(tmp_path: Path) -> None:
    """Keys of a configured cluster are on its disks too."""
    pool, folder = tmp_path / "pool", tmp_path / "snapshot"
    pool.mkdir()
    base = tmp_path / "base.qcow2"
    os.system(f"qemu-img create -q -f qcow2 '{base}' 1M")
    disk = create_overlay(base, pool / "vda")
    assert mode(disk) == 0o600
    disk.chmod(0o644)
    (pool / "seed").write_bytes(b"seed")
    domain = SimpleNamespace(
        XMLDesc=lambda: DOMAIN.format(folder=pool),
        suspend=lambda: None,
        saveFlags=lambda path, *_: write_secret(Path(path), b"memory"),
    )
    connection = SimpleNamespace(
        lookupByName=lambda _: domain,
        networkLookupByName=lambda _: SimpleNamespace(XMLDesc=lambda: "<network/>"),
    )
    testbed = session.Testbed(connection, "test", tmp_path, "0" * 8)
    snapshot.save(testbed, "slurm-n1", [{"name": "head"}], {"head": base}, folder)
    private = {"head.qcow2", "head.save", "head.seed.iso"}
    assert {path.name for path in folder.iterdir() if mode(path) == 0o600} == private


@pytest.mark.parametrize("user", ["me:hush", "hush", ":hush"])
def test_a_url_with_credentials_is_refused(user: str) -> None:
    image = {"kind": "cloud", "sha256": "0" * 64, "os": "debian"}
    make_experiment(image=image | {"url": "https://example.org/a@b.qcow2"})
    with pytest.raises((ValueError, SchedlabError), match="netrc"):
        make_experiment(image=image | {"url": f"https://{user}@example.org/disk.qcow2"})


def test_a_token_in_place_of_a_user_is_withheld() -> None:
    assert withhold("get https://hush@example.org/x") == "get https://[withheld]@example.org/x"
    assert "hush" not in withhold("http://me:hush@example.org/ https://hush@example.org")
    kept = "qemu+ssh://bench@host/system https://example.org/a@b mail@example.org"
    assert withhold(kept) == kept
