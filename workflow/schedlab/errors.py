"""What ends a command: a failure that users can act on, or a signal."""

from __future__ import annotations

import signal
from pathlib import Path


class SchedlabError(Exception):
    """A failure with everything a user needs to act on it.

    Parameters
    ----------
    message : str
        What went wrong, with the offending value.
    remedy : str, optional
        What to do about it.
    stage : str, optional
        The stage that failed, for example ``provision``.
    node : str, optional
        The guest on which it failed.
    log : str or pathlib.Path, optional
        Where the details are.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        stage: str | None = None,
        node: str | None = None,
        log: str | Path | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.stage = stage
        self.node = node
        self.log = log

    def __str__(self) -> str:
        """Render the message and every field that is known, one a line."""
        lines = [self.message]
        for name in ("stage", "node", "log", "remedy"):
            value = getattr(self, name)
            if value is not None:
                lines.append(f"  {name}: {value}")
        return "\n".join(lines)


class Interrupted(BaseException):
    """A signal asked the command to stop, or the workflow that started it died.

    Not an :class:`Exception`: no code that handles failures may take it for one and carry on.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.status = 128 + number
        """Exit status of the command, as shells have it: 130 after SIGINT, 143 after SIGTERM."""
