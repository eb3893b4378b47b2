"""Unpacks compressed files (gzip, bzip2, xz, zstd, zip), recognised by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, cast

import zstandard

from schedlab.bundle.archive_format import WINDOW
from schedlab.errors import SchedlabError

LARGEST = 8 << 30
"""Largest number of unpacked bytes: to search more would take too long."""
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile)


def unpacked(name: str, handle: IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield a file, and then each stream that is packed in it. Read each before the next.

    A stream with damaged data ends where they cannot be unpacked: no other reader can get further.

    Parameters
    ----------
    name : str
        Name of the file, for the message.
    handle : IO
        The file. If it is not seekable, it is not unpacked.

    Raises
    ------
    SchedlabError
        The file unpacks to more than `LARGEST` bytes.
    """
    if not handle.seekable():
        yield handle
        return
    start = handle.tell()
    magic = handle.read(6)
    handle.seek(start)
    yield handle
    handle.seek(start)
    for stream in _streams(magic, handle):
        yield cast(IO[bytes], _LimitedStream(name, stream))


def _streams(magic: bytes, handle: IO[bytes]) -> Iterator[IO[bytes]]:
    if magic.startswith(b"\x1f\x8b"):
        yield cast(IO[bytes], gzip.GzipFile(fileobj=handle, mode="rb"))
    elif magic.startswith(b"BZh"):
        yield cast(IO[bytes], bz2.BZ2File(handle))
    elif magic == b"\xfd7zXZ\0":
        yield cast(IO[bytes], lzma.open(handle))  # noqa: SIM115 - a stream to read
    elif magic.startswith(zstandard.MAGIC_NUMBER.to_bytes(4, "little")):
        reader = zstandard.ZstdDecompressor(max_window_size=WINDOW)
        yield cast(IO[bytes], reader.stream_reader(handle, read_across_frames=True))
    elif magic.startswith(b"PK\3\4"):
        try:
            with zipfile.ZipFile(handle) as archive:
                for member in archive.infolist():
                    with archive.open(member) as content:
                        yield content
        except (*_BROKEN, RuntimeError, NotImplementedError):  # encrypted, or unknown method
            return


class _LimitedStream(io.RawIOBase):
    """A stream that ends where its data are damaged, and raises an error if it is too long."""

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        self._name, self._stream, self._read = name, stream, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            part = self._stream.read(size)
        except _BROKEN:
            return b""
        self._read += len(part)
        if self._read > LARGEST:
            raise SchedlabError(
                f"{self._name} unpacks to more than {LARGEST} bytes: it cannot be searched",
                remedy="leave it out, or make it smaller",
            )
        return part
