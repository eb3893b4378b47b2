"""How many jobs of a trace a machine holds at one time.

Processors over processors of a job say too much where jobs do not fill nodes: of jobs of 3 on a
node of 4 there is one, not four thirds, and its fourth processor is none that a job could have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from schedlab.workloads import Trace


def places(trace: Trace, *, gang: bool = True) -> float | None:
    """Jobs of a trace that fit on its machine at one time, beside the background.

    Where all have one shape it is the sum over nodes of the ranks that a node has room for, over
    the ranks of a job; whole jobs, where all ranks of a job start together. Of several shapes it is
    the mean number of jobs while all of the trace's ranks are packed, in their numbers, node after
    node by first fit, the largest first (which takes at most 11/9 of the fewest nodes [1]_).

    Parameters
    ----------
    trace : Trace
        Trace of a trial.
    gang : bool
        Whether a job's ranks start together.

    Returns
    -------
    float or None
        None without measured jobs.

    References
    ----------
    .. [1] D. S. Johnson, "Near-optimal bin packing algorithms", PhD thesis, MIT, 1973.
    """
    jobs = trace.measured
    if not jobs:
        return None
    ranks: Counter[int] = Counter()
    for job in jobs:
        ranks[job.cpus] += job.nodes
    machine = trace.machine
    # The background takes the same number of every node, or one processor of one node.
    taken = int(trace.scale.get("background", {}).get("cores", 0))
    each, more = divmod(taken, machine.nodes)
    free = machine.cpus_per_node - each
    found = sum(
        number * len(jobs) / _nodes(ranks, cpus)
        for number, cpus in ((machine.nodes - more, free), (more, free - 1))
        if number and cpus >= max(ranks)
    )
    if gang and len({(job.nodes, job.cpus) for job in jobs}) == 1:
        return float(int(found + 1e-9))
    return found


def _nodes(ranks: Mapping[int, int], free: int) -> float:
    """Nodes of `free` processors that ranks take by first fit, the largest first.

    Ranks are counted by their processors, and nodes that are filled alike at once. There may be a
    part of a node, since the trace stands for any number of such jobs.
    """
    left = {cpus: float(number) for cpus, number in sorted(ranks.items(), reverse=True)}
    nodes = 0.0
    while left:
        room, inside = free, {}
        for cpus in left:
            if fit := room // cpus:
                inside[cpus] = fit
                room -= fit * cpus
        times = min(left[cpus] / fit for cpus, fit in inside.items())
        nodes += times
        left = {
            cpus: rest
            for cpus, number in left.items()
            if (rest := number - times * inside.get(cpus, 0)) > 1e-9
        }
    return nodes
