"""When in the week the jobs of a trace were submitted, on the clock of its machine."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from schedlab.swf.file import header_lines

DAY = 86_400


def week_seconds(submit: npt.NDArray[np.float64], trace: Path) -> npt.NDArray[np.float64]:
    """Submissions as s since Monday, 0 h, in the log's time zone.

    The header's UnixStartTime and TimeZoneString tell; without the zone it is UTC, and without the
    start, or where it lies outside the calendar, the log begins on a Thursday at 0 h.

    Parameters
    ----------
    submit : numpy.ndarray
        (jobs,), s since the log's start.
    trace : pathlib.Path
        File, for its header.
    """
    header = {key: value for _, key, value in header_lines(trace)}
    try:
        instants = submit + max(float(header.get("UnixStartTime", "0")), 0.0)
        days, of_day = np.unique(np.floor(instants / DAY), return_inverse=True)
        zone = ZoneInfo(header.get("TimeZoneString", "UTC"))
        shifts = [datetime.fromtimestamp(day * DAY, zone).utcoffset() for day in days.tolist()]
        offset = np.array([shift.total_seconds() for shift in shifts if shift is not None])
    except (ValueError, OverflowError, OSError, ZoneInfoNotFoundError):
        instants, of_day, offset = submit, np.zeros(submit.size, dtype=int), np.zeros(1)
    # The epoch was a Thursday.
    local: npt.NDArray[np.float64] = (instants + offset[of_day] + 3 * DAY) % (7 * DAY)
    return local
