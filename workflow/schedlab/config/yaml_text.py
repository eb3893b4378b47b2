"""Reads the text of an untrusted file: a regular file of bounded size, in UTF-8."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from schedlab.errors import SchedlabError
from schedlab.printing import brief

LARGEST = 2**20
"""Largest size of a file, bytes."""


def text_of(path: Path) -> str:
    """Return the text of a file, with newlines as line ends.

    Raises
    ------
    SchedlabError
        When the file cannot be read, is not a regular file, is too large, is not UTF-8, or holds
        characters that YAML does not allow.
    """
    name = brief(str(path), 1000)
    return _decoded(_content(path, name), name)


def _content(path: Path, name: str) -> bytes:
    """Bytes of a regular file, without waiting for a writer or reading a device."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "not a regular file"
            raise SchedlabError(f"{name}: is {what}", remedy="name an experiment file")
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise SchedlabError(
            f"{name}: no such file", remedy="name an experiment file; config/ has examples"
        ) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SchedlabError(
            f"{name}: cannot be read: {why}", remedy="name a file that you may read"
        ) from error
    if len(content) > LARGEST:
        raise SchedlabError(
            f"{name}: larger than {LARGEST // 2**20} MiB, too large for an experiment",
            remedy="name an experiment file; config/ has examples",
        )
    return content


_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
# Characters that YAML forbids, and those that only some programs read as the end of a line.
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def _decoded(content: bytes, name: str) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            raise SchedlabError(f"{name}:1: is {encoding}", remedy="save it as UTF-8")
    if b"\0" in content[:2]:
        raise SchedlabError(
            f"{name}:1: holds NUL characters: UTF-16, or not text", remedy="save it as UTF-8"
        )
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SchedlabError(
            f"{name}:{line}: byte 0x{content[error.start]:02x} is not UTF-8",
            remedy="save the file as UTF-8",
        ) from error
    found = _FORBIDDEN.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        start = text.rfind("\n", 0, found.start()) + 1
        words = brief(text[start : start + 200].partition("\n")[0].strip())
        raise SchedlabError(
            f"{name}:{line}: {words}: holds the control character U+{ord(found[0]):04X}",
            remedy="remove it",
        )
    return text
