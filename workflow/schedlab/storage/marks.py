"""Signs that schedlab made a results folder, and whether anything works on it now."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from schedlab import locks, paths
from schedlab.errors import SchedlabError
from schedlab.outside.json_text import read_json
from schedlab.testbed.supervisor import LOCK, jobs_at_work, scratch_root


def marks(folder: Path) -> list[str]:
    """Return what a folder holds that only schedlab puts into its results."""
    found = []
    lock = folder / paths.RUN_LOCK
    # The lock of a run is empty; a file of that name that says something is another program's.
    if is_plain_file(lock) and not lock.stat().st_size:
        found.append(paths.RUN_LOCK)
    for name, key in ((paths.STATE, "outputs"), (paths.TOOLCHAIN, "tools")):
        if is_plain_file(folder / name):
            try:
                content = read_json(folder / name)
            except (SchedlabError, ValueError):
                continue
            if isinstance(content, dict) and key in content:
                found.append(name)
    found += [f"scratch/{path.parent.name}" for path in scratch_root(folder).glob(f"*/{LOCK}")]
    imports = (folder / paths.IMPORTED).glob(f"*/{paths.IMPORT}")
    return found + [f"{paths.IMPORTED}/{path.parent.name}" for path in imports]


def is_plain_file(path: Path) -> bool:
    """Whether there is a file, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def no_marks() -> str:
    """Say what a folder lacks that schedlab did not make."""
    return (
        "it holds nothing that says that schedlab made it "
        f"({paths.RUN_LOCK}, {paths.STATE} or {paths.TOOLCHAIN})"
    )


@contextlib.contextmanager
def no_run(results: Path) -> Iterator[None]:
    """Keep runs away from a results folder for as long as something of it is being removed.

    Raises
    ------
    SchedlabError
        A run, or a job that was started without one, works on the folder.
    """
    remedy = "wait for it or end it"
    # A link named like the lock is not followed.
    handle = os.open(results / paths.RUN_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        if not locks.lock(handle, wait=False):
            raise SchedlabError(
                f"nothing of {results} is removed: a run works on it", remedy=remedy
            )
        if jobs := jobs_at_work(results):
            raise SchedlabError(
                f"nothing of {results} is removed: the job {jobs[0]} works on it", remedy=remedy
            )
        yield
    finally:
        os.close(handle)
