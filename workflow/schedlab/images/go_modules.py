"""The modules that a Go program was built from, as its linker wrote them into it."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import NamedTuple

_MAGIC = b"\xff Go buildinf:"
_HEADER = 32
_ALIGNED = 16
_OLDER = b"\x01"
"""Largest flags of the older format, which has addresses in place of texts."""
_SENTINEL = 16


class GoModule(NamedTuple):
    """A module in a program."""

    path: str
    version: str


def linked_modules(program: Path) -> list[GoModule]:
    """Read the modules in a program, its main module and Go's standard library among them.

    The format is that of Go 1.18 and later: https://pkg.go.dev/debug/buildinfo, whose source
    describes it.

    Returns
    -------
    list of GoModule
        Sorted; empty for a file that is no such program.
    """
    with program.open("rb") as handle:
        if program.stat().st_size < _HEADER:
            return []
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            # The header is aligned; the same bytes may be elsewhere, in a program that reads it.
            start = data.find(_MAGIC)
            while start >= 0 and (start % _ALIGNED or not data[start + 15 : start + 16] > _OLDER):
                start = data.find(_MAGIC, start + 1)
            if start < 0:
                return []
            try:
                version, after = _text(data, start + _HEADER)
                info, _ = _text(data, after)
            except IndexError:
                return []
    return sorted(_modules(version.decode(errors="replace"), info))


def _modules(version: str, info: bytes) -> set[GoModule]:
    last = GoModule("stdlib", version.partition(" ")[0].removeprefix("go"))
    found = {last}
    # The text lies between two marks of 16 bytes.
    for line in info[_SENTINEL:-_SENTINEL].decode(errors="replace").splitlines():
        kind, *words = line.split("\t")
        if kind in {"mod", "dep", "=>"} and len(words) >= 2:
            if kind == "=>":
                # It replaces the module of the line before.
                found.discard(last)
            last = GoModule(words[0], words[1])
            found.add(last)
    return found


def _text(data: mmap.mmap, start: int) -> tuple[bytes, int]:
    """Read bytes with their length before them (a varint), and where they end."""
    length = shift = 0
    while True:
        byte = data[start]
        start += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return data[start : start + length], start + length
