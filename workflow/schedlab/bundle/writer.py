"""Writes a bundle's archive in constant memory. The same members give the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import zstandard

from schedlab.bundle.archive_format import BLOCK, CHUNK, MANIFEST, WINDOW, header
from schedlab.errors import SchedlabError
from schedlab.outside.names import require_writable
from schedlab.outside.temporary import temporary_folder

LEVEL = 9
"""Level of compression. Higher levels save little space and take much time."""
SKIPPABLE = 0x184D2A50
SEAL = b"schedlab.bundle/1 sha256 "


def seal(digest: bytes) -> bytes:
    """Return the skippable zstd frame that ends an archive.

    Parameters
    ----------
    digest : bytes
        SHA-256 of everything before the frame.
    """
    content = SEAL + digest
    return struct.pack("<II", SKIPPABLE, len(content)) + content


class _Hashed(io.RawIOBase):
    """Hashes the bytes that it passes on to a file."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.sha256.update(data)
        return self._target.write(data)


class BundleWriter:
    """Context in which the members of an archive are written, one after another.

    The archive appears under its name, complete, when the context ends without an error. The
    manifest, which is the last member, is collected in a temporary file to save memory.

    Parameters
    ----------
    path : pathlib.Path
        Archive to write. An existing file is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digest = ""
        self._folder = ExitStack()

    def __enter__(self) -> Self:
        require_writable(self.path).parent.mkdir(parents=True, exist_ok=True)
        folder = self._folder.enter_context(
            temporary_folder(f".{self.path.name}.", self.path.parent)
        )
        self._partial = folder / "archive"
        self._file = self._partial.open("xb")
        self._raw = _Hashed(self._file)
        self._manifest = tempfile.TemporaryFile()
        parameters = zstandard.ZstdCompressionParameters.from_level(
            LEVEL,
            window_log=WINDOW.bit_length() - 1,
            write_checksum=True,
            write_content_size=False,
            threads=0,
        )
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        self._out = compressor.stream_writer(
            cast(IO[bytes], self._raw), closefd=False, write_size=CHUNK
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
                self._partial.replace(require_writable(self.path))
        finally:
            self._manifest.close()
            self._file.close()
            self._folder.close()

    def _finish(self) -> None:
        size = self._manifest.tell()
        self._manifest.seek(0)
        self._member(MANIFEST, self._manifest, size)
        self._out.write(b"\0" * (2 * BLOCK))
        self._out.close()
        end = seal(self._raw.sha256.digest())
        self._raw.write(end)
        self.digest = self._raw.sha256.hexdigest()
        self._file.flush()
        os.fsync(self._file.fileno())

    def add(self, name: str, source: IO[bytes], size: int, *, executable: bool = False) -> str:
        """Add a member, and return its SHA-256.

        Parameters
        ----------
        name : str
            Path below the bundle's root.
        source : IO
            Content, read from the current position to the end.
        size : int
            Size of the content in bytes.
        executable : bool
            The file may be executed.

        Raises
        ------
        SchedlabError
            `source` has more or fewer bytes, or the name does not fit into a header.
        """
        digest = self._member(name, source, size, executable=executable)
        row = {"path": name, "sha256": digest, "size": size}
        self._manifest.write(json.dumps(row, sort_keys=True, ensure_ascii=False).encode() + b"\n")
        return digest

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a member whose content is in memory."""
        self.add(name, io.BytesIO(content), len(content))

    def add_file(self, name: str, path: Path) -> str:
        """Add a member with the content of the file `path`, and return its SHA-256."""
        with path.open("rb") as handle:
            return self.add(name, handle, os.fstat(handle.fileno()).st_size)

    def _member(self, name: str, source: IO[bytes], size: int, *, executable: bool = False) -> str:
        sha256, left = hashlib.sha256(), size
        self._out.write(header(name, size, executable=executable))
        while left and (chunk := source.read(min(CHUNK, left))):
            sha256.update(chunk)
            self._out.write(chunk)
            left -= len(chunk)
        if left or source.read(1):
            raise SchedlabError(
                f"the size of {name} changed while it was packed",
                remedy="pack again when nothing writes to the results",
            )
        self._out.write(b"\0" * (-size % BLOCK))
        return sha256.hexdigest()
