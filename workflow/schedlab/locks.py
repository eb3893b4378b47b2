"""Locks that the kernel releases when their process ends, in whatever way (flock(2))."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil

from schedlab.errors import SchedlabError
from schedlab.printing import printable

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
        number = file if isinstance(file, int) else file.fileno()
        name = str(Path(f"/proc/self/fd/{number}").readlink())
        raise SchedlabError(
            f"{name} cannot be locked: {os.strerror(error.errno or 0)}",
            remedy="put the results and the cache (SCHEDLAB_CACHE) on a file system with flock(2), "
            "for example a local disk",
        ) from error
    return True


def still_at(file: IO[str] | int, path: Path) -> bool:
    """Whether an open file or folder still has its name.

    Who held its lock before may have removed it meanwhile, and then others lock a new one. Only who
    holds the lock may remove it.
    """
    number = file if isinstance(file, int) else file.fileno()
    try:
        return os.path.samestat(os.fstat(number), path.lstat())
    except FileNotFoundError:
        return False


def opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """Open a file that is locked or written in place, and return its descriptor.

    Others may have put something else in its place: a link, through which a file elsewhere would be
    made, or a pipe, which would wait for a reader. Neither is used.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    flags : int
        As for open(2).

    Raises
    ------
    SchedlabError
        There is something else than a file.
    """
    descriptor = -1
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
    raise SchedlabError(
        f"{path} is no file but a link, a folder, a pipe or the like, and is not used",
        remedy=f"find out who made {path}, and remove it",
    )


_NO_FILE = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO})
"""Errors of open(2) with O_NOFOLLOW: a link, a folder, a socket."""

MACHINE = Path("/tmp/schedlab.lock")  # noqa: S108 - of all users, so not below anybody's folder
"""File that every user of the machine can lock. Nothing is written to it."""


@contextlib.contextmanager
def machine(path: Path = MACHINE) -> Iterator[None]:
    """Use the machine alone: two clusters at a time would measure one another.

    Waits while another run has it, of whatever checkout, results or user, and says so.

    Parameters
    ----------
    path : pathlib.Path
        The file to lock.

    Raises
    ------
    SchedlabError
        As `lock`.
    """
    descriptor = _open(path)
    try:
        if not lock(descriptor, wait=False):
            print(
                f"NOTICE: waiting for the machine, where clusters run one at a time: "
                f"{_holder(descriptor)} uses it",
                flush=True,
            )
            lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open a file for every user; make it if there is none."""
    while True:
        # Not through a link, and without writing: anybody may make a file of this name there. And
        # the kernel lets nobody open what others made there with O_CREAT (fs.protected_regular).
        with contextlib.suppress(FileNotFoundError):
            return opened(path, os.O_RDONLY)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.fchmod(descriptor, 0o644)
            return descriptor


def _holder(descriptor: int) -> str:
    """Name the process that holds a lock, as far as the kernel tells (proc_locks(5))."""
    inode = str(os.fstat(descriptor).st_ino)
    with contextlib.suppress(OSError, psutil.Error, ValueError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if words[1:2] == ["FLOCK"] and words[5].rpartition(":")[2] == inode:
                process = psutil.Process(int(words[4]))
                command = printable(" ".join(shlex.join(process.cmdline()).split()))[:200]
                return f"process {process.pid} of {process.username()} ({command})"
    return "another run"
