"""Checks of URLs and names in an experiment, which is in every record, result and bundle."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

_LIBVIRT = re.compile(
    r"qemu(\+(unix|ssh|libssh2?|tls|tcp))?://"
    r"(([A-Za-z0-9_][\w.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?)?/(system|session)",
    re.ASCII,
)
_SECRET = re.compile(
    r"(?i)(^|[&;])([^=&;]*(signature|credential|token|secret|password)|sig|(api[-_]?)?key)="
)
"""Parameter of a URL that gives access to whoever has the URL."""

_DNF = frozenset(
    (
        "appstream", "baseos", "crb", "devel", "epel", "epel-cisco-openh264", "epel-testing",
        "extras", "highavailability", "media", "nfv", "plus", "resilientstorage", "rocky",
        "rocky-addons", "rocky-devel", "rocky-extras", "rocky-plus", "rt", "sap", "saphana",
        "security",
    )
)  # fmt: skip
"""Sources of Rocky Linux and EPEL, by the names of their files and of dnf's entries."""


def has_port(netloc: str) -> bool:
    """Whether the port of a host in a URL exists; without one, the protocol's own does."""
    found = re.search(r":([0-9]*)$", netloc)
    return found is None or (found[1].isdecimal() and 0 < int(found[1]) < 65536)


def _parts(url: str) -> SplitResult:
    if not (url.isprintable() and re.fullmatch(r"(https?|file)://[^\s{}]+", url)):
        raise ValueError("not a URL; write one that starts with https://, http:// or file://")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"not a URL: {error}; correct it") from None
    if not has_port(parts.netloc):
        raise ValueError("a URL with a port that does not exist; use one from 1 to 65535")
    return parts


def checked_url(url: str) -> str:
    """Accept the URL of a file that the host downloads, without credentials.

    Raises
    ------
    ValueError
        When it is not one; the message has the remedy.
    """
    parts = _parts(url)
    if "@" in parts.netloc:
        raise ValueError("a URL with a user name or password; put these into ~/.netrc")
    if _SECRET.search(parts.query):
        raise ValueError(
            "a URL with a signature or token, which every record and bundle would have; download"
            " the file, and write file:///folder/file"
        )
    return url


def checked_source(url: str) -> str:
    """Accept the URL of packages, or of their key, that a guest downloads; errors as above."""
    parts = _parts(url)
    if "@" in parts.netloc or _SECRET.search(parts.query):
        raise ValueError(
            "a URL with a user name, a password or a token; guests get no credentials: use a"
            " source that needs none, such as a mirror of it in your own network"
        )
    return url


def checked_key(url: str) -> str:
    """Accept such a URL, or nothing where packages are not signed; errors as above."""
    return checked_source(url) if url else url


def checked_source_name(name: str) -> str:
    """Refuse the names of the distribution's own package sources; errors as above."""
    if name in _DNF:
        # Its file would overwrite theirs.
        raise ValueError(
            f"the name of a source that Rocky Linux or EPEL has; choose another, such as own-{name}"
        )
    return name


def checked_uri(uri: str) -> str:
    """Accept only URIs that name a host; libvirt runs commands that others contain (`ext`).

    Errors as above.
    """
    if uri not in ("auto", "embedded") and not _LIBVIRT.fullmatch(uri):
        raise ValueError(
            "does not have the form of a libvirt URI of QEMU without options; use auto, embedded, "
            "or a URI such as qemu:///system or qemu+ssh://host/system"
        )
    if not has_port(uri.partition("://")[2].partition("/")[0]):
        raise ValueError("names a port that does not exist; use one from 1 to 65535")
    return uri
