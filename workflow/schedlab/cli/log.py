"""The end of a stage's pipe: its log, without secrets and without this machine's identity."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from schedlab.privacy.identity import identity

_LONGEST = 1 << 16
NOTICES = ("NOTICE: ", "WARNING: ")
"""How a line begins that a person should see while a run goes on."""


def keep(file: Path, *, show: bool = False, notices: bool = False) -> None:
    """Write the standard input to a file, line by line as it comes.

    It ends with its input and by nothing less: a stage that is interrupted says what it cleans up.

    Parameters
    ----------
    file : pathlib.Path
        The log.
    show : bool
        Write to the standard output too.
    notices : bool
        Write notices and warnings to the standard output, with the indented lines below each;
        everything where ``VERBOSE`` is set.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    machine = identity()
    inside = notice = False
    show = show or (notices and bool(os.environ.get("VERBOSE")))
    with file.open("w", encoding="utf-8") as target:
        while line := sys.stdin.buffer.readline(_LONGEST):
            text = machine.text(line.decode("utf-8", "replace"))
            # Keys and certificates have several lines.
            ends = "-----END " in text
            inside = inside or "-----BEGIN " in text
            shown = "[withheld]\n" if inside else text
            inside = inside and not ends
            notice = shown.startswith(NOTICES) or (notice and shown.startswith(" "))
            for stream in (target, *([sys.stdout] if show or (notices and notice) else [])):
                stream.write(shown)
                stream.flush()
