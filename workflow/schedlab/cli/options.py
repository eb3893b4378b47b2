"""Options that several subcommands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from schedlab.errors import SchedlabError


class Folder(click.Path):
    """A folder, with messages like all others of schedlab.

    Parameters
    ----------
    exists : bool
        Refuse a folder that does not exist.
    """

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(path_type=Path)
        self._must_exist = exists

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises
        ------
        SchedlabError
            When it is not a folder, or does not exist and must.
        """
        path = Path(value)
        option = param.opts[0] if param else "folder"
        if path.exists() and not path.is_dir():
            raise SchedlabError(f"{path}: not a folder", remedy=f"name a folder: {option} FOLDER")
        if self._must_exist and not path.exists():
            raise SchedlabError(
                f"{path}: no such folder", remedy=f"name one that exists: {option} FOLDER"
            )
        return super().convert(value, param, ctx)


def with_results(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--results``."""
    return click.option(
        "--results",
        type=Folder(),
        default="results",
        envvar="SCHEDLAB_RESULTS",
        show_default=True,
        help="Results folder.",
    )(function)


def with_paths(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--results`` and ``--experiments``."""
    return click.option(
        "--experiments",
        type=click.Path(path_type=Path, dir_okay=False),
        default="config/experiments.yaml",
        envvar="SCHEDLAB_EXPERIMENTS",
        show_default=True,
        help="Configuration of the sweep.",
    )(with_results(function))
