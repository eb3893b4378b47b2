"""Reads a bundle's archive in one pass. It trusts nothing in the archive and writes no file.

The reader accepts only what :mod:`schedlab.bundle.writer` can write. It makes each header again
from the member's name, size and mode, and compares it with the header in the archive. This
excludes links, devices, sparse files, extended headers, and bytes hidden in padding. The messages
name the common attacks by their kind.

The `data` filter of :mod:`tarfile` would add nothing. It protects an extraction, but accepts links
within the folder, sparse files, absolute paths (which it shortens), backslashes, control
characters, and names that occur twice.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import zstandard

from schedlab.bundle.archive_format import (
    BLOCK,
    CHUNK,
    WINDOW,
    ArchiveLimits,
    folded,
    header,
)
from schedlab.bundle.writer import seal
from schedlab.errors import SchedlabError
from schedlab.outside.names import HOSTILE, name_problem

DAMAGED = "get the bundle again from its author, and compare the digest that packing printed"
_FRAME_HEADER = 18

_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.DIRTYPE: "a folder of its own",
    tarfile.CONTTYPE: "a contiguous file",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.GNUTYPE_LONGNAME: "an extended (GNU) name",
    tarfile.GNUTYPE_LONGLINK: "an extended (GNU) link",
    tarfile.XHDTYPE: "an extended (pax) header",
    tarfile.XGLTYPE: "a global extended (pax) header",
    tarfile.SOLARIS_XHDTYPE: "an extended (Solaris) header",
}


@dataclass
class Member:
    """A file of the archive. Its content can be read once, before the next member.

    Attributes
    ----------
    name : str
        Path below the bundle's root.
    size : int
        Size in bytes.
    content : IO
        The file's bytes.
    """

    name: str
    size: int
    content: IO[bytes]


def damaged(path: Path, what: str) -> SchedlabError:
    """Return the error for an archive that changed after it was written."""
    return SchedlabError(f"{path}: {what}", remedy=DAMAGED)


def hostile(path: Path, what: str) -> SchedlabError:
    """Return the error for an archive that schedlab cannot have written."""
    return SchedlabError(f"{path}: refused: {what}", remedy=HOSTILE)


class _BeforeSeal(io.RawIOBase):
    """The part of a file before its seal."""

    def __init__(self, handle: IO[bytes], size: int) -> None:
        self._handle, self._left = handle, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._handle.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def archive_digest(path: Path) -> str:
    """Check the seal of an archive, and return the archive's SHA-256.

    The seal covers every byte of the file before it.

    Raises
    ------
    SchedlabError
        The file is not a bundle, is cut short, was changed, or has bytes after its end.
    """
    length = len(seal(bytes(32)))
    sha256 = hashlib.sha256()
    try:
        if not path.is_file():
            # Reading a device never ends, and reading a named pipe waits for a writer.
            path.stat()
            raise SchedlabError(
                f"{path}: is not a bundle: it is not a file",
                remedy="name a file that `make bundle` wrote, or a results folder",
            )
        with path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            start = handle.read(4)
            if start != zstandard.MAGIC_NUMBER.to_bytes(4, "little"):
                raise SchedlabError(
                    f"{path}: is not a bundle: it does not begin as a zstd archive",
                    remedy="name a file that `make bundle` wrote, or a results folder",
                )
            handle.seek(0)
            left = size - length
            while left > 0 and (chunk := handle.read(min(CHUNK, left))):
                sha256.update(chunk)
                left -= len(chunk)
            end = handle.read()
    except FileNotFoundError as error:
        raise SchedlabError(
            f"{path}: no such file", remedy="name a bundle or a results folder"
        ) from error
    expected = seal(sha256.digest())
    if end == expected:
        sha256.update(end)
        return sha256.hexdigest()
    if end[:-32] != expected[:-32]:
        raise damaged(path, "does not end as a bundle does: cut short, or followed by other bytes")
    raise damaged(path, "its bytes were changed: the digest at its end differs")


class BundleReader:
    """Reads the members of an archive whose seal was checked (:func:`archive_digest`).

    Parameters
    ----------
    path : pathlib.Path
        The archive.
    limits : ArchiveLimits
        ArchiveLimits above which the archive is refused as a decompression bomb.
    """

    def __init__(self, path: Path, limits: ArchiveLimits | None = None) -> None:
        self.path = path
        self.limits = limits or ArchiveLimits()

    def members(self) -> Iterator[Member]:
        """Yield the members in the order of the archive.

        Raises
        ------
        SchedlabError
            The archive differs from what schedlab writes. The first difference is named.
        """
        size = self.path.stat().st_size - len(seal(bytes(32)))
        with self.path.open("rb") as handle:
            self._one_frame(handle, size)
            handle.seek(0)
            section = _BeforeSeal(handle, size)
            decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW)
            self._packed = size
            self._unpacked = 0
            with decompressor.stream_reader(
                cast(IO[bytes], section), read_size=CHUNK
            ) as self._stream:
                yield from self._walk()
                if self._stream.read(1):
                    raise hostile(self.path, "there are bytes after the archive's end")

    def _one_frame(self, handle: IO[bytes], size: int) -> None:
        """Check that one zstd frame reaches to the seal.

        The decompressor stops at the end of a frame, so nothing would check bytes after it.
        """
        start = handle.read(_FRAME_HEADER)
        try:
            found = zstandard.get_frame_parameters(start)
            position = zstandard.frame_header_size(start)
        except zstandard.ZstdError as error:
            raise damaged(self.path, f"its compressed data cannot be read: {error}") from error
        if found.window_size > WINDOW:
            raise hostile(
                self.path, f"it asks for a window of {found.window_size} bytes: a memory bomb"
            )
        last = False
        while not last and position < size:
            handle.seek(position)
            block = int.from_bytes(handle.read(3), "little")
            last, kind, length = bool(block & 1), block >> 1 & 3, block >> 3
            # A block of kind 1 repeats one byte, and only that byte is stored.
            position += 3 + (1 if kind == 1 else length)
        position += 4 * found.has_checksum
        if not last or position > size:
            raise damaged(self.path, "it is cut short: the compressed data have no end")
        if position < size:
            raise hostile(self.path, "there are bytes after the compressed data")

    def _walk(self) -> Iterator[Member]:
        seen: set[str] = set()
        folders: set[str] = set()
        while True:
            block = self._exactly(BLOCK)
            if not block.strip(b"\0"):
                if self._exactly(BLOCK).strip(b"\0"):
                    raise hostile(self.path, "its end is marked in another way than schedlab does")
                return
            name, size = self._header(block)
            self._unique(name, seen, folders)
            if len(seen) > self.limits.members:
                raise hostile(self.path, f"it has more than {self.limits.members} members")
            if self._unpacked + size > self.limits.total:
                raise hostile(
                    self.path,
                    f"its members have more than {self.limits.total} bytes: a decompression bomb",
                )
            content = _Content(self, size)
            yield Member(name, size, io.BufferedReader(content, CHUNK))
            content.drain()
            if self._exactly(-size % BLOCK).strip(b"\0"):
                raise hostile(self.path, f"bytes are hidden after {name}")

    def _header(self, block: bytes) -> tuple[str, int]:
        kind = block[156:157]
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise damaged(self.path, f"a header cannot be read: {error}") from error
        shown = ascii(info.name)
        if problem := name_problem(info.name.rstrip("/") if kind == tarfile.DIRTYPE else info.name):
            raise hostile(self.path, f"the member {shown} {problem}")
        if kind in _KINDS:
            raise hostile(self.path, f"the member {shown} is {_KINDS[kind]}")
        expected = header(info.name, info.size, executable=bool(info.mode & 0o100))
        if block != expected:
            raise hostile(
                self.path, f"the header of {shown} holds more than a name, a size and a mode"
            )
        return info.name, info.size

    def _unique(self, name: str, seen: set[str], folders: set[str]) -> None:
        key = folded(name)
        if key in seen:
            raise hostile(self.path, f"the name {name} occurs twice (or differs in case only)")
        if key in folders:
            raise hostile(self.path, f"{name} is a file and a folder")
        parts = key.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if wrong := sorted(above & seen):
            raise hostile(self.path, f"{wrong[0]} is a file and a folder")
        seen.add(key)
        folders |= above

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes of the unpacked stream.

        Raises
        ------
        SchedlabError
            The compressed data are damaged, or exceed the limits.
        """
        try:
            data = self._stream.read(size)
        except zstandard.ZstdError as error:
            text = str(error)
            if "window" in text.lower() or "memory" in text.lower():
                raise hostile(self.path, f"it asks for too much memory: {text}") from error
            raise damaged(self.path, f"its compressed data cannot be read: {text}") from error
        self._unpacked += len(data)
        if self._unpacked > self.limits.total:
            raise hostile(self.path, "it unpacks to too many bytes: a decompression bomb")
        if (
            self._unpacked > self.limits.ratio_from
            and self._unpacked > self.limits.ratio * self._packed
        ):
            raise hostile(
                self.path,
                f"it unpacks to more than {self.limits.ratio} times its size: a decompression bomb",
            )
        return data

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.read(size - len(data))
            if not more:
                raise damaged(self.path, "it is cut short: the archive ends in the middle")
            data += more
        return data


class _Content(io.RawIOBase):
    """The content of one member as a file."""

    def __init__(self, reader: BundleReader, size: int) -> None:
        self._reader, self._left = reader, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._left)
        data = self._reader.read(wanted) if wanted else b""
        if wanted and not data:
            raise damaged(self._reader.path, "it is cut short: the archive ends in a file")
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def drain(self) -> None:
        """Read what the caller left unread, so that the next member can be read."""
        while self._left:
            self._left -= len(self._reader._exactly(min(CHUNK, self._left)))
