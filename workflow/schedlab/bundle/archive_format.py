"""Names and limits of the bundle format, shared by the writer and the reader."""

from __future__ import annotations

import tarfile
import unicodedata
from dataclasses import dataclass

from schedlab.errors import SchedlabError
from schedlab.outside.names import LONGEST

SCHEMA = "schedlab.bundle/1"
DESCRIPTION = "bundle.json"
MANIFEST = "manifest.jsonl"
PATCH = "source.patch"
CITATION = "CITATION.cff"
ZENODO = ".zenodo.json"

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 20
WINDOW = 1 << 23
"""Size of the zstd window in bytes: the memory that an archive may demand of its reader."""


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits above which a reader refuses an archive as a decompression bomb.

    Parameters
    ----------
    total : int
        Largest size of all members together, in bytes.
    members : int
        Largest number of members.
    ratio : int
        Largest number of unpacked bytes for each packed byte. It is checked only when more than
        `ratio_from` bytes were unpacked.
    ratio_from : int
        Number of unpacked bytes from which `ratio` counts: a short archive of equal lines may
        have any ratio.
    """

    total: int = 64 << 30
    members: int = 2_000_000
    ratio: int = 1_000
    ratio_from: int = 64 << 20


def header(name: str, size: int, *, executable: bool = False) -> bytes:
    """Return the header of a member. Only name, size and mode differ between headers.

    Parameters
    ----------
    name : str
        Path below the bundle's root.
    size : int
        Size of the content in bytes.
    executable : bool
        The file may be executed.

    Raises
    ------
    SchedlabError
        The name or the size does not fit into a plain header (ustar).
    """
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o755 if executable else 0o644
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError as error:
        raise SchedlabError(
            f"{name}: does not fit into a bundle: {error}",
            remedy=f"leave the file out or shorten its path: a path has at most {LONGEST} bytes"
            " and a file less than 8 GiB",
        ) from error


def folded(name: str) -> str:
    """Return a name without case and in one Unicode form.

    Two names that some file system takes for one name are equal in this form.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
