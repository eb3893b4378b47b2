"""What a record says of its own making: the command that ran, the commit of the sources.

Neither names this machine: paths are relative to the checkout, and those outside it are left with
their last part.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from schedlab.outside.names import name_problem
from schedlab.paths import ACCELERATOR, SOURCES, STATE, TOOLCHAIN
from schedlab.results.digests import digest, file_digest


def command(root: Path) -> str | None:
    """Command line of the running subcommand; None outside of one.

    The results folder is left out: a record is the same wherever the results lie.
    """
    # Every record's reader would load it for nothing.
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
    """Write a path relative to the checkout; of one outside, only its name."""
    path = value.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def source(root: Path, results: Path | None = None) -> dict[str, Any] | None:
    """Commit of a checkout and what of its sources differs from it.

    Parameters
    ----------
    root : pathlib.Path
        The checkout.
    results : pathlib.Path, optional
        A results folder: it is no part of the sources wherever it lies.

    Returns
    -------
    dict or None
        `commit` (hexadecimal), `dirty`, and `diff`: the digest of the changed and new files'
        names and digests, None where nothing differs. None without git, or where `root` is not
        the top of a checkout.
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
    """Sources that differ from the commit, new ones too, relative to `root`; never results.

    Parameters
    ----------
    root : pathlib.Path
        The checkout.
    results : pathlib.Path, optional
        A results folder.
    others : iterable of str
        Further files of the checkout that the pipeline reads: traces that an experiment names.
    """
    read = [*SOURCES, *(name for name in others if name_problem(name) is None)]
    changed = _git(root, "diff", "--name-only", "--no-renames", "-z", "HEAD", "--", *read)
    added = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *read)
    new = [name for name in (added or "").split("\0") if name and not name.endswith("/")]
    names = {name for name in (changed or "").split("\0") if name} | set(new)
    # Another results folder among the sources is known by what only results have.
    folders = [root.resolve() / name for name in new if Path(name).name in _MARKS]
    skipped = {folder.parent for folder in folders} | ({results.resolve()} if results else set())
    return sorted(
        name
        for name in names
        if not any((root.resolve() / name).is_relative_to(folder) for folder in skipped)
    )


_MARKS = frozenset({STATE, TOOLCHAIN, ACCELERATOR})


def _git(root: Path, *arguments: str) -> str | None:
    """Output of git; None where it is not installed or refuses."""
    # A hook's environment may point to another repository.
    environment = {key: v for key, v in os.environ.items() if not key.startswith("GIT_")}
    # Names of files are names, not patterns.
    environment["GIT_LITERAL_PATHSPECS"] = "1"
    try:
        done = subprocess.run(
            # Jobs run as root in checkouts of other users.
            ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
