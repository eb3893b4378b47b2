"""Reads sets of numbers in the notation of Linux, libvirt and host lists: ``0,2-3``."""

from __future__ import annotations

from ClusterShell.RangeSet import RangeSet, RangeSetException, RangeSetParseError


class _LimitedRangeSet(RangeSet):
    """A set that refuses too large a range before it makes the members, and negative numbers."""

    def __init__(self, text: str, most: int) -> None:
        self._most = most
        super().__init__(text)

    def add_range(self, start: int, stop: int, step: int = 1, pad: int = 0) -> None:
        """Add one range. ClusterShell calls this for every part of a text."""
        if start < 0 or step != 1:
            raise RangeSetParseError("", "not a plain range")
        if len(self) + stop - start > self._most:
            raise RangeSetParseError("", "too many members")
        super().add_range(start, stop, step, pad)


def parse_ranges(text: str, most: int) -> list[str]:
    """Read numbers and inclusive ranges that are separated by commas.

    Parameters
    ----------
    text : str
        The text. It may come from others, so members are counted before they are made.
    most : int
        Largest number of members.

    Returns
    -------
    list of str
        Members in ascending order, with the leading zeros of the text.

    Raises
    ------
    ValueError
        `text` is not in this notation, or has more than `most` members.
    """
    try:
        return list(_LimitedRangeSet(text, most).striter())
    except (RangeSetException, ValueError) as error:
        raise ValueError(f"not of the form 0,2-3, or more than {most} members") from error
