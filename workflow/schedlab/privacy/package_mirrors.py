"""The apt sources from which the host takes Debian packages, in both of their formats."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

MIRROR_VARIABLE = "SCHEDLAB_DEBIAN_MIRROR"
# A mirror's folder is /debian; a snapshot's has a time after it.
_ARCHIVE = re.compile(r"/debian(/\d{8}T\d{6}Z)?/?$")
_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<parts>.+)$")
_DERIVED = ("-security", "-updates", "-backports", "-proposed-updates")


@dataclass(frozen=True)
class PackageSource:
    """An apt source of binary packages.

    Attributes
    ----------
    uri : str
        URI of the archive.
    suite : str
        Name of the release.
    components : tuple of str
        Components, for example ``main``.
    """

    uri: str
    suite: str
    components: tuple[str, ...]


def parse_one_line(text: str) -> Iterator[PackageSource]:
    """Read the one-line format (sources.list(5)): ``deb [options] uri suite component...``."""
    for line in text.splitlines():
        match = _ONE_LINE.match(line.partition("#")[0].strip())
        if match:
            yield PackageSource(match["uri"], match["suite"], tuple(match["parts"].split()))


def parse_deb822(text: str) -> Iterator[PackageSource]:
    """Read the deb822 format (sources.list(5)): paragraphs of fields with continuation lines.

    Reading ends at a paragraph without fields. apt refuses a file with such a paragraph.
    """
    # Imported here, because every stage imports this module, and few machines have such a file.
    from debian.deb822 import Deb822

    # As lines, because python-debian takes a text for the name of a file.
    for fields in Deb822.iter_paragraphs(text.splitlines()):
        if "deb" not in fields.get("Types", "").split() or fields.get("Enabled") == "no":
            continue
        for uri in fields.get("URIs", "").split():
            for suite in fields.get("Suites", "").split():
                yield PackageSource(uri, suite, tuple(fields.get("Components", "").split()))


def host_sources(root: Path = Path("/")) -> Iterator[PackageSource]:
    """Read all enabled sources of the machine whose file system is at `root`."""
    folder = root / "etc/apt"
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            yield from parse_deb822(text)
        elif path.suffix == ".list":
            yield from parse_one_line(text)


def debian_mirror(root: Path = Path("/")) -> str | None:
    """Return the archive that serves Debian's own packages to this machine.

    Parameters
    ----------
    root : pathlib.Path
        Root of the machine's file system.

    Returns
    -------
    str or None
        ``$SCHEDLAB_DEBIAN_MIRROR`` if it is set, else the archive of the machine's first Debian
        source. None if the machine has no such source: mmdebstrap then uses its default.
    """
    override = os.environ.get(MIRROR_VARIABLE)
    if override:
        return override
    for source in host_sources(root):
        path = urlsplit(source.uri).path
        plain = not source.suite.endswith((*_DERIVED, "/"))
        if plain and "main" in source.components and _ARCHIVE.search(path):
            return source.uri
    return None
