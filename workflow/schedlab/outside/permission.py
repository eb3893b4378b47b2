"""What a user can do about a file or a folder of another user."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_WRITE = "use a folder in which you may write, or run as a user who may write there"


def remedy(error: OSError) -> str | None:
    """Return what a user can do about a permission that is missing.

    The error does not say whether the file was to be read or to be written, so the file is looked
    at: one that may not be read has nothing to do with where this user may write.

    Parameters
    ----------
    error : OSError
        What a system call raised.

    Returns
    -------
    str or None
        None if the error has another cause.
    """
    if error.errno not in (errno.EACCES, errno.EPERM):
        return None
    path = error.filename
    if not isinstance(path, str | os.PathLike):
        return _WRITE
    try:
        Path(path).stat()
        closed = not os.access(path, os.R_OK)
    except PermissionError:
        closed = True
    except OSError:
        closed = False
    if not closed:
        return _WRITE
    return f"let this user read {os.fspath(path)}, or run as a user who may"
