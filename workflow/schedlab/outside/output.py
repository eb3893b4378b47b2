"""Writes files into folders that others may have made or may write to.

Such a folder can hold a link, a named pipe or a device where a file is to be. A writer that opens
it by name changes a file elsewhere, or waits for ever; one that replaces /dev/stdout breaks the
machine.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from schedlab.errors import SchedlabError, WrongOutput
from schedlab.outside import permission
from schedlab.outside.names import require_writable


@contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file, which takes the place of the file of its name when the context ends.

    Readers see the whole old file or the whole new one. After an exception the old one stays. The
    folder is made where there is none.

    Parameters
    ----------
    path : pathlib.Path
        File to write. A link, a named pipe or a device of that name is neither replaced nor
        followed.

    Raises
    ------
    SchedlabError
        Something that is no file has that name, or the way to it leads over another user's link.
    OSError
        The file cannot be written; the error names it.
    """
    require_own_way(path)
    partial = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        with os.fdopen(handle, "wb") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        # A full disk is told without a name.
        if error.filename is None:
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_output(path: Path, text: str) -> None:
    """Write a text (UTF-8) as a whole; see `output_file`."""
    with output_file(path) as file:
        file.write(text.encode("utf-8"))


def copy_output(source: Path, path: Path) -> None:
    """Copy a file of this user's as a whole; see `output_file`."""
    with source.open("rb") as content, output_file(path) as file:
        shutil.copyfileobj(content, file)


def require_place(path: Path, option: str, kind: str) -> None:
    """Refuse a place in which nothing can be written, before anything is made for it.

    Only an attempt shows it: root may write everywhere by the permissions, but not to /proc.

    Parameters
    ----------
    path : pathlib.Path
        File or folder that will be written. It need not exist.
    option : str
        How the user named it.
    kind : {"file", "folder"}
        What it will be.

    Raises
    ------
    WrongOutput
        Nothing can be written there; the message has the option, the path and the reason.
    """
    remedy = f"name a {kind} in a place where files can be written: {option} {kind.upper()}"
    folder = path if kind == "folder" else path.parent
    try:
        above = next(one for one in (folder, *folder.absolute().parents) if os.path.lexists(one))
        if not above.is_dir():
            found = "a link that leads nowhere" if above.is_symlink() else "no folder"
            raise WrongOutput(f"{option} {path}: {above} is {found}", remedy=remedy)
        _try(above)
    except OSError as error:
        raise WrongOutput(
            f"{option} {path}: nothing can be written in {above}: {error.strerror}",
            remedy=permission.remedy(error) or remedy,
        ) from error


def _try(folder: Path) -> None:
    """Make a file in a folder and remove it, without a name where the file system can do so."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600))
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}:
            raise
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".schedlab-"):
            pass


def require_own_way(path: Path) -> None:
    """Refuse what is no file, and a way over a link that another user made.

    Links of this user and of root are theirs to set: results may be kept on another disk.
    """
    require_writable(path)
    for folder in path.parents:
        try:
            found = folder.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode) and found.st_uid not in {0, os.geteuid()}:
            raise SchedlabError(
                f"{path} is not written: {folder} is a link that another user made",
                remedy="use a results folder of your own: --results FOLDER",
            )
