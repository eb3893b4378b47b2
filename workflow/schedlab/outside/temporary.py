"""Temporary folders that are removed however their command ends.

A command that a signal stops removes its folders. A command that is killed (SIGKILL) cannot do so.
The next command that makes such a folder finds that no process locks the old one, and removes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from schedlab import locks
from schedlab.errors import SchedlabError

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a temporary folder, and remove it at the end of the context.

    Parameters
    ----------
    prefix : str
        Beginning of its name. Abandoned folders of the same user with this prefix are removed.
    parent : pathlib.Path, optional
        Folder in which it is made. The default is the folder for temporary files (``TMPDIR``).
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
    """Make a folder and lock it.

    Before it is locked, another command may take it for abandoned and remove it. Then make another.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=above))
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        # On a file system without locks no command can lock, and so remove, the folder.
        with contextlib.suppress(SchedlabError):
            locks.lock(lock)
        if locks.still_at(lock, folder):
            return folder, lock
        os.close(lock)


def _remove_abandoned(above: Path, prefix: str) -> None:
    for folder in sorted(above.glob(f"{_literal(prefix)}*")):
        with contextlib.suppress(OSError, SchedlabError):
            found = folder.lstat()
            if found.st_uid != os.geteuid():
                continue
            # A link is not followed, because `temporary_folder` makes only folders.
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if locks.lock(lock, wait=False):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _literal(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


@contextmanager
def removed_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the process like an exception, so that it cleans up.

    This is for commands without child processes. The supervisor does the same for stages.
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
