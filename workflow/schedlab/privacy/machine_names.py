"""Names that identify a machine and its user: users, hosts, package mirrors, proxies."""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from schedlab.paths import CHECKOUT
from schedlab.privacy.package_mirrors import MIRROR_VARIABLE, host_sources

PUBLIC_HOSTS = frozenset(
    {
        "deb.debian.org", "security.debian.org", "ftp.debian.org", "snapshot.debian.org",
        "cloud.debian.org", "archive.ubuntu.com", "security.ubuntu.com", "cloud-images.ubuntu.com",
        "snapshot.ubuntu.com", "ports.ubuntu.com", "download.rockylinux.org", "pypi.org",
        "files.pythonhosted.org", "proxy.golang.org", "sum.golang.org", "goproxy.io", "github.com",
        "localhost",
    }
)  # fmt: skip
"""Public mirrors. They do not identify who uses them."""


def homes_and_users() -> tuple[list[str], list[str]]:
    """Return home folders and names of the users of this process.

    These are the user of the process, the one who called sudo, and the owner of the checkout.
    """
    entries = []
    for find in (
        lambda: pwd.getpwuid(os.getuid()),
        lambda: pwd.getpwuid(CHECKOUT.stat().st_uid),
        lambda: pwd.getpwnam(os.environ.get("SUDO_USER", "")),
    ):
        try:
            entries.append(find())
        except (KeyError, OSError):
            continue
    names = [os.environ.get(key, "") for key in ("USER", "LOGNAME", "SUDO_USER")]
    homes = [os.environ.get("HOME", ""), *(entry.pw_dir for entry in entries)]
    users = [*names, *(entry.pw_name for entry in entries)]
    return (
        [home for home in dict.fromkeys(homes) if home.startswith("/") and home != "/"],
        [user for user in dict.fromkeys(users) if user],
    )


def host_names(root: Path) -> Iterator[str]:
    """Yield the names of this machine from the kernel and its files. No name server is asked.

    Parameters
    ----------
    root : pathlib.Path
        Root of the machine's file system.
    """
    full = socket.gethostname()
    names = {full, full.partition(".")[0]}
    for line in _lines(root / "etc/hosts"):
        words = line.split()[1:]
        if names & set(words):
            names |= set(words)
    for line in _lines(root / "etc/resolv.conf"):
        words = line.split()
        if words[:1] in (["search"], ["domain"]):
            names |= {f"{full}.{domain}" for domain in words[1:] if domain != "."}
    for name in sorted(names):
        if name and not name.startswith(("localhost", "ip6-")):
            yield name


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.partition("#")[0].strip() for line in text.splitlines()]


_URL = re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://[^\s\"',;|<>]+")
_TELLING = re.compile(r"(?i)(proxy|mirror|index|registry|sumdb)")
_CONFIGURATIONS = ("etc/pip.conf", "etc/uv/uv.toml", "etc/npmrc")
_OWN_CONFIGURATIONS = (
    ".pip/pip.conf",
    ".config/pip/pip.conf",
    ".config/uv/uv.toml",
    ".config/go/env",
    ".npmrc",
)


def mirror_hosts(root: Path, homes: Iterable[Path]) -> Iterator[str]:
    """Yield the hosts from which this machine takes packages, and the proxies to reach them.

    Parameters
    ----------
    root : pathlib.Path
        Root of the machine's file system.
    homes : iterable of pathlib.Path
        Home folders of the users, for their settings.
    """
    urls = [source.uri for source in host_sources(root)]
    for name, value in os.environ.items():
        if name == MIRROR_VARIABLE or (_TELLING.search(name) and name.lower() != "no_proxy"):
            urls += _URL.findall(value)
            if name.lower().endswith("_proxy") and "://" not in value:
                urls.append(f"http://{value}")
    files = [root / name for name in _CONFIGURATIONS]
    files += [home / name for home in homes for name in _OWN_CONFIGURATIONS]
    files += sorted((root / "etc/apt/apt.conf.d").glob("*"))
    for path in files:
        for line in _lines(path):
            urls += _URL.findall(line)
    hosts = set()
    for url in urls:
        try:
            hosts.add((urlsplit(url).hostname or "").lower())
        except ValueError:
            continue
    for host in sorted(hosts - PUBLIC_HOSTS):
        if host and not host.startswith("127.") and host != "::1":
            yield host
