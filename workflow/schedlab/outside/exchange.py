"""Exchanges two folders in one step, so that a process that is killed loses neither."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from schedlab.errors import SchedlabError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_LACKING = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV})


def exchange(new: Path, old: Path) -> None:
    """Let two folders of one file system take each other's place (renameat2(2)).

    Parameters
    ----------
    new, old : pathlib.Path
        The folders. Both must exist.

    Raises
    ------
    SchedlabError
        The file system cannot do it in one step.
    OSError
        As rename(2).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(new), os.fsencode(old)
    if not libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        return
    number = ctypes.get_errno()
    if number in _LACKING:
        raise SchedlabError(
            f"{old} is not replaced: its file system cannot exchange two folders in one step"
            f" ({os.strerror(number)})",
            remedy=f"remove {old}, and give the command again",
        )
    raise OSError(number, os.strerror(number), str(new), None, str(old))
