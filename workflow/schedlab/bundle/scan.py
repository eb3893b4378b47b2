"""Search for secrets and for words that identify this machine in files about to be packed.

Files are already cleaned when they are written (:mod:`schedlab.privacy.identity`), and only files
that records name are packed (:mod:`schedlab.bundle.contents`). This search is a last check, in case
one of these fails.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from schedlab.bundle.archive_format import CHUNK
from schedlab.bundle.unpacking import unpacked
from schedlab.errors import SchedlabError
from schedlab.privacy.identity import Identity
from schedlab.privacy.secrets import secrets_in

OVERLAP = 4096
"""Bytes at the end of a part that are searched again with the next part. No pattern is longer."""

_WORD = re.compile(rb"[A-Za-z0-9+/_-]{32,}={0,2}")
_LARGEST_SECRET = 1 << 16
_PUBLIC = (".pub", ".tfstate", ".backup")


def secret_needles(results: Path) -> frozenset[bytes]:
    """Return the contents of the clusters' folders of secrets, in all forms to search for.

    Of a binary file these are its content, that content in base64, and in hexadecimal digits; of
    a text file every long word.
    """
    needles: set[bytes] = set()
    for path in results.glob("clusters/*/*/secrets/**/*"):
        if path.is_file() and path.suffix not in _PUBLIC and path.stat().st_size < _LARGEST_SECRET:
            needles |= set(_forms(path.read_bytes()))
    return frozenset(needles)


def _forms(content: bytes) -> Iterator[bytes]:
    words = _WORD.findall(content)
    if len(content) >= 16 and not words:
        yield from (content[:OVERLAP], content.hex().encode()[:OVERLAP])
        yield base64.b64encode(content).rstrip(b"=")[:OVERLAP]
    yield from (word[:OVERLAP] for word in words)


class Scanner:
    """Searches members of a bundle.

    Parameters
    ----------
    identity : Identity
        Words that identify this machine.
    needles : frozenset of bytes
        Contents that must not be shared.
    """

    def __init__(self, identity: Identity, needles: frozenset[bytes] = frozenset()) -> None:
        self._identity = identity
        self._needles = sorted(needles)

    def check(self, name: str, handle: IO[bytes], *, machine: bool = True) -> None:
        """Search a file from its current position, and also what is packed in it (`unpacked`).

        Parameters
        ----------
        name : str
            Name of the file, for the message.
        handle : IO
            The file.
        machine : bool
            Search for words that identify the machine too.

        Raises
        ------
        SchedlabError
            Something was found. The message names its kind and the file, but does not repeat it.
        """
        for stream in unpacked(name, handle):
            before = b""
            while part := stream.read(CHUNK):
                found = self._found(before + part, machine=machine)
                if found:
                    raise SchedlabError(
                        f"{name} contains {', '.join(found)}: nothing was packed",
                        remedy="run the stage that wrote the file again with this version of "
                        "schedlab, which does not write it; from a file of your own, remove it",
                    )
                before = (before + part)[-OVERLAP:]

    def _found(self, data: bytes, *, machine: bool) -> list[str]:
        found = secrets_in(data)
        if any(needle in data for needle in self._needles):
            found.add("the content of a folder of secrets")
        if machine:
            found |= set(self._identity.identifying_words(data.decode("utf-8", "replace")))
        return sorted(found)
