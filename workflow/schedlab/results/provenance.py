"""What a record says of its own making: the command that ran, the commit of the sources.

Neither names this machine: paths are relative to the checkout, and those outside it are left with
their last part.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from schedlab.results.digests import digest, file_digest

SOURCES = ("Snakefile", "workflow", "config", "envs", "profiles", "resources", "pyproject.toml")
"""Where a new, not yet committed file is part of the sources; results may lie anywhere else."""


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


def source(root: Path) -> dict[str, Any] | None:
    """Commit of a checkout and what differs from it.

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
    changed = _git(root, "diff", "--name-only", "--no-renames", "-z", "HEAD")
    added = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *SOURCES)
    names = sorted({name for text in (changed, added) for name in (text or "").split("\0") if name})
    state = {name: file_digest(root / name) if (root / name).is_file() else None for name in names}
    return {
        "commit": commit.strip(),
        "dirty": bool(state),
        "diff": digest(state) if state else None,
    }


def _git(root: Path, *arguments: str) -> str | None:
    """Output of git; None where it is not installed or refuses."""
    # A hook's environment may point to another repository.
    environment = {key: v for key, v in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            # Jobs run as root in checkouts of other users.
            ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
