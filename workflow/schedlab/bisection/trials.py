"""Runs the trials that a search asks for, and reads them. What ran before does not run again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from schedlab import processes
from schedlab.config import Experiment
from schedlab.config.variants import VIRTUAL
from schedlab.errors import SchedlabError
from schedlab.invocation import quoted
from schedlab.paths import CHECKOUT, trial_folder, trial_record
from schedlab.printing import some
from schedlab.results.records import is_stopped
from schedlab.tables.kept import kept_trial

Run = Callable[[Sequence[str]], None]
"""Brings files below the results folder up to date."""


@dataclass(frozen=True)
class Trials:
    """Trials of one workload and one number of nodes, of any variant.

    Attributes
    ----------
    results : pathlib.Path
        The results folder.
    workload : str
        Name of the workload.
    nodes : int
        Compute nodes.
    run : callable
        Brings the trials' records up to date.
    """

    results: Path
    workload: str
    nodes: int
    run: Run

    def measure(self, variants: Sequence[str], repetitions: range) -> pd.DataFrame:
        """Run trials where they are missing or stale, and return their rows.

        Parameters
        ----------
        variants : sequence of str
            Names of the variants' series.
        repetitions : range
            Repetitions of each.
        """
        keys = [
            (f"{variant}-n{self.nodes}", self.workload, repetition)
            for variant in variants
            for repetition in repetitions
        ]
        self.run([trial_record(*key) for key in keys])
        # The stop rule of the experiment may have spared some.
        ran = [key for key in keys if not is_stopped(self.results / trial_record(*key))]
        return pd.DataFrame(
            [kept_trial(self.results / trial_folder(*key)).trial for key in ran],
            columns=None if ran else ["scheduler", "valid"],
        )


def snakemake(experiments: Path, results: Path, cores: int) -> Run:
    """Return a function that brings files up to date with Snakemake.

    Raises
    ------
    SchedlabError
        From the function: when the run fails.
    """
    # As in the user's own runs, where the folder is usually named from the checkout.
    places = {"experiments": _from_checkout(experiments), "results": _from_checkout(results)}

    def run(names: Sequence[str]) -> None:
        chosen = [f"{key}={quoted(str(path))}" for key, path in places.items()]
        targets = [f"{places['results']}/{name}" for name in names]
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores)]
        status = _to_its_end([*command, "--config", *chosen, "--", *targets])
        if status:
            raise SchedlabError(
                f"the trials did not all run: snakemake ended with status {status}",
                remedy="see its messages above; the same command goes on where this one ended",
            )

    return run


def _from_checkout(path: Path) -> Path:
    """Return a path relative to the checkout if it is inside, else an absolute one."""
    whole = path.absolute()
    return whole.relative_to(CHECKOUT) if whole.is_relative_to(CHECKOUT) else whole


def _to_its_end(command: list[str]) -> int:
    """Run a program that cleans up when it is interrupted, and always wait for its end."""
    process = processes.start(command, cwd=CHECKOUT)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # A terminal sends Ctrl-C to both.
        process.wait()
        raise
    except BaseException:
        process.terminate()
        process.wait()
        raise


def between(experiment: Experiment, good: str, bad: str) -> list[str]:
    """Return the variants of an experiment from a good one to a bad one, in their order.

    Raises
    ------
    SchedlabError
        When there is no such variant, or the bad one does not come later.
    """
    names = [one.name for one in experiment.variants()]
    unknown = [name for name in (good, bad) if name not in names]
    if unknown:
        raise SchedlabError(
            f"{experiment.name} has no variant {some(unknown, 2)}",
            remedy=f"use two of {', '.join(names)}",
        )
    if good == bad:
        raise SchedlabError(
            f"{good} is named as the good variant and as the bad one",
            remedy=f"use two of {', '.join(names)}",
        )
    first, last = names.index(good), names.index(bad)
    if first > last:
        raise SchedlabError(
            f"{bad} does not come after {good} in the list of schedulers",
            remedy="list the variants from the good to the bad one (schedulers of the experiment)",
        )
    return names[first : last + 1]


def series(experiment: Experiment, variants: Sequence[str], nodes: int) -> list[str]:
    """Return the series of variants on a number of nodes: real ones, or virtual ones.

    Raises
    ------
    SchedlabError
        When they do not all have that number of nodes of one kind.
    """
    sizes: dict[str, list[int]] = {}
    for cluster in experiment.clusters():
        if cluster.number == 1:
            sizes.setdefault(cluster.variant, []).append(cluster.nodes)
    kinds = [[name + kind for name in variants] for kind in ("", VIRTUAL)]
    common = [set.intersection(*(set(sizes.get(name, ())) for name in names)) for names in kinds]
    for names, there in zip(kinds, common, strict=True):
        if nodes in there:
            return names
    known = sorted(common[0] | common[1])
    raise SchedlabError(
        f"--nodes {nodes}: {some(variants, 5)} do not all have clusters of {nodes} nodes, all real"
        " or all virtual",
        remedy=f"use --nodes with one of {', '.join(map(str, known))}"
        if known
        else "list a number of nodes that all of them have in the experiment (nodes, virtual.real)",
    )
