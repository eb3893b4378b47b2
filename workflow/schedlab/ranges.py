"""Sets of numbers in the notation of Linux, libvirt and Slurm: ``0,2-3``."""

from __future__ import annotations

from ClusterShell.RangeSet import RangeSet, RangeSetException, RangeSetParseError


class _Bounded(RangeSet):
    """A set that refuses a huge range before it makes the members, and what is no plain range."""

    def __init__(self, text: str, most: int) -> None:
        self._most = most
        super().__init__(text)

    def add_range(self, start: int, stop: int, step: int = 1, pad: int = 0) -> None:
        """Add one range; ClusterShell calls this for every part of a text."""
        if start < 0 or step != 1:
            raise RangeSetParseError("", "not a plain range")
        if len(self) + stop - start > self._most:
            raise RangeSetParseError("", "too many members")
        super().add_range(start, stop, step, pad)


def parse_ranges(text: str, most: int) -> list[str]:
    """Read numbers and inclusive ranges with commas between them.

    Parameters
    ----------
    text : str
        May be a stranger's: a range is counted before its members are made.
    most : int
        How many members are allowed.

    Returns
    -------
    list of str
        The members in ascending order, with the leading zeros that they were written with.

    Raises
    ------
    ValueError
        When `text` is not in that notation or has more than `most` members.
    """
    try:
        return list(_Bounded(text, most).striter())
    except (RangeSetException, ValueError) as error:
        raise ValueError(f"not of the form 0,2-3, or more than {most} members") from error
