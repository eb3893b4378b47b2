"""Walks through folders that others may have made, however deep they are."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from schedlab.errors import SchedlabError
from schedlab.outside.names import kind_of


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


def require_plain(folder: Path, remedy: str) -> None:
    """Check that there are only files and folders below a folder that stages wrote.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    remedy : str
        What the user can do.

    Raises
    ------
    SchedlabError
        There is a link, a device, a named pipe or a socket, which nothing may follow or read; or
        the folder itself is one. The first one is named.
    """
    for path in (folder, *below(folder)):
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise SchedlabError(
                f"{os.fspath(path)} is {kind_of(mode)}, where schedlab writes only files and"
                " folders: it is not followed",
                remedy=remedy,
            )


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
