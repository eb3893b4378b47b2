"""The provenance of a record: the command that ran, and the commit of the sources.

Neither identifies this machine. Paths are relative to the checkout, and a path outside the checkout
is reduced to its last part.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from schedlab import processes
from schedlab.outside.names import name_problem
from schedlab.paths import ACCELERATOR, SOURCES, STATE, TOOLCHAIN
from schedlab.results.digests import digest, file_digest


def command(root: Path) -> str | None:
    """Return the command line of the running subcommand, or None if none is running.

    The results folder is left out, so that a record does not depend on it.

    Parameters
    ----------
    root : pathlib.Path
        The checkout.
    """
    # Imported here, because every reader of records imports this module.
    import click

    context = click.get_current_context(silent=True)
    if context is None or context.parent is None:
        return None
    words = ["schedlab", str(context.info_name)]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if parameter.name == "results" or value is None or value is False or value == ():
            continue
        if isinstance(parameter, click.Option):
            words.append(parameter.opts[0])
        if value is not True:
            words += [
                portable(v, root) if isinstance(v, Path) else str(v)
                for v in (value if isinstance(value, tuple) else (value,))
            ]
    return shlex.join(words)


def portable(value: Path, root: Path) -> str:
    """Return a path relative to the checkout, or only its last part if it lies outside."""
    path = value.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def source(root: Path, results: Path | None = None) -> dict[str, Any] | None:
    """Return the commit of a checkout, and a digest of the changes since.

    Parameters
    ----------
    root : pathlib.Path
        The checkout.
    results : pathlib.Path, optional
        A results folder, which is not part of the sources even if it lies among them.

    Returns
    -------
    dict or None
        `commit` (hexadecimal); `dirty`; and `diff`, a digest of the names and digests of changed
        and new files (None if nothing changed). None without git, or if `root` is not the top
        of a checkout.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if top is None or commit is None or Path(top.strip()).resolve() != root.resolve():
        return None
    names = changed_sources(root, results)
    state = {name: file_digest(root / name) if (root / name).is_file() else None for name in names}
    return {
        "commit": commit.strip(),
        "dirty": bool(state),
        "diff": digest(state) if state else None,
    }


def changed_sources(
    root: Path, results: Path | None = None, others: Iterable[str] = ()
) -> list[str]:
    """Return the sources that are changed or new since the commit, relative to `root`, sorted.

    Parameters
    ----------
    root : pathlib.Path
        The checkout.
    results : pathlib.Path, optional
        A results folder. Its files are left out.
    others : iterable of str
        Further files of the checkout that the pipeline reads: traces that an experiment names.
    """
    read = [*SOURCES, *(name for name in others if name_problem(name) is None)]
    changed = _git(root, "diff", "--name-only", "--no-renames", "-z", "HEAD", "--", *read)
    added = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *read)
    new = [name for name in (added or "").split("\0") if name and not name.endswith("/")]
    names = {name for name in (changed or "").split("\0") if name} | set(new)
    # Other results folders among the sources are recognised by files that only they have.
    folders = [root.resolve() / name for name in new if Path(name).name in _MARKS]
    skipped = {folder.parent for folder in folders} | ({results.resolve()} if results else set())
    return sorted(
        name
        for name in names
        if not any((root.resolve() / name).is_relative_to(folder) for folder in skipped)
    )


def committed_digest(root: Path, commit: str, name: str) -> str | None:
    """SHA-256 digest of a file as it is in a commit; None where git or the checkout lacks it.

    Parameters
    ----------
    root : pathlib.Path
        The checkout, which must be the user's own: git obeys the settings that it has.
    commit : str
        The commit, hexadecimal; it may be a stranger's.
    name : str
        Path of the file, relative to `root`.
    """
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit):
        return None
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top.strip()).resolve() != root.resolve():
        return None
    done = processes.run(
        [*git(root), "-C", str(root), "cat-file", "blob", f"{commit}:{name}"],
        # A clone that lacks parts of its history must not fetch what a stranger's record names.
        added={"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"},
        capture_output=True,
    )
    return hashlib.sha256(done.stdout).hexdigest() if done.returncode == 0 else None


_MARKS = frozenset({STATE, TOOLCHAIN, ACCELERATOR})


def git(root: Path) -> list[str]:
    """Beginning of a command line of Git for a checkout.

    Only the checkout decides which of its files are ignored, and how they are read, not a list of
    the user's.
    """
    # Git refuses a folder that another user owns. Who runs schedlab trusts it already, and jobs run
    # as root.
    trusted = f"safe.directory={root.resolve()}"
    own = [f"core.{name}={os.devnull}" for name in ("excludesFile", "attributesFile")]
    return ["git", *(word for setting in (trusted, *own) for word in ("-c", setting))]


def _git(root: Path, *arguments: str) -> str | None:
    """Return the output of git, or None if git is not installed or fails."""
    try:
        done = processes.run(
            [*git(root), "-C", str(root), *arguments],
            # Git must not read the names of files as patterns.
            added={"GIT_LITERAL_PATHSPECS": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
