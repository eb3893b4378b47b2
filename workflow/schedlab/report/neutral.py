"""Keep this machine's paths, and secrets, out of the report.

Records hold neither by design; this is the second lock. Paths are replaced, not whole lines, so
that what is shown stays readable.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_CHECKOUT = Path(__file__).resolve().parents[3]

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
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*-----", re.DOTALL)
_PASSWORD = re.compile(r"(?i)\b(passwd|password|token|secret)(\s*[=:]\s*)(['\"]?)[^\s'\"<>&]+\3")
_REDACTED = "[withheld]"


class Neutral:
    """Replaces machine paths and secrets in text, and in data made of text.

    Parameters
    ----------
    results : pathlib.Path
        The results folder; it becomes ``$RESULTS``.
    """

    def __init__(self, results: Path) -> None:
        known = {
            results.resolve().as_posix(): "$RESULTS",
            results.absolute().as_posix(): "$RESULTS",
            _CHECKOUT.as_posix(): "$CHECKOUT",
        }
        # Longest first: the results folder often lies in the checkout.
        self._known = [
            (re.compile(_BEFORE + re.escape(path) + _AFTER), name)
            for path, name in sorted(known.items(), key=lambda entry: -len(entry[0]))
            if len(path) > 1
        ]
        home = Path.home().as_posix()
        places = sorted({*_PLACES, *([home] if len(home) > 1 else [])}, key=len, reverse=True)
        self._places = re.compile(
            _BEFORE + "(?:" + "|".join(map(re.escape, places)) + ")" + _REST + _AFTER
        )

    def text(self, text: str) -> str:
        """Replace in a text."""
        for path, name in self._known:
            text = path.sub(name, text)
        text = self._places.sub(_shorten, text)
        text = _PRIVATE_KEY.sub(_REDACTED, text)
        return _PASSWORD.sub(rf"\1\2{_REDACTED}", text)

    def data(self, value: Any) -> Any:
        """Replace in every text of nested mappings and sequences, keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.data(key): self.data(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(entry) for entry in value]
        return value


def _shorten(match: re.Match[str]) -> str:
    name = (match["rest"] or "").rstrip("/").rpartition("/")[2]
    return f"[path]/{name}" if name else "[path]"
