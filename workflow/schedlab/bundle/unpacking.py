"""What is packed in a file, by its first bytes: gzip, bzip2, xz, zstd, zip."""

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
"""Unpacked bytes: more cannot be searched in a reasonable time."""
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile)


def unpacked(name: str, handle: IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield a file, and then what is packed in it; each must be read before the next.

    Damaged data end where they cannot be unpacked: nobody else can read on there either.

    Parameters
    ----------
    name : str
        For the message.
    handle : IO
        The file; what cannot be sought back to its start is not unpacked.

    Raises
    ------
    SchedlabError
        When it unpacks to more than `LARGEST` bytes.
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
        yield cast(IO[bytes], _Bounded(name, stream))


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
        except (*_BROKEN, RuntimeError, NotImplementedError):  # encrypted; an unknown method
            return


class _Bounded(io.RawIOBase):
    """A stream that ends where its data are damaged, and is refused where it is too long."""

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
                remedy="leave it out, or keep it smaller",
            )
        return part
