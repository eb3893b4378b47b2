"""Arrays of large traces, kept in the cache so that the next command need not read the trace."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from schedlab.paths import cache_root

_FORMAT = "3"
"""Version of the arrays in the cache; to be changed when the same trace gives another array."""
_UNSETTLED = 2.0
"""Time (s) after a change within which another one may leave the file's times as they are."""
_ABANDONED = 86_400.0
"""Age (s) of a file that is still written, after which its writer has surely ended."""

Version = tuple[int, ...]


def version_of(status: os.stat_result) -> Version:
    """What changes with a file's contents, once it is `settled`."""
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *times)


def size_of(version: Version) -> int:
    """Size of the file, bytes."""
    return version[2]


def settled(status: os.stat_result) -> bool:
    """Whether the next change of the file must give it another version.

    File systems count time in ticks of some milliseconds, a few in seconds: a file that is written
    twice within one has the same version with other contents. A time in the future tells nothing.
    """
    return time.time() - max(status.st_mtime, status.st_ctime) > _UNSETTLED


def find(path: Path, version: Version) -> np.ndarray | None:
    """Return the rows of a trace that were kept; None where there are none, or they are damaged."""
    for file in _folder().glob(f"{_name(path)}-{_digest(version)}-*.npy"):
        try:
            rows: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
            if rows.dtype == np.float64 and rows.ndim == 2 and file.name.endswith(_sum(rows)):
                return rows
        # Whatever a damaged file makes numpy raise, the trace itself is there.
        except Exception:  # noqa: BLE001, S112
            continue
    return None


def keep(rows: np.ndarray, path: Path, version: Version) -> None:
    """Keep the rows of a trace, in memory by column, instead of those of its other versions.

    The name has their checksum, so that whoever finds the file knows whether it is whole. Rows of a
    trace that changed while it was read are of no version. If the cache cannot be written, only the
    next command takes longer.
    """
    folder, name = _folder(), _name(path)
    kept = folder / f"{name}-{_digest(version)}-{_sum(rows)}"
    with contextlib.suppress(OSError):
        if version_of(path.stat()) != version:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for old in _outdated(folder, name):
            old.unlink(missing_ok=True)
        with tempfile.NamedTemporaryFile(
            "wb", dir=folder, prefix=f"{name}-", suffix=".partial", delete=False
        ) as partial:
            try:
                np.save(partial.file, rows)
                partial.flush()
                Path(partial.name).replace(kept)
            except BaseException:
                Path(partial.name).unlink(missing_ok=True)
                raise


def _outdated(folder: Path, name: str) -> Iterator[Path]:
    yield from folder.glob(f"{name}-*.npy")
    for partial in folder.glob(f"{name}-*.partial"):
        if time.time() - partial.stat().st_mtime > _ABANDONED:
            yield partial


def _folder() -> Path:
    return cache_root() / "traces"


def _name(path: Path) -> str:
    return hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _digest(version: Version) -> str:
    return hashlib.sha256(repr((_FORMAT, version)).encode()).hexdigest()[:16]


def _sum(rows: np.ndarray) -> str:
    """End of the name of a file with these rows."""
    return f"{zlib.crc32(np.ascontiguousarray(rows.T).data):08x}.npy"
