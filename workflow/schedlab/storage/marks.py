"""Signs that schedlab made a results folder, and whether anything works on it now."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from schedlab import locks, paths
from schedlab.errors import SchedlabError, WrongFolder
from schedlab.outside.json_text import read_bytes, read_json
from schedlab.outside.output import require_own_way, require_place
from schedlab.storage.usage import KINDS
from schedlab.testbed.supervisor import jobs_at_work

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
MARK = b"schedlab.lock/1\n"
"""What the lock of a run says. Other programs have files of this name too, most of them empty."""
_AT_WORK = "schedlab.lock"
"""File in Snakemake's folder that the runs of a checkout lock."""
_HEX = re.compile("[0-9a-f]+")
_SCHEMA = re.compile(r"schedlab\.[a-z]+/[0-9]+")
"""Schemas of what schedlab writes, of any release."""


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
    if not results.is_dir() or is_marked(results):
        return
    others = [
        path.name
        for path in sorted(results.iterdir())
        if path.name not in _ALLOWED
        and not (path.is_dir() and (is_marked(path) or _is_bare(path)))
        and not _is_bare_lock(path)
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


def _is_bare_lock(path: Path) -> bool:
    """Whether a file is the lock of a run that was killed before it wrote into it."""
    return path.name == paths.RUN_LOCK and is_plain_file(path) and not path.stat().st_size


def is_marked(folder: Path) -> bool:
    """Whether a folder holds something that only schedlab puts into its results.

    Names alone say nothing, for other programs have files of these names too.
    """
    named = (folder / name for name in (paths.TOOLCHAIN, paths.RUN_STATE, paths.STATE))
    return (
        _has_mark(folder)
        or any(_is_schedlabs(path) for path in named)
        or any(map(_is_schedlabs, (folder / paths.IMPORTED).glob(f"*/{paths.IMPORT}")))
        or any(
            is_marked(path)
            for path in (folder / paths.CONFORMANCE).glob("*/")
            if not path.is_symlink()
        )
    )


def _has_mark(folder: Path) -> bool:
    path = folder / paths.RUN_LOCK
    try:
        return is_plain_file(path) and read_bytes(path, len(MARK)) == MARK
    except (OSError, ValueError):
        return False


def _is_schedlabs(path: Path) -> bool:
    """Whether a file is JSON with a schema of schedlab's."""
    if not is_plain_file(path):
        return False
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return False
    schema = content.get("schema") if isinstance(content, dict) else None
    return isinstance(schema, str) and bool(_SCHEMA.fullmatch(schema))


def mark(results: Path) -> None:
    """Make a folder known as results, before anything else is written into it.

    Raises
    ------
    SchedlabError
        As `require_own`; or something else than a file has the place of the mark.
    """
    if _has_mark(results):
        return
    require_own(results)
    sign(results)


def sign(results: Path) -> None:
    """Put the mark into a folder; a file of that name that says something else stays."""
    require_place(results, "--results", "folder")
    results.mkdir(parents=True, exist_ok=True)
    handle = locks.opened(results / paths.RUN_LOCK)
    try:
        if not os.fstat(handle).st_size:
            os.pwrite(handle, MARK, 0)
    finally:
        os.close(handle)


def is_plain_file(path: Path) -> bool:
    """Whether there is a file, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def require_results(folder: Path, how: str = "--results FOLDER") -> Path:
    """Return a folder that a command reads, if it is one of results.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    how : str
        How the user names another one.

    Raises
    ------
    WrongFolder
        There is no such folder, or it holds nothing that says that schedlab made it, as an empty
        one. A run that has just begun has its lock there, before anything else.
    """
    if not folder.is_dir():
        wrong = "not a folder" if folder.exists() else "no such folder"
        raise WrongFolder(f"{folder}: {wrong}", remedy=f"name one that exists: {how}")
    begun = _is_bare_lock(folder / paths.RUN_LOCK)
    if not (begun or is_marked(folder) or _has_stages(folder)):
        if not any(folder.iterdir()):
            raise WrongFolder(
                f"{folder} has no results: it is empty",
                remedy=f"run an experiment into it first, or name a folder of results: {how}",
            )
        raise WrongFolder(
            f"{folder} is no folder of results: {no_marks()}, and nothing of a stage",
            remedy=f"name a folder of results: {how}",
        )
    return folder


def _has_stages(folder: Path) -> bool:
    """Whether a folder has places of trials, clusters or tables, as a copy of a part has them."""
    names = (
        paths.trial_folder("*", "*", "*"),
        paths.cluster_folder("*", "*"),
        f"{paths.TABLES}/trials.parquet",
        paths.RUN_STATE,
    )
    return any(next(folder.glob(name), None) is not None for name in names)


def no_marks() -> str:
    """Say what a folder lacks that schedlab did not make."""
    return (
        "it holds nothing that says that schedlab made it "
        f"({paths.RUN_LOCK}, {paths.STATE} or {paths.TOOLCHAIN} as schedlab writes them)"
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


def begin_run(results: Path) -> list[int]:
    """Mark a results folder, and take the locks of a run; return their descriptors.

    Raises
    ------
    SchedlabError
        Another run works on the folder; or as `mark` and `run_lock`.
    """
    mark(results)
    handle = run_lock(results)
    if handle is None:
        raise SchedlabError(
            f"another run works on {results}",
            remedy="wait until it ends, or end it; RESULTS=FOLDER names another folder",
        )
    shared = _checkout_lock(Path(paths.SNAKEMAKE), alone=False)
    assert shared is not None, "it waits"
    return [handle, shared]


def _checkout_lock(folder: Path, *, alone: bool) -> int | None:
    """Lock Snakemake's folder of a checkout; return the descriptor, or None if a run uses it.

    Parameters
    ----------
    folder : pathlib.Path
        Snakemake's folder.
    alone : bool
        For its removal. Otherwise for a run, which shares it with others and waits for a removal.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = locks.opened(folder / _AT_WORK)
        except FileNotFoundError:
            continue  # removed since it was made
        try:
            if not locks.lock(handle, wait=not alone, shared=not alone):
                os.close(handle)
                return None
            # Removed while this process waited, the file says nothing of the present folder.
            if locks.still_at(handle, folder / _AT_WORK):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextlib.contextmanager
def no_run_of_checkout(checkout: Path) -> Iterator[bool]:
    """Keep runs of a checkout from beginning; yield whether none is at work, on any results.

    Raises
    ------
    SchedlabError
        As `schedlab.locks.opened` and `schedlab.locks.lock`.
    """
    handle = _checkout_lock(checkout / paths.SNAKEMAKE, alone=True)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)


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
