"""Writes the log of a stage without secrets and without words that identify this machine.

The rules of the workflow pipe the output of a stage into it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from schedlab.locks import opened
from schedlab.outside.output import require_own_way
from schedlab.printing import NOTICES
from schedlab.privacy.identity import identity

_LONGEST = 1 << 16
"""Largest number of bytes of a line that are read at once."""


def keep(file: Path, *, show: bool = False, notices: bool = False) -> None:
    """Write the standard input to a file, line by line as it arrives.

    Signals do not end it, but only the end of its input: an interrupted stage still logs what it
    cleans up.

    Parameters
    ----------
    file : pathlib.Path
        The log.
    show : bool
        Write everything to the standard output too.
    notices : bool
        Write notices and warnings, with the indented lines below each, to the standard output
        too; if ``VERBOSE`` is set, everything.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    machine = identity()
    inside = notice = False
    show = show or (notices and bool(os.environ.get("VERBOSE")))
    require_own_way(file)
    # Written line by line, for people who watch the stage.
    handle = opened(file, os.O_WRONLY | os.O_CREAT)
    with os.fdopen(handle, "w", encoding="utf-8") as target:
        target.truncate()
        while line := sys.stdin.buffer.readline(_LONGEST):
            text = machine.text(line.decode("utf-8", "replace"))
            # Keys and certificates span several lines.
            ends = "-----END " in text
            inside = inside or "-----BEGIN " in text
            shown = "[withheld]\n" if inside else text
            inside = inside and not ends
            notice = shown.startswith(NOTICES) or (notice and shown.startswith(" "))
            for stream in (target, *([sys.stdout] if show or (notices and notice) else [])):
                stream.write(shown)
                stream.flush()
