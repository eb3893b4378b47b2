"""Sums over intervals of time: what many jobs take together, from arrays of any length.

The metrics of trials and those of recorded traces use these functions. Each sorts the ends of the
intervals once; time and memory grow with the number of jobs, not with the time that they span.
Sorting is by merging (``stable``): the instants of jobs in order of submission are nearly sorted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]


class Steps(NamedTuple):
    """A step function of time.

    Attributes
    ----------
    t : numpy.ndarray
        (instants,), s, increasing, each once.
    level : numpy.ndarray
        (instants,), or (kinds, instants): what holds from an instant to the next; the last is 0.
    """

    t: Floats
    level: Floats


def steps(start: Floats, end: Floats, height: Floats) -> Steps:
    """Sum of the heights of the intervals that hold an instant, over time.

    Parameters
    ----------
    start, end : numpy.ndarray
        Of each interval, s; none is NaN.
    height : numpy.ndarray
        Of each interval, (intervals,) or (kinds, intervals): whole numbers, which add up without
        rounding errors.
    """
    times = np.concatenate([start, end])
    order = np.argsort(times, kind="stable")
    times = times[order]
    level = np.concatenate([height, -height], axis=-1)[..., order]
    np.cumsum(level, axis=-1, out=level)
    last = np.append(times[1:] != times[:-1], True) if times.size else np.zeros(0, dtype=bool)
    return Steps(times[last], level[..., last])


def means(function: Steps, edges: Floats) -> Floats:
    """Mean of a step function of one kind between each two edges (s, increasing)."""
    t, level = function
    total = np.append(0.0, np.cumsum(level[:-1] * np.diff(t)))
    integral: Floats = np.diff(np.interp(edges, t, total)) / np.diff(edges)
    return integral


def area(start: Floats, end: Floats, height: Floats, low: float, high: float) -> float:
    """Integral of `steps` from `low` to `high`; an interval that ends first adds nothing."""
    inside = np.minimum(end, high)
    inside -= np.maximum(start, low)
    np.maximum(inside, 0.0, out=inside)
    return float(np.dot(inside, height))


class Waiting(NamedTuple):
    """Jobs that wait for cores, and then hold them.

    Attributes
    ----------
    since, until : numpy.ndarray
        (jobs,), s: while a job waits; infinite where it waits to the end.
    freed : numpy.ndarray
        (jobs,), s: until when it holds its cores, from `until` on; NaN if it gets none.
    size : numpy.ndarray
        (jobs,), cores.
    """

    since: Floats
    until: Floats
    freed: Floats
    size: Floats


def fitting_idle(jobs: Waiting, cores: int, low: float, high: float) -> float:
    """Integral of the idle cores over the instants at which a waiting job fits into them.

    Parameters
    ----------
    jobs : Waiting
        `since` <= `until` <= `freed`.
    cores : int
        Cores of the machine.
    low, high : float
        Window, s; jobs that took cores before it hold them in it.
    """
    count = jobs.since.size
    holds = ~np.isnan(jobs.freed)
    freed = jobs.freed[holds]
    times = np.concatenate([jobs.since, jobs.until, freed])
    np.clip(times, low, high, out=times)
    order = np.argsort(times, kind="stable")
    place = np.empty(times.size, dtype=np.int64)
    place[order] = np.arange(times.size)
    ordered = times[order]
    # Arrays are used again, because most of the time would go into new memory.
    width, change = times, ordered
    np.subtract(ordered[1:], ordered[:-1], out=width[:-1])
    width[-1:] = high - ordered[-1:]
    change[:count] = 0.0
    change[count : 2 * count] = np.where(holds, -jobs.size, 0.0)
    change[2 * count :] = jobs.size[holds]
    idle = change[order]
    np.cumsum(idle, out=idle)
    idle += cores
    smallest = _smallest(place[:count], place[count : 2 * count], jobs.size, times.size)
    idle *= smallest <= idle
    return float(np.dot(idle, width))


def _smallest(first: Whole, stop: Whole, value: Floats, length: int) -> Floats:
    """Smallest value of the ranges [first, stop) that hold each place; infinite where none does.

    A range is covered by two that overlap and whose length is a power of two. Ranges of one such
    length are an array by their first place; from the longest on, each is split into two halves.
    """
    filled = stop > first
    first, stop, value = first[filled], stop[filled], value[filled]
    found = np.full(length, np.inf)
    # Of 16 bits, because such numbers are sorted without comparing them.
    power = (np.frexp(stop - first)[1] - 1).astype(np.int16)
    order = np.argsort(power, kind="stable")
    bounds = np.searchsorted(power[order], np.arange(int(power.max(initial=-1)) + 2))
    for exponent in range(len(bounds) - 2, -1, -1):
        chosen = order[bounds[exponent] : bounds[exponent + 1]]
        np.minimum.at(found, first[chosen], value[chosen])
        np.minimum.at(found, stop[chosen] - (1 << exponent), value[chosen])
        if exponent:
            half = 1 << (exponent - 1)
            np.minimum(found[half:], found[:-half], out=found[half:])
    return found


def _bin_of(instants: Floats, first: float, step: float) -> Floats:
    """Number j of the bin [first + j step, first + (j + 1) step) that holds each instant."""
    number: Floats = (instants - first) / step
    np.floor(number, out=number)
    # The quotient is rounded: the edges themselves decide.
    late = instants < first + step * number
    if late.any():
        number -= late
    early = instants >= first + step * (number + 1)
    if early.any():
        number += early
    return number


def occupied(since: Floats, until: Floats) -> tuple[Floats, Floats]:
    """Begins and ends, both in order, of the times at which more intervals have begun than ended.

    Parameters
    ----------
    since, until : numpy.ndarray
        (intervals,), at least one; `until` may be before `since`.
    """
    since, until = np.sort(since, kind="stable"), np.sort(until, kind="stable")
    # After the i-th begin more have begun than ended, until the i-th end.
    gap = np.flatnonzero(until[:-1] < since[1:])
    begin = since[np.append(0, gap + 1)]
    return begin, np.maximum(begin, until[np.append(gap, until.size - 1)])


def _distinct(ordered: Floats) -> tuple[Floats, Whole]:
    """Distinct values of a sorted array, and how often it has each."""
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: ordered.size])
    return ordered[first], np.diff(first, append=ordered.size)


def median_rate(came: Floats, left: Floats, counted: Truths, step: float) -> float | None:
    """Median over the bins with work of the departures in each, 1/s.

    The first bin starts with the first arrival. Bins are whole, and lie before the last departure.
    A bin has work if during some part of it a job had come and had not left.

    Parameters
    ----------
    came, left : numpy.ndarray
        (jobs,), s; none is NaN.
    counted : numpy.ndarray
        (jobs,), whose departures count.
    step : float
        Width of a bin, s.

    Returns
    -------
    float or None
        None without a whole bin that has work.
    """
    if not came.size:
        return None
    first, last = float(came.min()), float(left.max())
    bins = max(1, int(np.ceil((last - first) / step - 1e-9)))
    whole = bins - (first + step * bins > last + 1e-9)
    # Bins in which jobs came, and from whose start on they have left. Few differ from the next.
    bin_left = _bin_of(left, first, step)
    gone = bin_left + (left > first + step * bin_left)
    since = np.minimum(_bin_of(came, first, step), whole)
    begin, end = occupied(since, np.clip(gone, 0, whole, out=gone))
    total = int(np.sum(end - begin))
    if not total:
        return None
    middle = [(total - 1) // 2, total // 2]
    if total - int(np.count_nonzero(counted)) > middle[1]:
        return 0.0  # More than half of the bins have no departure.
    # The end of the last bin belongs to it.
    number = np.minimum(bin_left[counted], bins - 1)
    number, departures = _distinct(np.sort(number[(number >= 0) & (number < whole)], kind="stable"))
    of_busy = number < end[np.searchsorted(begin, number, "right") - 1]
    departures = np.sort(departures[of_busy])
    zeros = total - departures.size
    return float(np.mean([departures[i - zeros] if i >= zeros else 0 for i in middle]) / step)
