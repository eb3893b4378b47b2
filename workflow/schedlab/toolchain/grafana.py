"""Finds Grafana, or takes it out of a package repository that the user names."""

from __future__ import annotations

import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.last_words import last_words
from schedlab.outside.temporary import temporary_folder
from schedlab.toolchain.build import announce
from schedlab.toolchain.cache import Cache

HOMES = ("/usr/share/grafana", "/usr/local/share/grafana")
"""Folders in which packages of Grafana have what it serves."""
KEY = "gpg.key"
"""File with the signing key, below the repository's URL, as in Grafana's own repository."""
PACKAGE = "grafana"
_HELPER = "/usr/lib/apt/apt-helper"
_REMEDY = "or install Grafana so that `grafana-server` is on PATH"


@dataclass(frozen=True)
class Grafana:
    """A Grafana server.

    Attributes
    ----------
    command : tuple of str or pathlib.Path
        What starts it; the options of the server follow.
    home : pathlib.Path or None
        Folder with what it serves; None where the program knows it.
    """

    command: tuple[str | Path, ...]
    home: Path | None


def installed_grafana() -> Grafana | None:
    """Return the installed Grafana; None where there is none."""
    found = shutil.which("grafana-server", path=processes.search_path())
    if not found:
        return None
    return Grafana((found,), next((Path(p) for p in HOMES if Path(p).is_dir()), None))


def download_grafana(cache: Cache, repository: str, key_sha256: str) -> Grafana:
    """Take Grafana out of the package `grafana` of a Debian package repository.

    apt checks the repository's signature and the package's digest; the key is checked here. The
    package is not installed: it needs no root, and starts no service on the user's machine.

    Parameters
    ----------
    cache : Cache
        Where it is kept.
    repository : str
        ``URL SUITE COMPONENT``, as in a line of sources.list. Its key is at ``URL/gpg.key``.
    key_sha256 : str
        SHA-256 digest of the key's file.

    Raises
    ------
    SchedlabError
        When `repository` or `key_sha256` has another form, apt is missing, the key has another
        digest, or the repository is not signed with it or lacks the package.
    """
    if not re.fullmatch(r"(https?|file)://[^\s\[\]@]+( [\w./-]+){2}", repository):
        raise SchedlabError(
            f"--grafana-repository is {re.sub('//.*@', '//...@', repository)!r}",
            remedy="write URL, suite and component, without a user name and password, as in"
            " 'https://apt.grafana.com stable main'",
        )
    if not re.fullmatch(r"[0-9a-f]{64}", key_sha256):
        raise SchedlabError(
            f"--grafana-key-sha256 is {key_sha256!r}",
            remedy="write the 64 hexadecimal digits of the SHA-256 digest of the repository's key",
        )
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool, path=processes.search_path()) is None:
            raise SchedlabError(
                f"{tool}, which fetches Grafana, is not installed",
                remedy=f"use a machine with apt, {_REMEDY}",
            )
    announce(f"looking for Grafana in {repository}")
    with temporary_folder("schedlab-apt.") as folder:
        # For a download apt becomes the user _apt, if the folder's mode permits it.
        folder.chmod(0o755)
        options = _sources(folder, repository, key_sha256)
        described = _run(
            ["apt-get", *options, "download", "--print-uris", PACKAGE],
            what=f"looking for the package {PACKAGE} in {repository}", folder=folder,
        )  # fmt: skip
        found = re.search(r"' (\S+\.deb) (\d+) (\S+:\S+)", described)
        if found is None:
            raise SchedlabError(
                f"{repository} has no package {PACKAGE} for this machine",
                remedy=f"check --grafana-repository, {_REMEDY}",
            )
        inputs = {"package": found[1], "digest": found[3], "platform": platform.machine()}
        home = cache.get_or_build(
            "grafana", inputs, lambda target: _unpack(target, folder, options)
        )
    # From version 9.4 on `grafana server` starts it; before, a program of its own.
    program = home / "bin" / "grafana"
    if program.exists():
        return Grafana((program, "server"), home)
    return Grafana((home / "bin" / "grafana-server",), home)


def _run(command: list[str | Path], *, what: str, folder: Path) -> str:
    done = processes.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise SchedlabError(
            f"{what} failed:\n{last_words(done.stderr or done.stdout)}",
            remedy=f"check --grafana-repository, --grafana-key-sha256 and the network, {_REMEDY}",
        )
    return done.stdout


def _sources(folder: Path, repository: str, key_sha256: str) -> list[str]:
    """Options that make apt read only this repository, with folders of its own; it is read."""
    url = repository.split()[0].rstrip("/")
    fetched = folder / "key"
    _run(
        [_HELPER, "download-file", f"{url}/{KEY}", fetched, f"SHA256:{key_sha256}"],
        what=f"fetching {url}/{KEY}, whose SHA-256 digest must be {key_sha256},", folder=folder,
    )  # fmt: skip
    # apt tells an armoured key by the end of its name. The file is written anew, because apt links
    # to a key at a file:// URL, and its user _apt may not read there.
    content = fetched.read_bytes()
    ending = "asc" if content.startswith(b"-----BEGIN") else "gpg"
    key = folder / f"key.{ending}"
    key.write_bytes(content)
    (folder / "sources.list").write_text(f"deb [signed-by={key}] {repository}\n")
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "state" / "status").touch()
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "state" / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Acquire::Languages": "none",
        # Otherwise a repository whose signature is wrong is only warned of.
        "APT::Update::Error-Mode": "any",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    _run(
        ["apt-get", *options, "update"], what=f"reading the repository {repository}", folder=folder
    )
    return options


def _unpack(target: Path, folder: Path, options: list[str]) -> None:
    announce("downloading Grafana")
    _run(["apt-get", *options, "download", PACKAGE], what="downloading Grafana", folder=folder)
    package = next(folder.glob(f"{PACKAGE}_*.deb"))
    root = folder / "root"
    _run(["dpkg-deb", "-x", package, root], what="unpacking Grafana", folder=folder)
    shutil.copytree(root / "usr/share/grafana", target, symlinks=True, dirs_exist_ok=True)
