"""Sets of host CPUs or NUMA nodes in the notation of Linux and libvirt: ``0,2-3``."""

from __future__ import annotations

from collections.abc import Iterable

from ClusterShell.RangeSet import RangeSet

from schedlab.errors import SchedlabError
from schedlab.ranges import parse_ranges

MOST_CPUS = 16384
"""Largest number of CPUs that libvirt can name."""


def parse_cpuset(text: str) -> frozenset[int]:
    """Read a set such as ``0,2-3``.

    Parameters
    ----------
    text : str
        Comma-separated numbers and inclusive ranges; empty text is the empty set.

    Raises
    ------
    SchedlabError
        When `text` is not in that notation, or has more members than any host has CPUs.
    """
    if not text.strip():
        return frozenset()
    try:
        return frozenset(map(int, parse_ranges(text, MOST_CPUS)))
    except ValueError as error:
        raise SchedlabError(f"not a set of CPUs: {text[:80]!r}: {error}") from error


def format_cpuset(members: Iterable[int]) -> str:
    """Write a set in its shortest form, such as ``0-1,3``; two neighbours make a range."""
    numbers = RangeSet()
    numbers.update(map(str, members))
    return str(numbers)
