"""Windows of time of a trace, and the choice of a few that stand for all."""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np

from schedlab.errors import SchedlabError
from schedlab.swf.table import ALLOCATED, REQUESTED, RUNTIME, SUBMIT, Table


class Window(NamedTuple):
    """A window [first, first + length) of the log's time.

    Attributes
    ----------
    first, length : float
        s since the log's start.
    load : float
        Work of the jobs submitted in it, over what the machine can do in it; 1 is all that it can.
    """

    first: float
    length: float
    load: float


def load(table: Table, positions: np.ndarray, size: int, length: float) -> float:
    """Work of some jobs over what a machine of so many processors can do in a time (s)."""
    return float(_work(table, positions).sum() / (size * length))


def representative(table: Table, size: int, count: int, length: float, seed: int) -> list[Window]:
    """Choose windows by load, in order of time.

    The log is cut into windows from its first submission on. Those in which usable jobs were
    submitted are sorted by load and divided into `count` groups of equal numbers; one of each group
    is drawn. So light, usual and heavy times are all there, in the parts that the log has them.

    Parameters
    ----------
    table : Table
        Jobs of the trace.
    size : int
        Processors of the traced machine.
    count : int
        Windows to choose.
    length : float
        Of each, s.
    seed : int
        Of the draws.

    Raises
    ------
    SchedlabError
        When the log has too few windows of this length, or a malformed line.
    """
    used = table.usable()
    submit = table.rows[used, SUBMIT]
    first = float(submit[0]) if used.size else 0.0
    place = np.floor((submit - first) / length).astype(np.int64)
    # The last window is not whole.
    whole = place < (int(place[-1]) if used.size else 0)
    # Only windows with jobs: a log may have far more windows without.
    there, which = np.unique(place[whole], return_inverse=True)
    work = np.bincount(which, _work(table, used[whole]), minlength=there.size)
    if there.size < count:
        raise SchedlabError(
            f"has {there.size} whole windows of {length:g} s with usable jobs, {count} are wanted",
            remedy="choose fewer or shorter windows",
        )
    loads = work / (size * length)
    groups = np.array_split(np.argsort(loads, kind="stable"), count)
    rng = random.Random(seed)
    chosen = sorted(int(rng.choice(group.tolist())) for group in groups)
    return [Window(first + int(there[one]) * length, length, float(loads[one])) for one in chosen]


def _work(table: Table, positions: np.ndarray) -> np.ndarray:
    rows = table.rows[positions]
    cores = np.where(rows[:, ALLOCATED] > 0, rows[:, ALLOCATED], rows[:, REQUESTED])
    work: np.ndarray = cores * rows[:, RUNTIME]
    return work
