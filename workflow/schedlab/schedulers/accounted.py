"""Which processes make up a scheduler, and how what they use is counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from schedlab.schedulers.exported import COST_METRICS, UNIT_METRICS, labelled

if TYPE_CHECKING:
    from prometheus_client.samples import Sample


class Accounted(ABC):
    """A scheduler's daemons, and their costs."""

    client: ClassVar[tuple[str, ...]] = ()
    """Names from `daemons` that submit jobs; their cost counts as the client's."""
    passing: ClassVar[frozenset[str]] = frozenset()
    """Names from `daemons` whose processes come and go, so that their end is no outcome."""
    serial: ClassVar[frozenset[str]] = frozenset()
    """Names from `daemons` that do all their work in one thread, so that a core to itself is all
    that one of them can use. One with several threads may need less of one core than another."""
    cost_port: ClassVar[int]
    """TCP port, on every node, of the exporter of the daemons' costs (`daemon_cost`)."""

    @abstractmethod
    def daemons(self) -> dict[str, list[str]]:
        """Role (`head`, `compute`) -> names of the processes that make up the scheduler."""

    def cost_units(self) -> dict[str, dict[str, list[str]]]:
        """Systemd units whose control groups count the cost of daemons.

        A control group counts every process that was ever in it, even a short one. A unit in whose
        control group jobs run is left out, because its counters would include the jobs.

        Returns
        -------
        dict
            Role (`head`, `compute`) -> unit without its suffix -> names from `daemons` that run
            in the unit. Other daemons are counted by process.
        """
        return {"head": {}, "compute": {}}

    def unit_cost(self, samples: Iterable[Sample]) -> dict[str, dict[str, float]]:
        """Return the cost of this scheduler's units on one node.

        Parameters
        ----------
        samples : iterable of prometheus_client.samples.Sample
            All samples that the node's cost exporter serves.

        Returns
        -------
        dict
            Unit -> `cpu_seconds` (s, user and system, since the unit's start), `memory_bytes` and
            `peak_memory_bytes` (bytes, with the page cache charged to the unit), and of its quota
            `periods`, `throttled_periods`, `throttled_seconds`; without what is not counted.
        """
        names = {unit for units in self.cost_units().values() for unit in units}
        return labelled(samples, "unit", names, UNIT_METRICS)

    def daemon_cost(self, samples: Iterable[Sample]) -> dict[str, dict[str, float]]:
        """Return the cost of this scheduler's processes on one node.

        Parameters
        ----------
        samples : iterable of prometheus_client.samples.Sample
            All samples that the node's cost exporter serves; other processes are ignored.

        Returns
        -------
        dict
            Process name -> `cpu_seconds` (s, user and system, since its start), `rss_bytes` and
            `peak_rss_bytes` (bytes, resident; the peak since its start), `processes` (number of
            that name now) and `starts` (number seen since the exporter began).
        """
        names = {name for processes in self.daemons().values() for name in processes}
        return labelled(samples, "process", names, COST_METRICS)

    def cost_variables(self) -> dict[str, Any]:
        """Return Ansible variables of the cost exporter: what it measures, by the node's role."""
        return {
            "monitoring_processes": self.daemons(),
            "monitoring_units": {role: list(units) for role, units in self.cost_units().items()},
        }
