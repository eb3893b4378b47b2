"""Grafana from a package repository: SYNTHETIC packages, signed by a key made for the test."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.outside.temporary import temporary_folder
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.grafana import download_grafana

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("apt-get", "dpkg-deb", "gpg")),
    reason="apt, dpkg and gpg make the repository",
)
PACKAGE = "pool/grafana_1.0_all.deb"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Repository:
    """A signed repository in a folder, as Grafana's own is laid out."""

    def __init__(self, folder: Path, programs: tuple[str, ...] = ("grafana",)) -> None:
        self.folder = folder
        # gpg's sockets need a short path.
        self.keys = folder / "k"
        self.keys.mkdir(parents=True, mode=0o700)
        self.gpg("--quick-gen-key", "Test <test@example.invalid>", "rsa2048", "sign", "never")
        self.gpg("--armor", "--output", str(folder / "gpg.key"), "--export")
        tree = folder / "tree"
        for name in programs:
            (tree / "usr/share/grafana/bin").mkdir(parents=True, exist_ok=True)
            (tree / "usr/share/grafana/bin" / name).write_text("#!/bin/sh\n")
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(
            "Package: grafana\nVersion: 1.0\nArchitecture: all\nMaintainer: Test\nDescription: x\n"
        )
        (folder / "pool").mkdir()
        subprocess.run(
            ["dpkg-deb", "--build", tree, folder / PACKAGE], check=True, capture_output=True
        )
        self.publish()

    def gpg(self, *arguments: str) -> None:
        command = [
            "gpg",
            "--homedir",
            self.keys,
            "--batch",
            "--yes",
            "--passphrase",
            "",
            *arguments,
        ]
        subprocess.run(command, check=True, capture_output=True)

    def publish(self) -> None:
        """Write the index of the package and sign it."""
        package = self.folder / PACKAGE
        suite = self.folder / "dists/stable"
        index = suite / "main/binary-all/Packages"
        index.parent.mkdir(parents=True, exist_ok=True)
        control = (self.folder / "tree/DEBIAN/control").read_text()
        index.write_text(
            f"{control}Filename: {PACKAGE}\nSize: {package.stat().st_size}\n"
            f"SHA256: {sha256(package)}\n"
        )
        (suite / "Release").write_text(
            "Suite: stable\nCodename: stable\nArchitectures: all amd64 arm64\nComponents: main\n"
            f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n"
            f" {sha256(index)} {index.stat().st_size} main/binary-all/Packages\n"
        )
        self.gpg("--output", str(suite / "InRelease"), "--clearsign", str(suite / "Release"))
        # Its agent would stay.
        subprocess.run(["gpgconf", "--homedir", self.keys, "--kill", "gpg-agent"], check=True)

    @property
    def line(self) -> str:
        return f"file://{self.folder} stable main"

    @property
    def digest(self) -> str:
        return sha256(self.folder / "gpg.key")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that apt's user may read, unlike pytest's."""
    with temporary_folder("schedlab-test.") as folder:
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def repository(place: Path) -> Repository:
    return Repository(place / "r")


@pytest.mark.parametrize(
    ("programs", "command"),
    [
        (("grafana", "grafana-server"), ["grafana", "server"]),
        (("grafana-server",), ["grafana-server"]),
    ],
)
def test_it_is_unpacked_into_the_cache_with_the_folder_that_it_serves(
    place: Path, tmp_path: Path, programs: tuple[str, ...], command: list[str]
) -> None:
    repository, cache = Repository(place / "r", programs), Cache(tmp_path / "cache")
    found = download_grafana(cache, repository.line, repository.digest)
    assert found.home and found.home.is_relative_to(cache.root)
    assert [Path(part).name for part in found.command] == command
    assert Path(found.command[0]).parent == found.home / "bin"
    # From the cache, even if the package is gone by now.
    (repository.folder / PACKAGE).unlink()
    assert download_grafana(cache, repository.line, repository.digest) == found


def test_another_key_is_refused_before_it_is_believed(
    repository: Repository, tmp_path: Path
) -> None:
    with pytest.raises(SchedlabError, match="must be 00000") as error:
        download_grafana(Cache(tmp_path / "cache"), repository.line, "0" * 64)
    assert "--grafana-key-sha256" in str(error.value.remedy)


@pytest.mark.parametrize("what", ["signature", "package"])
def test_a_repository_that_somebody_changed_is_refused(
    repository: Repository, tmp_path: Path, what: str
) -> None:
    if what == "package":
        with (repository.folder / PACKAGE).open("ab") as file:
            file.write(b"changed")
    else:
        path = repository.folder / "dists/stable/InRelease"
        path.write_text(path.read_text().replace("Suite: stable", "Suite: stablf"))
    cache = Cache(tmp_path / "cache")
    with pytest.raises(SchedlabError, match="failed"):
        download_grafana(cache, repository.line, repository.digest)
    assert list(cache.root.glob("grafana/*/*")) == []


@pytest.mark.parametrize(
    ("line", "digest", "told"),
    [
        ("https://apt.example", "0" * 64, "URL, suite and component"),
        ("https://x [trusted=yes] main", "0" * 64, "URL, suite and component"),
        ("https://x stable main", "abc", "64 hexadecimal digits"),
    ],
)
def test_a_wrong_option_is_refused_with_what_it_should_be(
    tmp_path: Path, line: str, digest: str, told: str
) -> None:
    with pytest.raises(SchedlabError) as error:
        download_grafana(Cache(tmp_path), line, digest)
    assert told in str(error.value.remedy)


def test_the_options_belong_together(tmp_path: Path) -> None:
    command = ["dashboard", "--results", str(tmp_path), "--grafana-repository", "https://x a b"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code != 0
    assert "belong together" in str(done.exception) + done.output
