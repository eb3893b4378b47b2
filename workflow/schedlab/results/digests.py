"""SHA-256 digests of values and files."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path


def canonical(value: object) -> bytes:
    """Return a value as JSON. Equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(value: object) -> str:
    """Return the SHA-256 (hexadecimal) of a value's canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 (hexadecimal) of a file's bytes.

    Raises
    ------
    FileNotFoundError
        The path is not a file.
    """
    if not path.is_file():
        # Reading a named pipe waits for a writer, and reading a device never ends.
        raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
