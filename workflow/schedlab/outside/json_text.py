"""Reads JSON from outside, with limits on size, depth and numbers.

Python's own reader accepts ``NaN``, numbers that no column can hold, and text that cannot
be encoded. The caller would then fail at a later place.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

LARGEST = 64 << 20
"""Largest size of a JSON file in bytes. The record of tables with 100,000 trials is smaller."""
DEEPEST = 64
"""Largest depth of lists and mappings within one another."""

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])')


def parse_json(text: str | bytes) -> Any:
    """Read JSON.

    Raises
    ------
    ValueError
        The text is not JSON; is deeper than `DEEPEST`; or contains a number that is not finite, a
        whole number of more than 64 bits, or text that is not valid Unicode.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(f"it is deeper than {DEEPEST} levels") from None
    if text.count("[") + text.count("{") > DEEPEST and _depth(text) > DEEPEST:
        raise ValueError(f"it is deeper than {DEEPEST} levels")
    if "\\ud" in text or "\\uD" in text:
        # Half of a pair of surrogates cannot be encoded. This raises a ValueError for it.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def read_json(path: Path, largest: int = LARGEST) -> Any:
    """Read a JSON file. A device or a named pipe is refused.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    largest : int
        Largest size in bytes.

    Raises
    ------
    OSError
        The file does not exist or cannot be read.
    ValueError
        As `parse_json`; or the path is not a file, or the file has more than `largest` bytes.
    """
    return parse_json(read_bytes(path, largest))


def read_bytes(path: Path, largest: int) -> bytes:
    """Return the content of a file. A device or a named pipe is refused.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    largest : int
        Largest size in bytes.

    Raises
    ------
    OSError
        The file does not exist or cannot be read.
    ValueError
        The path is not a file, or the file has more than `largest` bytes.
    """
    with open_file(path) as handle:
        content = handle.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"it has more than {largest} bytes")
    return content


def open_file(path: Path) -> BinaryIO:
    """Open a file of others for reading. A device or a named pipe is refused.

    Raises
    ------
    OSError
        The file does not exist or cannot be read.
    ValueError
        The path is not a file.
    """
    # O_NONBLOCK, because opening a named pipe would otherwise wait for a writer.
    handle = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        return handle
    handle.close()
    raise ValueError("it is not a file")


def _whole(digits: str) -> int:
    number = int(digits) if len(digits) <= 20 else 1 << 64
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError("a whole number has more than 64 bits")
    return number


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _depth(text: str) -> int:
    depth = deepest = 0
    for match in _STRUCTURE.finditer(text):
        if match[1]:
            depth += 1
            deepest = max(deepest, depth)
        elif match[2]:
            depth -= 1
    return deepest
