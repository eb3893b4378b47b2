"""When in the week the jobs of a trace were submitted, on the clock of its machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from schedlab.printing import brief
from schedlab.swf.file import header_lines

DAY = 86_400
_HOUR = 3600
_THURSDAY = 3 * DAY
"""The epoch's place in a week that begins on Monday, s."""
_KEYS = ("UnixStartTime", "TimeZoneString", "TimeZone", "StartTime")
_QUARTER = 900
"""What the offset of a time zone is a multiple of, s: other numbers are no seconds."""
_FURTHEST = 18 * _HOUR
"""Largest offset (s) of a time zone from UTC."""
_LAST = 253_000_000_000.0
"""Last instant of the calendar, s since the epoch, with some years to spare."""
_WRITTEN = re.compile(
    r"[A-Za-z]{3}\s+([A-Za-z]{3}\s+[0-9]{1,2}\s+[0-9]{2}:[0-9]{2}:[0-9]{2})\s+(?:\S+\s+)?([0-9]{4})"
)
"""A date as in the header's StartTime; its day of the week and time zone are left out."""


@dataclass(frozen=True)
class Clock:
    """How submissions become hours of a day and days of a week.

    Attributes
    ----------
    start : float
        The log's start: s since the epoch, or on the machine's own clock if there is no `zone`.
    zone : ZoneInfo or None
        Time zone of the machine, whose offset changes with the date.
    offset : float
        s to add to UTC, where there is no `zone`.
    local : bool
        Whether the hours are those of the machine's days.
    told : str
        What the hours are, in words.
    unread : str
        Lines of the header that could have told, and why they do not; empty if there are none.
    """

    start: float
    zone: ZoneInfo | None
    offset: float
    local: bool
    told: str
    unread: str = ""


def clock_of(trace: Path) -> Clock:
    """Read the clock of a trace's machine from its header.

    The instant is UnixStartTime's. Its local hour is told by TimeZoneString, a name of the IANA
    data; by TimeZone, in s, which the format's authors gave up because it knows no summer time; or
    by StartTime, the start in words. Without these it is UTC. Without the instant StartTime tells
    both, and without StartTime the log begins on a Thursday at 0 h.

    Raises
    ------
    SchedlabError
        When the file cannot be read, or is no trace.
    """
    unread: list[str] = []
    header = _header(trace, unread)
    start, offset = _number(header, "UnixStartTime", unread), _number(header, "TimeZone", unread)
    if start is not None and start > _LAST:
        unread.append(_unread(header, "UnixStartTime", "not in the calendar"))
        start = None
    if offset is not None and (abs(offset) > _FURTHEST or offset % _QUARTER):
        unread.append(_unread(header, "TimeZone", "no offset of a time zone from UTC, in s"))
        offset = None
    zone, written = _zone(header, unread), _written(header)
    why = "; ".join(unread)
    if start is not None and start > 0:
        if zone is not None:
            return Clock(start, zone, 0.0, True, f"time zone {zone.key}, of the log", why)
        if offset is not None:
            told = f"UTC {offset / _HOUR:+g} h, of the log, without summer time"
            return Clock(start, None, offset, True, told, why)
        if written is None:
            return Clock(start, None, 0.0, False, "UTC: the log names no time zone", why)
    if written is not None:
        told = "the log's clock at its start (StartTime), without summer time"
        return Clock(written, None, 0.0, True, told, why)
    told = "hours since the log's start, which counts as Thursday, 0 h"
    if zone is not None:
        told += f"; told in time zone {zone.key}"
    return Clock(0.0, None, 0.0, False, told, why)


def week_seconds(submit: npt.NDArray[np.float64], clock: Clock) -> npt.NDArray[np.float64]:
    """Submissions as s since Monday, 0 h.

    Parameters
    ----------
    submit : numpy.ndarray
        (jobs,), s since the log's start.
    clock : Clock
        Of the trace.
    """
    instants = submit + clock.start
    offset: npt.NDArray[np.float64] | float = clock.offset
    if clock.zone is not None:
        # Zones change their offset on the hour.
        hours, which = np.unique(np.floor(instants / _HOUR), return_inverse=True)
        offset = np.array([_shift(hour * _HOUR, clock.zone) for hour in hours.tolist()])[which]
    local: npt.NDArray[np.float64] = (instants + offset + _THURSDAY) % (7 * DAY)
    return local


def _shift(instant: float, zone: ZoneInfo) -> float:
    """Offset (s) of a zone at an instant; that of the calendar's end after it."""
    shift = datetime.fromtimestamp(min(instant, _LAST), zone).utcoffset()
    return shift.total_seconds() if shift is not None else 0.0


Header = Mapping[str, tuple[int, str]]


def _header(trace: Path, unread: list[str]) -> Header:
    """Line and value of each key; one with several values is left out."""
    found: dict[str, tuple[int, str]] = {}
    several = set()
    for line, key, value in header_lines(trace):
        before = found.setdefault(key, (line, value))
        if key in _KEYS and value != before[1] and key not in several:
            several.add(key)
            unread.append(f"line {line}: {key} = {brief(value)!r}, and another one before")
    return {key: entry for key, entry in found.items() if key not in several}


def _unread(header: Header, key: str, why: str) -> str:
    line, value = header[key]
    return f"line {line}: {key} = {brief(value)!r}: {why}"


def _number(header: Header, key: str, unread: list[str]) -> float | None:
    """First word of a value as a finite number; None where there is none."""
    words = header.get(key, (0, ""))[1].split()
    if not words:
        return None
    if re.fullmatch(r"[-+]?[0-9]{1,15}(\.[0-9]*)?", words[0]):
        return float(words[0])
    unread.append(_unread(header, key, "not a number"))
    return None


def _zone(header: Header, unread: list[str]) -> ZoneInfo | None:
    """Time zone that the header names; None where there is none of that name."""
    words = header.get("TimeZoneString", (0, ""))[1].split()
    if not words:
        return None
    try:
        return ZoneInfo(words[0].lstrip(":"))
    except (ValueError, OSError, ZoneInfoNotFoundError):
        unread.append(_unread(header, "TimeZoneString", "no time zone of the IANA data"))
        return None


def _written(header: Header) -> float | None:
    """StartTime as s since the epoch on the machine's own clock; None where it tells no date."""
    found = _WRITTEN.search(header.get("StartTime", (0, ""))[1])
    if not found:
        return None
    try:
        date = datetime.strptime(f"{found[1]} {found[2]} +0000", "%b %d %H:%M:%S %Y %z")
    except ValueError:
        return None
    return date.timestamp()
