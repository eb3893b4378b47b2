"""Names and limits of the bundle's form, shared by those who write and those who read it."""

from __future__ import annotations

import tarfile
import unicodedata
from dataclasses import dataclass

from schedlab.errors import SchedlabError
from schedlab.outside.names import LONGEST

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


def folded(name: str) -> str:
    """Name as the least particular file system sees it: without case and forms of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
