"""Sets of host CPUs or NUMA nodes in the notation of Linux and libvirt: ``0,2-3``."""

from __future__ import annotations

from collections.abc import Iterable

from schedlab.errors import SchedlabError


def parse_cpuset(text: str) -> frozenset[int]:
    """Read a set such as ``0,2-3``.

    Parameters
    ----------
    text : str
        Comma-separated numbers and inclusive ranges; empty text is the empty set.

    Raises
    ------
    SchedlabError
        When `text` is not in that notation.
    """
    members: set[int] = set()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        first, dash, last = part.partition("-")
        try:
            low, high = int(first), int(last if dash else first)
        except ValueError:
            raise SchedlabError(f"not a set of CPUs: {text!r}", remedy="write 0,2-3") from None
        if high < low:
            raise SchedlabError(f"not a set of CPUs: {text!r} (range {part} runs backwards)")
        members.update(range(low, high + 1))
    return frozenset(members)


def format_cpuset(members: Iterable[int]) -> str:
    """Write a set in its shortest form, ranges of two included: ``0-1,3``."""
    ranges: list[list[int]] = []
    for member in sorted(set(members)):
        if ranges and member == ranges[-1][1] + 1:
            ranges[-1][1] = member
        else:
            ranges.append([member, member])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
