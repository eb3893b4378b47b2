"""The check of names from outside: names in records, manifests, copied metadata and imports.

Whoever wrote a results folder or a bundle chose the names in it. Before a name is used as a path,
this module checks that it is relative, has no ``..`` and no control characters, and lies inside
its folder after links are resolved.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError

LONGEST = 255
"""Longest path in bytes: the limit of a member's header in a bundle (tar, ustar)."""
HOSTILE = "do not use it, schedlab never writes this: ask its author for another one"
"""Remedy for content that schedlab cannot have written."""

_IMPORT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def name_problem(name: Any) -> str | None:
    """Return why a name is not acceptable as a path below a folder, or None if it is."""
    if not isinstance(name, str):
        return "is not text"
    if not name:
        return "has no name"
    if name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":"):
        return "has an absolute path"
    parts = name.split("/")
    if ".." in parts:
        return "leaves its folder (`..`)"
    if "" in parts or "." in parts:
        return "has an empty or `.` part in its path"
    if "\\" in name or any(unicodedata.category(letter).startswith("C") for letter in name):
        return "has a backslash or a control character in its path"
    if len(name.encode("utf-8", "surrogateescape")) > LONGEST:
        return f"has a path longer than {LONGEST} bytes"
    return None


def has_control(text: str) -> bool:
    """Tell whether a text contains control characters, which include line ends."""
    return any(unicodedata.category(letter) == "Cc" for letter in text)


def import_name(name: str) -> bool:
    """Tell whether an import may have this name, which becomes part of paths, ids and columns."""
    return len(name) <= LONGEST // 4 and _IMPORT.fullmatch(name) is not None


def inside(folder: Path, name: Any) -> Path:
    """Return the path, below `folder`, of a file that others named.

    Parameters
    ----------
    folder : pathlib.Path
        Folder in which the file must be.
    name : object
        Name of the file, as it was read.

    Raises
    ------
    SchedlabError
        The name is not valid, or leads out of the folder, possibly by a link.
    """
    problem = name_problem(name)
    path = folder / str(name) if problem is None else folder
    try:
        if problem is None and not path.resolve().is_relative_to(folder.resolve()):
            problem = "leads out of its folder by a link"
    except RuntimeError:
        problem = "leads round in a circle of links"
    if problem:
        raise SchedlabError(
            f"{folder}: the name {ascii(name)[:LONGEST]} {problem}",
            remedy=HOSTILE,
        )
    return path


def kind_of(mode: int) -> str:
    """Return what an entry of a folder is, with its article, by its mode (``st_mode``)."""
    return next((name for test, name in _KINDS if test(mode)), "something else")


def require_writable(path: Path, *, folder: bool = False) -> Path:
    """Check that a path may be written, and return it.

    Parameters
    ----------
    path : pathlib.Path
        Path that will be written. It must not exist, or be a file.
    folder : bool
        The path will be a folder: it must not exist, or be a folder.

    Raises
    ------
    SchedlabError
        The path is something else, for example a link, a device, a named pipe or a socket. These
        are never replaced or followed.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return path
    wanted = stat.S_ISDIR if folder else stat.S_ISREG
    if not wanted(mode):
        raise SchedlabError(
            f"{path} is {kind_of(mode)}: it is neither replaced nor followed",
            remedy=f"name a {'folder' if folder else 'file'} that does not exist yet",
        )
    return path


_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)
