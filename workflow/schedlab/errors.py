"""The one exception that users see."""

from __future__ import annotations

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
