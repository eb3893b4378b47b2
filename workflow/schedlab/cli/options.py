"""Options that several subcommands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from schedlab.errors import SchedlabError, WrongFolder, WrongOutput
from schedlab.outside.output import require_place
from schedlab.paths import EXPERIMENTS, expanded
from schedlab.printing import LONGEST, word

if TYPE_CHECKING:
    from schedlab.config import Experiment


def given_path(text: Any, what: str) -> Path:
    """Return a path that the user named, with ``~`` and ``~user`` as the shell expands them.

    The shell itself leaves them in ``--output=~/x``, and where there is no such user.

    Parameters
    ----------
    text : str or pathlib.Path
        What the user wrote.
    what : str
        Option or argument, for messages.

    Raises
    ------
    SchedlabError
        When it is empty, is of a user who does not exist, is longer than file systems take, or
        has links that lead round in a circle.
    """
    if not str(text):
        raise SchedlabError(f"{what}: it has no value", remedy=f"write a name after {what}")
    return expanded(str(text), what)


def _what(param: click.Parameter | None) -> str:
    if isinstance(param, click.Argument):
        return param.metavar or str(param.name).upper()
    return param.opts[0] if param else "path"


class Given(click.Path):
    """A file or a folder that the user names; every path of the command line is one.

    Parameters
    ----------
    file_okay, dir_okay : bool
        Whether it may be a file, or a folder, if it exists.
    """

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, file_okay=file_okay, dir_okay=dir_okay)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; see `given_path`."""
        return super().convert(given_path(value, _what(param)), param, ctx)


class Folder(Given):
    """A folder, with messages like all others of schedlab and exit status 2.

    Parameters
    ----------
    exists : bool
        Refuse a folder that does not exist.
    """

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__()
        self._must_exist = exists

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises
        ------
        SchedlabError
            As `given_path`.
        WrongFolder
            It is not a folder, or does not exist and must.
        """
        path, option = super().convert(value, param, ctx), _what(param)
        if path.exists() and not path.is_dir():
            raise WrongFolder(f"{path}: not a folder", remedy=f"name a folder: {option} FOLDER")
        if self._must_exist and not path.exists():
            raise WrongFolder(
                f"{path}: no such folder", remedy=f"name one that exists: {option} FOLDER"
            )
        return path


class Output(Given):
    """A file that is written, which may be there already."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises
        ------
        SchedlabError
            As `given_path`.
        WrongOutput
            It is a folder, or nothing can be written there.
        """
        path, option = super().convert(value, param, ctx), _what(param)
        if path.is_dir():
            raise WrongOutput(f"{option} {path}: a folder", remedy=f"name a file: {option} FILE")
        require_place(path, option, "file")
        return path


class OutputFolder(Folder):
    """A folder into which files are written, which need not be there."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises
        ------
        SchedlabError
            As `given_path`.
        WrongFolder
            It is not a folder.
        WrongOutput
            Nothing can be written there.
        """
        path = super().convert(value, param, ctx)
        require_place(path, _what(param), "folder")
        return path


class _NotEmpty(click.Parameter):
    """A parameter that a variable may give: one that is empty is not the default in silence."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of the variable, or None without one.

        Raises
        ------
        SchedlabError
            When the variable is set, but empty, as by ``make disk RESULTS=``.
        """
        if os.environ.get(str(self.envvar)) == "":
            raise SchedlabError(
                f"{self.envvar}: it has no value",
                remedy=f"write a name after it, or leave it out: the default is {self.default}",
            )
        return super().resolve_envvar_value(ctx)


class FromEnvironment(_NotEmpty, click.Option):
    """An option that a variable may give, if the variable is not empty."""


class ArgumentFromEnvironment(_NotEmpty, click.Argument):
    """An argument that a variable may give, if the variable is not empty."""


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
    from schedlab.config.trials import MOST_TRIALS

    known: dict[str, Callable[[], list[str]]] = {
        "image": lambda: design.images(experiment),
        "machines": lambda: list(design.machines(experiment)),
        "cluster": lambda: [cluster.id for cluster in experiment.clusters()],
        "workload": lambda: [workload.name for workload in experiment.workloads],
        "nodes": experiment.machine_names,
    }
    for option, value in given.items():
        if option == "repetition":
            workload = experiment.workload(str(given["workload"]))
            # A bisection asks for more trials than the experiment. Steps of a search are planned.
            most = experiment.most(workload) if workload.steps > 1 else MOST_TRIALS
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
        cls=FromEnvironment,
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
        cls=FromEnvironment,
        type=Given(dir_okay=False),
        default="config/experiments.yaml",
        envvar="SCHEDLAB_EXPERIMENTS",
        show_default=True,
        help="File of the experiment.",
    )(with_results(function))


def named(option: str) -> bool:
    """Whether the user chose the value of an option, on the command line or by its variable."""
    context = click.get_current_context()
    return context.get_parameter_source(option) is not ParameterSource.DEFAULT


def existing(results: Path) -> Path:
    """Return a results folder that a command reads.

    Raises
    ------
    WrongFolder
        When there is no such folder, or it is none of results.
    """
    from schedlab.storage.marks import require_results

    how = "--results FOLDER"
    if not named("results"):
        how += ", or run an experiment first (`make report`)"
    return require_results(results, how)


def experiment_of(results: Path, experiments: Path) -> Path:
    """Return the file of the experiment that a command which reads results is about.

    It is the one that the user named. If none was named, it is the copy that a results folder has
    of its own experiment, where the user named that folder, or where the default is an experiment
    of another name; otherwise the default, which may have cells that the copy does not have yet.

    Raises
    ------
    SchedlabError
        When the folder's copy, or the default, cannot be read; also when something else than a
        file has the place of the copy, because another experiment would need none of the trials.
    """
    from schedlab.config import read_experiment

    own = results / EXPERIMENTS
    if named("experiments"):
        return experiments
    if os.path.lexists(own) and not own.is_file():
        raise SchedlabError(
            f"{own} is no file, so the experiment of these results is not known",
            remedy="name it with --experiments, or put the copy of the experiment back there",
        )
    if not own.is_file():
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
