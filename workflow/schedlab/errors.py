"""Exceptions that end a command: a failure that users can act on, or a signal."""

from __future__ import annotations

import signal
from pathlib import Path


class SchedlabError(Exception):
    """A failure, with everything that a user needs to act on it.

    Parameters
    ----------
    message : str
        What went wrong, with the value that caused it.
    remedy : str, optional
        What the user can do.
    stage : str, optional
        Stage that failed, for example ``provision``.
    node : str, optional
        Guest on which it failed.
    log : str or pathlib.Path, optional
        File with details.
    see : str, optional
        What to read, where `message` has several faults with a remedy each.

    Attributes
    ----------
    status : int
        Exit status of a command that ends with the error.
    """

    status = 1

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        stage: str | None = None,
        node: str | None = None,
        log: str | Path | None = None,
        see: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.stage = stage
        self.node = node
        self.log = log
        self.see = see

    def __str__(self) -> str:
        """Return the message, and each field that is known on a line of its own."""
        lines = [self.message]
        for name in ("stage", "node", "log", "remedy", "see"):
            value = getattr(self, name)
            if value is not None:
                lines.append(f"  {name}: {value}")
        return "\n".join(lines)


class WrongFolder(SchedlabError):
    """What a user named as a folder is none, or not of the kind that the command needs."""

    status = 2


class WrongOutput(SchedlabError):
    """Nothing can be written where a user wants something to be written."""

    status = 2


class Interrupted(BaseException):
    """A signal asked the command to stop, or the workflow that started it died.

    It is not an :class:`Exception`, so that code that handles failures does not catch it.

    Parameters
    ----------
    number : int
        Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.status = 128 + number
        """Exit status of the command, as in shells: 130 after SIGINT, 143 after SIGTERM."""
