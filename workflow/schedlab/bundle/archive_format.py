"""Names and limits of the bundle's form, shared by those who write and those who read it."""

from __future__ import annotations

import tarfile
import unicodedata
from dataclasses import dataclass

from schedlab.errors import SchedlabError

SCHEMA = "schedlab.bundle/1"
DESCRIPTION = "bundle.json"
MANIFEST = "manifest.jsonl"
SOURCE = "source"
PATCH = "source.patch"
CRATE = "ro-crate-metadata.json"
CITATION = "CITATION.cff"
ZENODO = ".zenodo.json"

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 20
WINDOW = 1 << 23
"""Memory of the zstd window, bytes: what an archive may ask of its reader."""
LONGEST = 255
"""Longest path of a member, bytes: what the plain tar header (ustar) can hold."""


@dataclass(frozen=True)
class Limits:
    """What a reader accepts before it calls an archive a decompression bomb.

    Parameters
    ----------
    total : int
        Bytes of all members together.
    members : int
        Number of members.
    ratio : int
        Unpacked bytes for each packed byte, once more than `ratio_from` bytes were unpacked.
    ratio_from : int
        Bytes; short archives of equal lines may shrink as much as they like.
    """

    total: int = 64 << 30
    members: int = 2_000_000
    ratio: int = 1_000
    ratio_from: int = 64 << 20


def header(name: str, size: int, *, executable: bool = False) -> bytes:
    """Header of a member: its name, size and mode are the only things that vary.

    Raises
    ------
    SchedlabError
        When name or size do not fit into a plain header (ustar).
    """
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o755 if executable else 0o644
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError as error:
        raise SchedlabError(
            f"{name}: does not fit into a bundle: {error}",
            remedy=f"paths of at most {LONGEST} bytes and files below 8 GiB fit; leave it out or"
            " shorten its path",
        ) from error


def name_problem(name: str) -> str | None:
    """Say why a member's name is not acceptable; None when it is."""
    if not name:
        return "has no name"
    if name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":"):
        return "has an absolute path"
    parts = name.split("/")
    if ".." in parts:
        return "leaves its folder (`..`)"
    if "" in parts or "." in parts:
        return "has an empty or `.` part in its path"
    if "\\" in name or any(unicodedata.category(letter).startswith("C") for letter in name):
        return "has a backslash or a control character in its path"
    if len(name.encode("utf-8", "surrogateescape")) > LONGEST:
        return f"has a path longer than {LONGEST} bytes"
    return None


def folded(name: str) -> str:
    """Name as the least particular file system sees it: without case and forms of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
