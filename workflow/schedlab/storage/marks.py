"""Signs that schedlab made a results folder, and whether anything works on it now."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from schedlab import locks, paths
from schedlab.errors import SchedlabError
from schedlab.outside.json_text import read_json
from schedlab.outside.output import require_own_way
from schedlab.storage.usage import KINDS
from schedlab.testbed.supervisor import LOCK, jobs_at_work, scratch_root

ENTRIES = frozenset(
    {
        *KINDS,
        paths.CONFORMANCE,
        paths.ACCELERATOR,
        paths.TOOLCHAIN,
        paths.EXPERIMENTS,
        paths.REPORT,
        paths.REPORT_RECORD,
        paths.BUNDLE,
        paths.RUN_LOCK,
        paths.RUN_STATE,
        paths.STATE,
        paths.IDENTITY,
    }
)
"""What schedlab writes into a results folder."""
_ALLOWED = frozenset({"lost+found", ".snapshot", ".DS_Store", ".gitignore", ".gitkeep"})
"""What may be in a results folder before the first run: file systems, desktops and Git need it."""


_HEX = re.compile("[0-9a-f]+")


def entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return what schedlab wrote into a results folder, and what is there beside it.

    The lock of a run is the last, so that the folder has a mark for as long as it has anything.
    """
    there = sorted(folder.iterdir(), key=lambda path: (path.name == paths.RUN_LOCK, path.name))
    own = [path for path in there if path.name in ENTRIES or _is_partial(path)]
    return own, [path for path in there if path not in own]


def _is_partial(path: Path) -> bool:
    """Whether a file was being written under another name when its process was killed."""
    name, _, end = path.name[1:].rpartition(".")
    # Not of an editor, which ends its own with letters (.swp).
    return path.name[0] == "." and name in ENTRIES - KINDS.keys() and bool(_HEX.fullmatch(end))


def require_own(results: Path) -> None:
    """Refuse a folder with files of others as results: a run writes there, and `clean` removes.

    Raises
    ------
    SchedlabError
        The folder is not empty, and holds nothing that says that schedlab made it; or the way to
        it leads over another user's link.
    """
    # The report is written last; what stands in its way is told before anything runs.
    require_own_way(results / paths.REPORT)
    if not results.is_dir() or marks(results):
        return
    others = [
        path.name
        for path in sorted(results.iterdir())
        if path.name not in _ALLOWED and not (path.is_dir() and (marks(path) or _is_bare(path)))
    ]
    if others:
        raise SchedlabError(
            f"the results folder {results} holds {others[0]}, and {no_marks()}",
            remedy="name a new or an empty folder: --config results=FOLDER, RESULTS=FOLDER with"
            " make; folders of schedlab's own results stay usable",
        )


def _is_bare(folder: Path) -> bool:
    """Whether a folder of schedlab's own is empty, as `imported` is without its last import."""
    return folder.name in ENTRIES and not any(folder.iterdir())


def marks(folder: Path) -> list[str]:
    """Return what a folder holds that only schedlab puts into its results."""
    found = []
    lock = folder / paths.RUN_LOCK
    # The lock of a run is empty; a file of that name that says something is another program's.
    if is_plain_file(lock) and not lock.stat().st_size:
        found.append(paths.RUN_LOCK)
    for name, key in _KEYS.items():
        if is_plain_file(folder / name):
            try:
                content = read_json(folder / name)
            except (SchedlabError, ValueError):
                continue
            if isinstance(content, dict) and key in content:
                found.append(name)
    found += [f"scratch/{path.parent.name}" for path in scratch_root(folder).glob(f"*/{LOCK}")]
    imports = (folder / paths.IMPORTED).glob(f"*/{paths.IMPORT}")
    found += [f"{paths.IMPORTED}/{path.parent.name}" for path in imports]
    checked = (folder / paths.CONFORMANCE).glob("*/")
    return found + [f"{paths.CONFORMANCE}/{path.name}" for path in checked if marks(path)]


_KEYS = {paths.STATE: "outputs", paths.TOOLCHAIN: "tools", paths.RUN_STATE: "at_work"}
"""Files of JSON by which a results folder is known, each with a key that it has."""


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


def run_lock(results: Path) -> int | None:
    """Take the lock of a run; return its descriptor, or None if a run has it.

    Raises
    ------
    SchedlabError
        As `schedlab.locks.opened` and `schedlab.locks.lock`.
    """
    handle = locks.opened(results / paths.RUN_LOCK)
    taken = False
    try:
        taken = locks.lock(handle, wait=False)
    finally:
        if not taken:
            os.close(handle)
    return handle if taken else None


@contextlib.contextmanager
def no_run(results: Path) -> Iterator[None]:
    """Keep runs away from a results folder for as long as something of it is being removed.

    Raises
    ------
    SchedlabError
        A run, or a job that was started without one, works on the folder.
    """
    remedy = "wait for it or end it"
    handle = run_lock(results)
    if handle is None:
        raise SchedlabError(f"nothing of {results} is removed: a run works on it", remedy=remedy)
    try:
        if jobs := jobs_at_work(results):
            raise SchedlabError(
                f"nothing of {results} is removed: the job {jobs[0]} works on it", remedy=remedy
            )
        yield
    finally:
        os.close(handle)
