"""Replaces paths that belong to one machine or one user, in the same way on every machine.

The report is cleaned with :func:`without_places`. It does not depend on the machine on which it is
rendered, so that it has the same bytes everywhere.
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

# A slash after `<` closes an XML element. A slash after a letter or a dot is inside a longer path.
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
    """Replace secrets, and paths below folders that belong to one machine or one user.

    Parameters
    ----------
    value : str, or mappings and sequences of them
        Text to clean. Keys are cleaned too; values that are not text do not change.
    """
    return mapped(value, lambda text: withhold(_PLACE.sub(_shorten, text)))


def _shorten(match: re.Match[str]) -> str:
    name = (match["rest"] or "").rstrip("/").rpartition("/")[2]
    return f"[path]/{name}" if name else "[path]"
