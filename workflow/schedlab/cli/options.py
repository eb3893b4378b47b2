"""Options that several subcommands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click


def with_results(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--results``."""
    return click.option(
        "--results",
        type=click.Path(path_type=Path, file_okay=False),
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
