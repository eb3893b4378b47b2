"""Host lists in schedulers' records: ``compute[1-3,7],head``."""

from __future__ import annotations

import re

from schedlab.errors import SchedlabError
from schedlab.ranges import parse_ranges

MOST_NODES = 10_000
"""Most names in a host list: far more than the nodes of a cluster (`nodes` of the experiment)."""
_LONGEST_NAME = 255  # of a host


def expand_host_list(text: str) -> list[str]:
    """Names in a host list, in which runs of numbers stand in brackets.

    Parameters
    ----------
    text : str
        For example ``compute[1-3,7],head`` or ``n[08-10]``; ``(null)`` and the like are empty.

    Returns
    -------
    list of str
        In the order of the list; those of a bracket in ascending order, as they are written.

    Raises
    ------
    SchedlabError
        When `text` is no host list, or has more than `MOST_NODES` names: a record of a stranger
        must not fill the memory.
    """
    if not text or text.startswith("("):
        return []
    try:
        return _expanded(text)
    except ValueError as error:
        shown = text if len(text) <= 80 else f"{text[:80]}..."
        raise SchedlabError(
            f"the records hold {shown!r}, which is no host list: {error}",
            remedy="the records were damaged or changed: run the trial again,"
            " or get the bundle again from whom you have it",
        ) from error


def _expanded(text: str) -> list[str]:
    names: list[str] = []
    begun = [""]  # what stands so far of the names of one part
    for number, piece in enumerate(re.split(r"\[([^\[\]]*)\]", text)):
        if number % 2:
            room = max(0, MOST_NODES - len(names)) // len(begun)
            ends = parse_ranges(piece, room)
            begun = [start + end for start in begun for end in ends]
            continue
        if "[" in piece or "]" in piece:
            raise ValueError("a bracket is not closed or not opened")
        first, *others = piece.split(",")
        # Before it is copied to each name.
        if len(begun[0]) + len(first) > _LONGEST_NAME:
            raise ValueError(f"a name is longer than {_LONGEST_NAME} characters")
        begun = [start + first for start in begun]
        for other in others:
            names += begun
            begun = [other]
    names += begun
    if len(names) > MOST_NODES:
        raise ValueError(f"it has more than {MOST_NODES} names")
    if not all(names):
        raise ValueError("a name is empty")
    return names


def hosts_of(text: str) -> list[str]:
    """Names in a host list; none of one that cannot be read, as where it names too many."""
    try:
        return expand_host_list(text)
    except (SchedlabError, ValueError):
        return []
