"""Files and folders that only their owner may read, from the moment that they exist.

What is made under the process's umask and closed afterwards is open to others for a moment.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def write_secret(path: Path, content: bytes) -> Path:
    """Write a file of mode 0600 in place of what was there; return its path.

    A link at this path is replaced, not followed.
    """
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        # The umask may have taken the owner's rights.
        os.fchmod(handle, 0o600)
        file.write(content)
    return path


def copy_secret(source: Path, path: Path) -> Path:
    """Copy a file to one of mode 0600."""
    write_secret(path, b"")
    return Path(shutil.copyfile(source, path))


def secret_folder(path: Path) -> Path:
    """Make a folder of mode 0700; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    return path
