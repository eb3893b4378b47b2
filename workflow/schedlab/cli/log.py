"""The end of a stage's pipe: its log, without secrets and without this machine's identity."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from schedlab.cli.output import echo
from schedlab.privacy.identity import identity

_LONGEST = 1 << 16


def keep(file: Path, *, show: bool = False) -> None:
    """Write the standard input to a file, line by line as it comes.

    It ends with its input and by nothing less: a stage that is interrupted says what it cleans up.

    Parameters
    ----------
    file : pathlib.Path
        The log.
    show : bool
        Write to the standard output too.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    machine = identity()
    inside = False
    with file.open("w", encoding="utf-8") as target:
        while line := sys.stdin.buffer.readline(_LONGEST):
            text = machine.text(line.decode("utf-8", "replace"))
            # Keys and certificates have several lines.
            ends = "-----END " in text
            inside = inside or "-----BEGIN " in text
            shown = "[withheld]\n" if inside else text
            inside = inside and not ends
            target.write(shown)
            target.flush()
            if show:
                echo(shown, nl=False)
