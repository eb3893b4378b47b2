"""Delays for virtual nodes, from the trials of a campaign on real ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from schedlab.errors import SchedlabError
from schedlab.outside.foreign import foreign
from schedlab.outside.names import inside
from schedlab.paths import RECORD
from schedlab.printing import some
from schedlab.results.records import is_stopped, load_record
from schedlab.schedulers.delays import Latencies
from schedlab.tables.clocks import node_clocks
from schedlab.tables.job_rows import stamps_of
from schedlab.tables.kept import kept_trial

PARTS = 10
"""Intervals of equal probability: deciles, for which the jobs of a few trials suffice."""
FEWEST = 20
"""Delays from which on a distribution is described, two for each interval."""

Kinds = tuple[list[float], list[float]]
"""Delays (s) of starts, and of completions."""


class Cell(NamedTuple):
    """Quantiles (s) of both delays in the trials of one workload at one size.

    `start` and `completion` are empty where there is no such delay.
    """

    workload: str
    nodes: int
    trials: int
    start: list[float]
    completion: list[float]

    @property
    def told(self) -> str:
        """Workload and size in words."""
        return of_cell(self.workload, self.nodes)


def of_cell(workload: str, nodes: int) -> str:
    """Workload and number of nodes in words."""
    return f"{workload} on {nodes} node{'s' * (nodes != 1)}"


class Found(NamedTuple):
    """Distributions of both delays, and of which trials they are.

    Attributes
    ----------
    start, completion : list of float
        Quantiles, s.
    trials, delays : int
        Number of trials, and of delays of each kind.
    cells : tuple of Cell
        The same by workload and size.
    campaign : str
        Begin of the run of the workflow whose trials they are.
    other_blocks : int
        Valid trials of other blocks, which are left out.
    """

    start: list[float]
    completion: list[float]
    trials: int
    delays: int
    cells: tuple[Cell, ...] = ()
    campaign: str = ""
    other_blocks: int = 0


class _Trial(NamedTuple):
    row: Mapping[str, Any]
    delays: Kinds

    @property
    def cell(self) -> tuple[str, int]:
        return str(self.row["workload"]), int(self.row["nodes"])


def measured_delays(folders: Iterable[Path], measure: Latencies) -> Found:
    """Distributions of the delays of the valid ones among some trials.

    As in comparisons (`schedlab.metrics.comparable`) only what is alike is taken together: the
    trials of the newest block in which every workload and size has one.

    Parameters
    ----------
    folders : iterable of pathlib.Path
        Folders of trials on real nodes; those that did not run are left out.
    measure : callable
        The adapter's (`Scheduler.virtual_delays`).

    Raises
    ------
    SchedlabError
        When a trial builds on a cluster or a trace that was made anew since, when workloads and
        sizes have no block in common, or when there are fewer than `FEWEST` delays of a kind.
    """
    trials: list[_Trial] = []
    stale: list[str] = []
    for folder in folders:
        if not (folder / RECORD).is_file() or is_stopped(folder / RECORD):
            continue
        row = kept_trial(folder).trial
        record = load_record(folder / RECORD)
        if _is_stale(record, folder.parents[3]):
            stale.append(str(row["trial"]))
        elif row["valid"]:
            with foreign(folder, f"remove {folder / RECORD} and run the trial again"):
                clocks = node_clocks(record["conditions"])
                own = measure(folder / "native", list(stamps_of(folder, clocks)))
            trials.append(_Trial(row, own))
    if stale:
        raise SchedlabError(
            "the cluster or the trace of some trials was made anew after they ran:"
            f" {some(stale, 5)}",
            remedy="run the experiment, which runs them again, then calibrate again",
        )
    kept = _of_one_block(trials)
    starts, completions = _together(kept)
    count = min(len(starts), len(completions))
    if count < FEWEST:
        raise SchedlabError(
            f"{len(kept)} valid trials on real nodes have {count} delays; it takes {FEWEST}",
            remedy="run more trials of node counts that virtual.real lists, then calibrate again",
        )
    return Found(
        _quantiles(starts),
        _quantiles(completions),
        len(kept),
        count,
        tuple(_cells(kept)),
        str(kept[0].row["campaign"]),
        len(trials) - len(kept),
    )


def differing(cells: Sequence[Cell], margin: float) -> list[str]:
    """Say for which kinds of delay the medians of workloads and sizes are further apart.

    Parameters
    ----------
    cells : sequence of Cell
        Of the same variant.
    margin : float
        Largest part of the smallest median by which the largest one may exceed it.
    """
    found = []
    for kind in ("start", "completion"):
        medians = {
            cell.told: getattr(cell, kind)[PARTS // 2] for cell in cells if getattr(cell, kind)
        }
        if len(medians) < 2:
            continue
        least, most = (pick(medians, key=medians.__getitem__) for pick in (min, max))
        if medians[most] > (1 + margin) * medians[least]:
            found.append(
                f"the median delay of the {kind} is {medians[least]:g} s with {least}, and"
                f" {medians[most]:g} s with {most}"
            )
    return found


def _is_stale(record: Mapping[str, Any], results: Path) -> bool:
    """Whether a trial's cluster or trace was made anew since; what is not there tells nothing."""
    for name in ("configured", "trace"):
        parent = record["parents"].get(name)
        path = inside(results, parent["path"]) if parent else None
        if path and path.is_file() and load_record(path)["lineage"] != parent["lineage"]:
            return True
    return False


def _of_one_block(trials: Sequence[_Trial]) -> list[_Trial]:
    """Trials of the newest block that all workloads and sizes have in common."""
    blocks: dict[tuple[str, ...], list[_Trial]] = {}
    for trial in trials:
        # A run of the workflow has one accelerator and one host, as far as records are sound.
        facts = tuple(str(trial.row[key]) for key in ("campaign", "block", "accelerator", "host"))
        if trial.row["block"] is not None:
            blocks.setdefault(facts, []).append(trial)
    wanted = {trial.cell for trial in trials}
    common = [facts for facts, own in blocks.items() if {one.cell for one in own} == wanted]
    if trials and not common:
        raise SchedlabError(
            "no run of the workflow has a valid trial on real nodes of every workload and size:"
            f" {some([of_cell(*cell) for cell in sorted(wanted)], 5)}",
            remedy="run all of them in one run (snakemake --forcerun with their records), then"
            " calibrate again",
        )
    # Runs are named by the instant at which they began.
    return blocks[max(common)] if common else []


def _together(trials: Iterable[_Trial]) -> Kinds:
    starts: list[float] = []
    completions: list[float] = []
    for trial in trials:
        starts += trial.delays[0]
        completions += trial.delays[1]
    return starts, completions


def _cells(trials: Sequence[_Trial]) -> Iterable[Cell]:
    for key in sorted({trial.cell for trial in trials}):
        own = [trial for trial in trials if trial.cell == key]
        starts, completions = (_quantiles(one) if one else [] for one in _together(own))
        yield Cell(*key, len(own), starts, completions)


def _quantiles(values: list[float]) -> list[float]:
    """Smallest value, deciles and largest value, to 0.1 ms."""
    found = np.quantile(np.array(values), np.linspace(0.0, 1.0, PARTS + 1))
    return [round(float(value), 4) for value in found]
