"""Options that several subcommands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from schedlab.errors import SchedlabError
from schedlab.paths import EXPERIMENTS, resolved
from schedlab.printing import LONGEST, word

if TYPE_CHECKING:
    from schedlab.config import Experiment


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
        resolved(path, option)
        if path.exists() and not path.is_dir():
            raise SchedlabError(f"{path}: not a folder", remedy=f"name a folder: {option} FOLDER")
        if self._must_exist and not path.exists():
            raise SchedlabError(
                f"{path}: no such folder", remedy=f"name one that exists: {option} FOLDER"
            )
        return super().convert(value, param, ctx)


class Output(click.Path):
    """A file that is written, which may be there already."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises
        ------
        SchedlabError
            When it is a folder, or below what is none.
        """
        path = Path(value)
        option = param.opts[0] if param else "file"
        resolved(path, option)
        above = next((one for one in path.parents if one.exists()), path.parent)
        what = "a folder" if path.is_dir() else f"{above} is no folder"
        if path.is_dir() or not above.is_dir():
            raise SchedlabError(f"{option} {path}: {what}", remedy=f"name a file: {option} FILE")
        return super().convert(value, param, ctx)


def known_or_refused(experiments: Path, experiment: Experiment, **given: str | int) -> None:
    """Refuse the first option that names what the experiment does not have, before anything runs.

    Parameters
    ----------
    experiments : pathlib.Path
        File of the experiment.
    experiment : Experiment
        The experiment.
    **given : str or int
        Values of the options `image`, `machines`, `cluster`, `workload`, `nodes`; and `repetition`,
        with `workload` before it.

    Raises
    ------
    SchedlabError
        It names the option, its value, and those that there are.
    """
    from schedlab import design

    known: dict[str, Callable[[], list[str]]] = {
        "image": lambda: design.images(experiment),
        "machines": lambda: list(design.machines(experiment)),
        "cluster": lambda: [cluster.id for cluster in experiment.clusters()],
        "workload": lambda: [workload.name for workload in experiment.workloads],
        "nodes": experiment.machine_names,
    }
    for option, value in given.items():
        if option == "repetition":
            most = experiment.most(experiment.workload(str(given["workload"])))
            if not 1 <= int(value) <= most:
                raise SchedlabError(
                    f"--repetition {value}: workload {given['workload']} of {experiments} has"
                    f" 1 to {most}",
                    remedy="use one of these",
                )
            continue
        names = known[option]()
        if value in names:
            continue
        left_out = [
            f" ({variant.name} is left out: {experiment.left_out[variant.name]})"
            for variant in experiment.schedulers
            if variant.name in experiment.left_out
            and str(value).startswith((variant.name, variant.adapter))
        ]
        raise SchedlabError(
            f"--{option} {word(value)[:LONGEST]}: not one of {experiments}{''.join(left_out[:1])}",
            remedy=f"use one of {', '.join(names)}",
        )


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


def named(option: str) -> bool:
    """Whether the user chose the value of an option, on the command line or by its variable."""
    context = click.get_current_context()
    return context.get_parameter_source(option) is not ParameterSource.DEFAULT


def existing(results: Path) -> Path:
    """Return a results folder that a command reads.

    Raises
    ------
    SchedlabError
        When there is no such folder.
    """
    if results.is_dir():
        return results
    remedy = "name one that exists: --results FOLDER"
    if not named("results"):
        remedy += ", or run an experiment first (`make report`)"
    raise SchedlabError(f"{results}: no such folder", remedy=remedy)


def experiment_of(results: Path, experiments: Path) -> Path:
    """Return the file of the experiment that a command which reads results is about.

    It is the one that the user named. If none was named, it is the copy that a results folder has
    of its own experiment, where the user named that folder, or where the default is an experiment
    of another name; otherwise the default, which may have cells that the copy does not have yet.

    Raises
    ------
    SchedlabError
        When the folder's copy, or the default, cannot be read.
    """
    from schedlab.config import read_experiment

    own = results / EXPERIMENTS
    if named("experiments") or not own.is_file():
        return experiments
    if named("results") or not experiments.is_file():
        return own
    other = read_experiment(own).name != read_experiment(experiments).name
    return own if other else experiments


def experiment_of_named(results: Path, experiments: Path) -> Path:
    """Return the file of the experiment that a command which runs or plans trials is about.

    It is the one that the user named, or the copy in a results folder that the user named. Where
    the user named neither, `snakemake` alone would run the default in the default folder.

    Raises
    ------
    SchedlabError
        As `experiment_of`.
    """
    return experiment_of(results, experiments) if named("results") else experiments
