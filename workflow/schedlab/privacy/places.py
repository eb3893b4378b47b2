"""Folders that belong to one machine or one user, replaced on whatever machine.

The report passes through :func:`without_places`, so that it has the same bytes wherever it is
rendered; it knows nothing of the machine that it runs on.
"""

from __future__ import annotations

import re
from typing import Any

from schedlab.privacy.secrets import mapped, withhold

_PLACES = (
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/work",
    "/root",
    "/home",
    "/mnt",
    "/media",
    "/srv",
    "/scratch",
    "/run/user",
)
"""Folders that belong to one machine or one user."""

# A slash after `<` closes an XML element, one after a letter or a dot is inside a longer path.
_BEFORE, _AFTER = r"(?<![\w.$<~\]-])", r"(?![\w-])"
_REST = r"(?:/(?P<rest>[^\s\"'<>`,;:()\[\]{}]*))?"
_PLACE = re.compile(
    _BEFORE
    + "(?:"
    + "|".join(map(re.escape, sorted(_PLACES, key=len, reverse=True)))
    + ")"
    + _REST
    + _AFTER
)


def without_places(value: Any) -> Any:
    """Replace secrets, and paths below folders that belong to one machine, on whatever machine.

    Parameters
    ----------
    value : str, or mappings and sequences of them
        Keys are replaced too; anything but text stays.
    """
    return mapped(value, lambda text: withhold(_PLACE.sub(_shorten, text)))


def _shorten(match: re.Match[str]) -> str:
    name = (match["rest"] or "").rstrip("/").rpartition("/")[2]
    return f"[path]/{name}" if name else "[path]"
