"""Locks that the kernel releases when their process ends, in whatever way (flock(2))."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from schedlab.errors import SchedlabError

_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}


def lock(file: IO[str] | int, *, wait: bool = True, shared: bool = False) -> bool:
    """Lock an open file; return False if another process holds it and `wait` is false.

    Parameters
    ----------
    file : file or int
        The open file, or its descriptor. Closing it releases the lock.
    wait : bool
        Wait until nobody else holds it.
    shared : bool
        Others may hold it shared at the same time.

    Raises
    ------
    SchedlabError
        When the file system or the kernel has no such locks.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        name = getattr(file, "name", f"descriptor {file}")
        raise SchedlabError(
            f"{name} cannot be locked: {os.strerror(error.errno or 0)}",
            remedy="put the results and the cache (SCHEDLAB_CACHE) on a file system with flock(2), "
            "for example a local disk",
        ) from error
    return True


MACHINE = Path("/run/lock")
"""Folder for locks of the whole machine, for all of its users."""


@contextlib.contextmanager
def machine(who: str, folder: Path = MACHINE) -> Iterator[None]:
    """Use the machine alone: two clusters at a time would measure one another.

    Waits while another run has it, of whatever checkout, results or user, and says so.

    Parameters
    ----------
    who : str
        What uses the machine, for the message of those that wait.
    folder : pathlib.Path
        Where the lock's file is; the folder for temporary files if there is no such folder.
    """
    path = (folder if folder.is_dir() else Path(tempfile.gettempdir())) / "schedlab.lock"
    with _shared_file(path) as handle:
        if not lock(handle, wait=False):
            handle.seek(0)
            other = handle.read(200).split("\n", maxsplit=1)[0] or "another run"
            print(
                f"NOTICE: waiting for the machine: {other} uses it, and clusters run one at a time",
                flush=True,
            )
            lock(handle)
        with contextlib.suppress(OSError):
            handle.seek(0)
            handle.truncate()
            handle.write(f"{who} (process {os.getpid()}, user {os.geteuid()})\n")
            handle.flush()
        yield


def _shared_file(path: Path) -> IO[str]:
    """Open a file that every user of the machine may lock; make it if there is none."""
    while True:
        # Where everybody may make files, the kernel lets nobody open those of others with O_CREAT
        # (fs.protected_regular).
        with contextlib.suppress(FileNotFoundError):
            return path.open("r+")
        with contextlib.suppress(FileExistsError):
            handle = path.open("x+")
            path.chmod(0o666)
            return handle
