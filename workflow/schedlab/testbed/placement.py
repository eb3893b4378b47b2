"""Which host CPU runs which virtual CPU.

The functions are pure: the same host and cluster always give the same pins. The pins can therefore
be declared to Terraform as data and compared with the live domains afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Literal

from schedlab.errors import SchedlabError
from schedlab.testbed.cpuset import format_cpuset
from schedlab.testbed.topology import HUGEPAGE_KIB, HostTopology

Policy = Literal["exclusive", "spread", "none"]
Role = Literal["head", "compute"]


@dataclass(frozen=True)
class NodeDemand:
    """What a node needs: its role, virtual CPUs, and memory in MiB."""

    role: Role
    vcpus: int
    memory_mib: int


@dataclass(frozen=True)
class NodePlacement:
    """Where a node runs.

    Attributes
    ----------
    vcpu_pins : tuple of str
        One host CPU set for each virtual CPU, in order; empty: not pinned.
    emulator_pins : str or None
        Host CPU set of the emulator's own threads.
    numa_nodes : str or None
        Host NUMA node that all its memory comes from.
    hugepages : bool
        Whether its memory is in huge pages.
    pci : tuple of str
        Addresses of the host's PCI functions that it is given.
    """

    vcpu_pins: tuple[str, ...] = ()
    emulator_pins: str | None = None
    numa_nodes: str | None = None
    hugepages: bool = False
    pci: tuple[str, ...] = ()


def place(
    topology: HostTopology,
    demands: Mapping[str, NodeDemand],
    *,
    policy: Policy = "none",
    numa: int | None = None,
    hugepages: bool = False,
    pci: Sequence[str] = (),
) -> dict[str, NodePlacement]:
    """Place every node of a cluster.

    Parameters
    ----------
    topology : HostTopology
        The host.
    demands : mapping of str to NodeDemand
        The nodes by name, in the order in which they are placed.
    policy : {"exclusive", "spread", "none"}
        ``exclusive``: each virtual CPU has a physical core of its own. The emulator's threads run
        on the remaining cores, or on the node's own cores when none remains.
        ``spread``: virtual CPUs are assigned to the host's CPUs in turn, first one thread of every
        core, then the second threads. Host CPUs are shared when there are too few.
        ``none``: the host's scheduler decides.
    numa : int, optional
        Host NUMA node that all CPUs and all memory come from.
    hugepages : bool
        Back the guests' memory with huge pages of 2 MiB.
    pci : sequence of str
        Addresses of host PCI functions, assigned to the compute nodes in turn. A function can be
        in one guest only.

    Returns
    -------
    dict of str to NodePlacement
        In the order of `demands`.

    Raises
    ------
    SchedlabError
        When ``exclusive`` does not fit, the NUMA node does not exist, or huge pages are too few.
    """
    host = topology if numa is None else topology.on_numa_node(numa)
    if hugepages:
        _require_hugepages(host, demands)
    if policy == "exclusive":
        pins = _exclusive(host, demands, numa)
    elif policy == "spread":
        pins = _spread(host, demands)
    else:
        pins = dict.fromkeys(demands, ((), None))
    devices = _deal_devices(demands, pci)
    return {
        name: NodePlacement(
            vcpu_pins=pins[name][0],
            emulator_pins=pins[name][1],
            numa_nodes=None if numa is None else str(numa),
            hugepages=hugepages,
            pci=devices[name],
        )
        for name in demands
    }


Pins = dict[str, tuple[tuple[str, ...], str | None]]


def _exclusive(host: HostTopology, demands: Mapping[str, NodeDemand], numa: int | None) -> Pins:
    wanted = sum(demand.vcpus for demand in demands.values())
    available = len(host.cores)
    if wanted > available:
        where = "this host has" if numa is None else f"NUMA node {numa} has"
        raise SchedlabError(
            f"placement.pinning is exclusive: the cluster's {wanted} vCPUs need as many cores,"
            f" {where} {available}",
            remedy=f"ask for at most {available} vCPUs (head and compute nodes together),"
            " or set placement.pinning to spread or none with placement.oversubscribe: true",
            stage="provision",
        )
    spare = [cpu for core in host.cores[wanted:] for cpu in core]
    cores = iter(host.cores)
    pins: Pins = {}
    for name, demand in demands.items():
        own = list(islice(cores, demand.vcpus))
        emulator = spare or [cpu for core in own for cpu in core]
        pins[name] = (tuple(str(core[0]) for core in own), format_cpuset(emulator))
    return pins


def _spread(host: HostTopology, demands: Mapping[str, NodeDemand]) -> Pins:
    threads = max(len(core) for core in host.cores)
    order = [core[t] for t in range(threads) for core in host.cores if t < len(core)]
    turn = cycle(order)
    return {
        name: (tuple(str(cpu) for cpu in islice(turn, demand.vcpus)), None)
        for name, demand in demands.items()
    }


def _deal_devices(
    demands: Mapping[str, NodeDemand], pci: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    compute = [name for name, demand in demands.items() if demand.role == "compute"]
    return {
        name: tuple(pci[compute.index(name) :: len(compute)]) if name in compute else ()
        for name in demands
    }


def _require_hugepages(host: HostTopology, demands: Mapping[str, NodeDemand]) -> None:
    # Each guest takes whole pages.
    page_mib = HUGEPAGE_KIB // 1024
    wanted = sum(-(-demand.memory_mib // page_mib) * page_mib for demand in demands.values())
    available = sum(host.hugepages_mib.values())
    if wanted > available:
        raise SchedlabError(
            f"placement.hugepages is set: the cluster needs {wanted} MiB in huge pages of"
            f" {page_mib} MiB, the host has {available} MiB",
            remedy=f"reserve them: sysctl vm.nr_hugepages={wanted // page_mib}"
            " (more if others use them), or set placement.hugepages to false",
            stage="provision",
        )
