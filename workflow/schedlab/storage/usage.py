"""Measures what files really use of a disk.

A sparse file (a disk image, saved memory) uses less than its size. A file with several names (a
disk in the cache and in the results) is there once. Links are not followed, nor is what is mounted
within a folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from schedlab import paths
from schedlab.outside.tree import below
from schedlab.testbed.supervisor import scratch_root

BLOCK = 512
"""Unit of ``st_blocks``, bytes (stat(2))."""
BUNDLE_ENDING = Path(paths.BUNDLE).suffixes[-1]
OTHER = "other"
KINDS = {
    "images": "images",
    "clusters": "snapshots",
    "trials": "trials",
    "traces": "trials",
    "decisions": "trials",
    paths.LOGS: "logs",
    "benchmarks": "logs",
    paths.TABLES: "tables",
    paths.FIGURES: "tables",
    paths.IMPORTED: "imports",
    scratch_root(Path()).name: "jobs at work",
}
"""Kind of what is in each folder of the results."""


@dataclass
class Usage:
    """What some files use.

    Attributes
    ----------
    files : int
        Number of names of files.
    inodes : dict
        Of each file on the disk, by device and number: its bytes in use, how many names it has,
        and how many of these are among the files.
    links : list of pathlib.Path
        Links and mounted folders, which were not followed.
    """

    files: int = 0
    inodes: dict[tuple[int, int], tuple[int, int, int]] = field(default_factory=dict)
    links: list[Path] = field(default_factory=list)

    def add(self, status: os.stat_result) -> None:
        """Add a file."""
        key = (status.st_dev, status.st_ino)
        _, _, seen = self.inodes.get(key, (0, 0, 0))
        self.files += 1
        self.inodes[key] = (status.st_blocks * BLOCK, status.st_nlink, seen + 1)

    def include(self, other: Usage) -> None:
        """Add the files of another usage."""
        for key, (size, names, seen) in other.inodes.items():
            before = self.inodes.get(key, (0, 0, 0))[2]
            self.inodes[key] = (size, names, before + seen)
        self.files += other.files
        self.links += other.links

    @property
    def bytes(self) -> int:
        """Bytes in use on the disk."""
        return sum(size for size, _, _ in self.inodes.values())

    @property
    def freed(self) -> int:
        """Bytes that are free after the removal of these names: of files without other names."""
        return sum(size for size, names, seen in self.inodes.values() if seen >= names)


def walk(folder: Path) -> Iterator[tuple[Path, os.stat_result | None]]:
    """Yield each file below a folder with its status, and what is not followed with None.

    Files that go away meanwhile, and folders that may not be read, are left out.
    """
    try:
        device = folder.lstat().st_dev
    except OSError:
        return
    for entry in below(folder, device=device):
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        mounted = stat.S_ISDIR(status.st_mode) and status.st_dev != device
        if stat.S_ISLNK(status.st_mode) or mounted:
            yield Path(entry.path), None
        elif not stat.S_ISDIR(status.st_mode):
            yield Path(entry.path), status


def usage(path: Path) -> Usage:
    """Measure a file, or all files below a folder."""
    found = Usage()
    try:
        status = path.lstat()
    except OSError:
        return found
    if stat.S_ISLNK(status.st_mode):
        found.links.append(path)
    elif not stat.S_ISDIR(status.st_mode):
        found.add(status)
    else:
        for file, facts in walk(path):
            if facts is None:
                found.links.append(file)
            else:
                found.add(facts)
    return found


def results_by_kind(results: Path) -> dict[str, Usage]:
    """Measure a results folder by kind: images, snapshots, trials, logs, and so on."""
    found: dict[str, Usage] = {kind: Usage() for kind in dict.fromkeys(KINDS.values())}
    found |= {"bundles": Usage(), OTHER: Usage()}
    for path in sorted(results.iterdir()):
        kind = KINDS.get(path.name, "bundles" if path.suffix == BUNDLE_ENDING else OTHER)
        found[kind].include(usage(path))
    return found
