"""Temporary folders that do not outlive their command, however it ends.

A command that is stopped by a signal removes its own. One that was killed (SIGKILL) cannot; the
next command that makes such a folder finds that nobody holds its lock, and removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a folder of one's own, and remove it at the end.

    Parameters
    ----------
    prefix : str
        Of its name; abandoned folders of the same user with this prefix are removed first.
    parent : pathlib.Path, optional
        Where it is made; default: the folder for temporary files (``TMPDIR``).
    """
    above = parent or Path(tempfile.gettempdir())
    _remove_abandoned(above, prefix)
    folder, lock = _locked(above, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(above: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder and lock it; make another where someone took it for abandoned in between."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=above))
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            # A file system without locks: others do not find the folder abandoned either.
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.stat().st_ino == os.fstat(lock).st_ino:
                return folder, lock
        except FileNotFoundError:
            pass
        os.close(lock)


def _remove_abandoned(above: Path, prefix: str) -> None:
    for folder in sorted(above.glob(f"{_literal(prefix)}*")):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.geteuid():
                continue
            # A link is not followed: only what `temporary_folder` makes is removed.
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _literal(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


@contextmanager
def removed_on_signals() -> Iterator[None]:
    """Let signals that end the process at once end it like an exception, so that it cleans up.

    For commands without child processes; stages have the supervisor's own way.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
