"""Walks through folders that others may have made, however deep they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def below(folder: Path, *, device: int | None = None) -> Iterator[os.DirEntry[str]]:
    """Yield what is below a folder, in order of name, each folder before its contents.

    Links are not followed. Python's own walks call themselves for each folder, and end in an
    exception at some thousand folders within one another.

    Parameters
    ----------
    folder : pathlib.Path
        The folder. What may not be read below it, or is gone meanwhile, is left out.
    device : int, optional
        Number of the file system (``st_dev``) whose folders alone are entered. The default is any.
    """
    waiting = [iter(_entries(folder))]
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            continue
        yield entry
        if entry.is_dir(follow_symlinks=False) and device in (None, _device(entry)):
            waiting.append(iter(_entries(entry)))


def _entries(folder: os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _device(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat(follow_symlinks=False).st_dev
    except OSError:
        return -1
