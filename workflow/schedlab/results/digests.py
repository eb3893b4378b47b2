"""Digests of values and files: SHA-256 throughout."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path


def canonical(value: object) -> bytes:
    """Serialise to JSON that is equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(value: object) -> str:
    """SHA-256 (hexadecimal) of a value's canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hexadecimal) of a file's bytes."""
    if not path.is_file():
        # A named pipe would wait for a writer, a device never ends.
        raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
