"""What is known of virtual nodes: errors with verdicts, of cells, and of a whole series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schedlab.metrics.statistics import Interval

UNDECIDED = "undecided"
_BETTER_FIRST = ("within", UNDECIDED, "off")


@dataclass(frozen=True)
class Error:
    """Error of one quantity of one workload at one node count.

    Parameters
    ----------
    size : Interval
        Relative error, 0.02 for 2 % more on virtual nodes; for the order of starts the part of the
        pairs of jobs, from 0 to 1.
    verdict : str
        See `schedlab.metrics.fidelity`; or why there is none.
    between_real : float or None
        For the order of starts: the same part between two real trials of one trace, the mean; None
        where no two ran one.
    seconds : float or None
        By how much longer the time that the quantity tells of is on virtual nodes, s; for the
        throughput that of its jobs. None where it tells of no time.
    """

    size: Interval
    verdict: str
    between_real: float | None = None
    seconds: float | None = None

    @property
    def excess(self) -> float:
        """Its size without what equal trials differ by; below 0 where they differ more."""
        return abs(self.size.estimate or 0.0) - (self.between_real or 0.0)


@dataclass(frozen=True)
class Fidelity:
    """Virtual nodes against real ones in one workload and node count.

    Parameters
    ----------
    series : str
        The virtual series.
    workload : str
        Its name.
    nodes : int
        Compute nodes.
    margin : float
        Relative error that counts as true.
    errors : mapping of str to Error
        By quantity, see `schedlab.metrics.fidelity`.
    parts : mapping of str to Interval
        Where they arise, s: see `schedlab.metrics.fidelity_parts.parts_apart`.
    sampled : str
        Note on so few clusters that the intervals hold for their snapshots alone; empty from 3
        clusters of both kinds on.
    """

    series: str
    workload: str
    nodes: int
    margin: float
    errors: Mapping[str, Error]
    parts: Mapping[str, Interval] = field(default_factory=dict)
    sampled: str = ""

    @property
    def known(self) -> bool:
        """Whether there is an error of some quantity with an interval: without one, no verdict."""
        return any(error.size.known for error in self.errors.values())

    @property
    def worst(self) -> str:
        """Worst verdict of its errors: off before undecided before within; empty without one."""
        judged = {error.verdict for error in self.errors.values() if error.size.known}
        return max(judged, key=badness, default="")


@dataclass(frozen=True)
class Certificate:
    """What is known of one virtual series.

    Parameters
    ----------
    series : str
        Its name.
    cells : tuple of (str, int)
        Workload and node count of all its trials.
    found : tuple of Fidelity
        Of those cells where real nodes ran too.
    searches : frozenset of str
        Names of workloads whose trials are steps of searches, which are not compared.
    """

    series: str
    cells: tuple[tuple[str, int], ...]
    found: tuple[Fidelity, ...]
    searches: frozenset[str] = frozenset()

    @property
    def workloads(self) -> tuple[str, ...]:
        """Names of its workloads, sorted."""
        return tuple(sorted({workload for workload, _ in self.cells}))

    def compared(self, workload: str) -> tuple[int, ...]:
        """Node counts at which a workload has an error with an interval, from the smallest on."""
        return tuple(sorted(one.nodes for one in self._known(workload)))

    def beyond(self, workload: str) -> tuple[int, ...]:
        """Node counts of a workload outside the range of those; none where none was compared."""
        return tuple(n for n in self._others(workload) if not self._inside(workload, n))

    def inside(self, workload: str) -> tuple[int, ...]:
        """Node counts of a workload between two of those."""
        return tuple(n for n in self._others(workload) if self._inside(workload, n))

    def about(self, workload: str, nodes: int) -> str:
        """What holds of a workload at a node count.

        For example ``compared with real nodes, within 5 % there``, or from where it is taken.
        Sizes of other workloads tell nothing of this one.
        """
        sizes = self.compared(workload)
        if not sizes:
            return "not compared with real ones in this workload"
        if nodes in sizes:
            (own,) = (one for one in self._known(workload) if one.nodes == nodes)
            return f"compared with real nodes, {own.worst} there"
        worst = max((one.worst for one in self._known(workload)), key=badness)
        first, last = sizes[0], sizes[-1]
        if first < nodes < last:
            below = max(size for size in sizes if size < nodes)
            above = min(size for size in sizes if size > nodes)
            return f"between compared sizes, {below} and {above} nodes, {worst} there"
        whole = f"{first} to {last} nodes" if first < last else f"{first} node{'s' * (first > 1)}"
        return f"extrapolated from {whole}, {worst} there"

    def _known(self, workload: str) -> list[Fidelity]:
        return [one for one in self.found if one.workload == workload and one.known]

    def _others(self, workload: str) -> list[int]:
        """Node counts of a workload that were not compared, where others were."""
        sizes = self.compared(workload)
        own = sorted(nodes for name, nodes in self.cells if name == workload)
        return [nodes for nodes in own if sizes and nodes not in sizes]

    def _inside(self, workload: str, nodes: int) -> bool:
        sizes = self.compared(workload)
        return sizes[0] < nodes < sizes[-1]


def badness(verdict: str) -> int:
    """Place of a verdict on an error from the best one on."""
    return next((n for n, word in enumerate(_BETTER_FIRST) if verdict.startswith(word)), -1)
