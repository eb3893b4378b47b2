"""JSON from outside: read with bounds on size, depth and numbers.

Python's own reader takes ``NaN``, numbers that no column can hold, and text that cannot be written
again; its callers then fail where nobody expects it.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

LARGEST = 64 << 20
"""Bytes of a file of JSON: records of tables with 100,000 trials have less."""
DEEPEST = 64
"""Lists and mappings within one another."""

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])')


def parse_json(text: str | bytes) -> Any:
    """Read JSON.

    Raises
    ------
    ValueError
        When it is none; deeper than `DEEPEST`; holds a number that is not finite or a whole one
        of more than 64 bits; or text that is no Unicode.
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
        # Halves of a pair of surrogates: such text can be written nowhere.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def read_json(path: Path, largest: int = LARGEST) -> Any:
    """Read a file of JSON; a device or a named pipe is never opened.

    Raises
    ------
    OSError
        When there is none, or it cannot be read.
    ValueError
        As `parse_json`; when it is no file or has more than `largest` bytes.
    """
    return parse_json(read_bytes(path, largest))


def read_bytes(path: Path, largest: int) -> bytes:
    """Content of a file of bounded size; a device or a named pipe is never opened.

    Raises
    ------
    OSError
        When there is none, or it cannot be read.
    ValueError
        When it is no file or has more than `largest` bytes.
    """
    # O_NONBLOCK: what became a named pipe in between must not hold up the reader.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as handle:
        found = os.fstat(handle.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a file")
        content = handle.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"it has more than {largest} bytes")
    return content


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
    raise ValueError(f"{name} is no number of JSON")


def _depth(text: str) -> int:
    depth = deepest = 0
    for match in _STRUCTURE.finditer(text):
        if match[1]:
            depth += 1
            deepest = max(deepest, depth)
        elif match[2]:
            depth -= 1
    return deepest
