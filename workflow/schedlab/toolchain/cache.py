"""Content-addressed cache of what is built or downloaded, shared by all checkouts of a user.

Layout below the root::

    <kind>/<key>/content/...      the files, read-only
    <kind>/<key>/manifest.json    inputs, and size, mode and SHA-256 of every file
    verified/<kind>-<key>.json    size and time of each file when it was last read in full
    partial/<kind>-<key>/         an entry being built; renamed into place when complete
    locks/<kind>-<key>.lock       held while an entry is looked up, built or repaired
    locks/<name>-<process>.lock   held while a process has intermediate files in partial/
    locks/in-use.lock             shared by all runs; held alone while entries are removed

An entry's key is the digest of the inputs that determine it, so a lookup needs no contents. The
manifest's digests tell whether the contents are still those that were built.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.locks import lock, opened, still_at
from schedlab.outside.json_text import read_json
from schedlab.paths import cache_root
from schedlab.results.records import digest, file_digest, write_json

SCHEMA = "schedlab.cache/1"
SMALL = 2**20
"""Files below this size, bytes, are read in full at every use; larger ones only if changed."""
_OF_A_PROCESS = re.compile(r".+-[0-9]{1,10}")
"""Names of scratch folders, which end with the number of their process; no digest is as short."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cache:
    """The cache at `root`.

    Attributes
    ----------
    root : pathlib.Path
        Absolute folder; made when first needed.
    """

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """Give the user's cache (see :func:`schedlab.paths.cache_root`)."""
        return cls(cache_root())

    def location(self, kind: str, inputs: dict[str, Any]) -> Path:
        """Folder in which the files of an entry are, or will be."""
        return self.root / kind / digest({"kind": kind, "inputs": inputs}) / "content"

    def get_or_build(
        self, kind: str, inputs: dict[str, Any], build: Callable[[Path], None]
    ) -> Path:
        """Return the folder of an entry, built first where it is missing or damaged.

        If several processes ask for the same entry, one builds it and the others wait.

        Parameters
        ----------
        kind : str
            Sort of entry, a plain folder name such as ``go-tool``.
        inputs : dict
            Everything that determines the contents, as plain JSON: versions, digests, platform.
        build : callable
            Fills the empty folder that it is given. If it raises an error, nothing of the entry is
            kept and the error is passed on.

        Returns
        -------
        pathlib.Path
            Folder with the files, read-only.

        Raises
        ------
        SchedlabError
            When `build` leaves the folder empty.
        """
        content = self.location(kind, inputs)
        entry = content.parent
        name = f"{kind}-{entry.name}"
        with self.locked(name):
            if entry.exists():
                reason = self._damage(entry, name)
                if reason is None:
                    return content
                log.warning("cache entry %s is damaged (%s); building it again", entry, reason)
                _remove(entry)
            partial = self.root / "partial" / name
            _remove(partial)  # left by a build that was killed
            try:
                (partial / "content").mkdir(parents=True)
                build(partial / "content")
                files = _describe(partial / "content")
                if not files:
                    raise SchedlabError(f"building the cache entry {kind} {inputs} left no file")
                manifest = {"schema": SCHEMA, "kind": kind, "inputs": inputs, "files": files}
                write_json(partial / "manifest.json", manifest)
                entry.parent.mkdir(parents=True, exist_ok=True)
                partial.rename(entry)
            finally:
                _remove(partial)
            self._remember(name, content, files)
        return content

    def place(self, source: Path, destination: Path) -> None:
        """Put a file of an entry at `destination`, as a hard link or, where that fails, a copy.

        The destination is replaced atomically. It may share its bytes with the cache, so nothing
        may write to it.
        """
        destination.parent.mkdir(parents=True, exist_ok=True)
        partial = destination.with_name(f".{destination.name}.{os.getpid()}")
        partial.unlink(missing_ok=True)
        try:
            try:
                partial.hardlink_to(source)
            except OSError:  # another file system, or one without links
                copy = ["cp", "--reflink=auto", "--sparse=auto", "--preserve=mode,timestamps"]
                processes.run([*copy, str(source), str(partial)], check=True, capture_output=True)
            partial.replace(destination)
        finally:
            # It is still there after an error, and when both names were already links to the same
            # file, because rename(2) then does nothing.
            partial.unlink(missing_ok=True)

    def place_all(self, entry: Path, folder: Path) -> list[Path]:
        """Put all files of an entry into a folder in place of what was there; return the files."""
        _remove(folder)
        placed = []
        for path in sorted(entry.iterdir()):
            self.place(path, folder / path.name)
            placed.append(folder / path.name)
        return placed

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Make a folder for intermediate files; it is removed at the end, or by a later run."""
        name = f"{name}-{os.getpid()}"
        folder = self.root / "partial" / name
        with self.locked(name, once=True):
            _remove(folder)
            folder.mkdir(parents=True)
            try:
                yield folder
            finally:
                _remove(folder)

    def remove_partial(self) -> list[Path]:
        """Remove what killed builds left behind, but not the entries that are being built now.

        Lock files of processes that have ended go too. Returns the folders that were removed.
        """
        removed = []
        for partial in sorted((self.root / "partial").glob("*")):
            with contextlib.suppress(BlockingIOError), self.locked(partial.name, wait=False):
                _remove(partial)
                removed.append(partial)
        for path in sorted((self.root / "locks").glob("*.lock")):
            if _OF_A_PROCESS.fullmatch(path.stem) and path.is_file() and not path.is_symlink():
                with (
                    contextlib.suppress(BlockingIOError),
                    self.locked(path.stem, wait=False, once=True),
                ):
                    pass
        return removed

    @contextlib.contextmanager
    def locked(self, name: str, *, wait: bool = True, once: bool = False) -> Iterator[None]:
        """Hold the lock of this name; the kernel releases it when the process ends.

        Parameters
        ----------
        name : str
            Name of the lock.
        wait : bool
            Wait until no other process holds it.
        once : bool
            Remove its file at the end, because the name is not used again.

        Raises
        ------
        BlockingIOError
            When another process holds it and `wait` is false.
        """
        path = self.root / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with os.fdopen(opened(path), "r+") as handle:
                if not lock(handle, wait=wait):
                    raise BlockingIOError(f"another process holds the lock {name}")
                if not still_at(handle, path):
                    continue
                try:
                    yield
                finally:
                    if once:
                        path.unlink(missing_ok=True)
                return

    def keep(self) -> IO[str]:
        """Keep all entries from being removed until the returned file is closed.

        Files of an entry are used without its lock, by paths that were looked up before.
        """
        return self._in_use(alone=False)

    @contextlib.contextmanager
    def unused(self) -> Iterator[None]:
        """Hold the cache while entries are removed.

        Raises
        ------
        BlockingIOError
            When a run, of any checkout, keeps the entries.
        """
        with self._in_use(alone=True):
            yield

    def _in_use(self, *, alone: bool) -> IO[str]:
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.fdopen(opened(folder / "in-use.lock"), "r+")
        try:
            if not lock(handle, wait=not alone, shared=not alone):
                raise BlockingIOError(f"another process uses {self.root}")
        except (OSError, SchedlabError):
            handle.close()
            raise
        return handle

    def entries(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the folder and the manifest of each entry whose manifest fits its place."""
        for path in sorted(self.root.glob("*/*/manifest.json")):
            entry = path.parent
            if path.is_symlink() or entry.is_symlink() or entry.parent.is_symlink():
                continue
            try:
                manifest = read_json(path)
                key = digest({"kind": entry.parent.name, "inputs": manifest["inputs"]})
                sound = manifest["schema"] == SCHEMA and isinstance(manifest["files"], dict)
            except (OSError, ValueError, LookupError, TypeError, SchedlabError):
                continue
            if sound and key == entry.name:
                yield entry, manifest

    def remove(self, entry: Path) -> None:
        """Remove an entry that :meth:`entries` gave.

        Raises
        ------
        BlockingIOError
            When another process looks it up or builds it.
        """
        name = f"{entry.parent.name}-{entry.name}"
        with self.locked(name, wait=False, once=True):
            _remove(entry)
            self._stamp(name).unlink(missing_ok=True)

    def _damage(self, entry: Path, name: str) -> str | None:
        """Tell what is wrong with an entry; None when it is what was built."""
        try:
            manifest = json.loads((entry / "manifest.json").read_text())
            expected: dict[str, dict[str, Any]] = manifest["files"]
        except (OSError, ValueError, KeyError) as error:
            return f"manifest: {error}"
        memory = self._memory(name)
        content = entry / "content"
        found = {path.relative_to(content).as_posix() for path in _walk(content)}
        if found != expected.keys():
            return f"files differ: {', '.join(sorted(found ^ expected.keys())[:3])}"
        for relative, facts in expected.items():
            path = content / relative
            if "link" in facts:
                if not path.is_symlink() or str(path.readlink()) != facts["link"]:
                    return f"{relative} is another link"
                continue
            status = path.lstat()
            if path.is_symlink() or status.st_size != facts["size"]:
                return f"{relative} has another size"
            seen = [status.st_size, status.st_mtime_ns]
            if status.st_size >= SMALL and memory.get(relative) == seen:
                continue
            if file_digest(path) != facts["sha256"]:
                return f"{relative} has other contents"
        self._remember(name, content, expected)
        return None

    def _stamp(self, name: str) -> Path:
        return self.root / "verified" / f"{name}.json"

    def _memory(self, name: str) -> dict[str, list[int]]:
        try:
            memory: dict[str, list[int]] = json.loads(self._stamp(name).read_text())
        except (OSError, ValueError):
            return {}
        return memory

    def _remember(self, name: str, content: Path, files: dict[str, dict[str, Any]]) -> None:
        """Note the size and time of the large files, which were just read in full."""
        memory = {}
        for relative, facts in files.items():
            if facts.get("size", 0) >= SMALL:
                status = (content / relative).stat()
                memory[relative] = [status.st_size, status.st_mtime_ns]
        if memory and memory != self._memory(name):
            write_json(self._stamp(name), memory)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield files and symbolic links below a folder, in order; empty folders do not count."""
    for directory, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            yield Path(directory) / name
        for child in sorted(os.scandir(directory), key=lambda item: item.name):
            if child.is_symlink() and child.is_dir():
                yield Path(child.path)


def _describe(content: Path) -> dict[str, dict[str, Any]]:
    """Make the files read-only and list them with size, mode and digest."""
    files: dict[str, dict[str, Any]] = {}
    for path in _walk(content):
        relative = path.relative_to(content).as_posix()
        if path.is_symlink():
            files[relative] = {"link": str(path.readlink())}
            continue
        executable = path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o555 if executable else 0o444)
        files[relative] = {
            "size": path.stat().st_size,
            "executable": bool(executable),
            "sha256": file_digest(path),
        }
    return files


def _remove(folder: Path) -> None:
    """Remove a folder if it is there, read-only folders in it too.

    Tasks of a library that failed may still remove their own files in it, or write some.
    """
    for attempt in range(10):
        for directory, _, _ in os.walk(folder):
            with contextlib.suppress(FileNotFoundError):
                Path(directory).chmod(0o755)
        try:
            shutil.rmtree(folder)
        except OSError as error:
            if not folder.exists():
                return
            if attempt == 9 or error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                raise
            time.sleep(0.1)
        else:
            return
