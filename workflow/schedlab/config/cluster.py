"""One cluster of an experiment: what the scheduler sees of it, and which machines it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schedlab.config.sections import (
    CloudImage,
    DebianImage,
    Guest,
    Metrics,
    Placement,
    Virtual,
)
from schedlab.workloads import Machine


def copy_suffix(number: int) -> str:
    """Suffix of the ids of a cell's second, third, ... equal cluster; the first has none."""
    return f"-c{number}" if number > 1 else ""


def carriers(virtual: Virtual, nodes: int) -> int:
    """Machines that carry this many virtual nodes: not more than there are nodes."""
    return min(virtual.carriers, nodes)


def carrier_name(number: int) -> str:
    """Name of a carrier, by its number from 1."""
    return f"carrier{number}"


def dealt(nodes: int, count: int, number: int) -> range:
    """Numbers of the virtual nodes of one of `count` carriers, by its number; dealt in turn.

    Schedulers tend to use the first nodes first, so neighbours are on different carriers.
    """
    return range(number, nodes + 1, count)


@dataclass(frozen=True)
class Cluster:
    """One virtual cluster of the experiment: a head and equal compute nodes.

    The nodes are machines of their own, or virtual: then fewer machines, the carriers, run the
    daemons of all nodes. `nodes`, `node`, `cores` and `machine` are what the scheduler sees;
    `machines` and the totals are what the host runs.

    Attributes
    ----------
    variant : str
        Name of the variant, which is also the series in tables, figures and report.
    scheduler : str
        Name of the adapter.
    number : int
        Which of a variant's equal clusters it is, from 1.
    settings : mapping of str to str
        Native settings: the experiment's for this scheduler, overridden by the variant's.
    virtual : Virtual or None
        How virtual nodes are carried; None where the nodes are real.
    """

    variant: str
    scheduler: str
    nodes: int
    number: int
    head: Guest
    node: Guest
    placement: Placement
    image: DebianImage | CloudImage
    metrics: Metrics
    settings: Mapping[str, str] = field(hash=False)
    virtual: Virtual | None = field(default=None, hash=False)

    @property
    def id(self) -> str:
        """Id, for example alpha-n2, or alpha-n2-c3 for the third equal cluster."""
        return f"{self.variant}-n{self.nodes}{copy_suffix(self.number)}"

    @property
    def cores(self) -> int:
        """Processors of the compute nodes."""
        return self.nodes * self.node.vcpus

    @property
    def vcpus_total(self) -> int:
        """Virtual processors of all machines, including the head's."""
        return sum(guest.vcpus for guest in self.machines().values())

    @property
    def memory_total_mib(self) -> int:
        """Memory of all machines, including the head's, MiB."""
        return sum(guest.memory_mib for guest in self.machines().values())

    @property
    def machine(self) -> Machine:
        """The compute part, as workloads see it."""
        return Machine(self.nodes, self.node.vcpus)

    @property
    def guest(self) -> Guest:
        """Shape of each machine beside the head: a compute node, or a carrier."""
        return self.virtual.carrier if self.virtual else self.node

    @property
    def machines_beside_head(self) -> int:
        """Number of compute nodes, or of carriers; each carrier has at least one node."""
        return carriers(self.virtual, self.nodes) if self.virtual else self.nodes

    @property
    def longest_delay(self) -> float:
        """The most that the delays of virtual nodes add to a job, s; 0 where nodes are real."""
        return self.virtual.delays.longest if self.virtual else 0.0

    @property
    def mean_delay(self) -> float:
        """What the delays of virtual nodes add to a rank on the mean, s; 0 where nodes are real."""
        return self.virtual.delays.mean if self.virtual else 0.0

    def machines(self) -> dict[str, Guest]:
        """Guests by name, the head first: head, compute1, compute2, ...; or head, carrier1, ..."""
        numbers = range(1, self.machines_beside_head + 1)
        beside = [carrier_name(n) if self.virtual else f"compute{n}" for n in numbers]
        return {"head": self.head, **dict.fromkeys(beside, self.guest)}

    def carried(self) -> dict[str, list[int]]:
        """Numbers of the virtual nodes by carrier (`dealt`); empty where nodes are real."""
        if not self.virtual:
            return {}
        count = self.machines_beside_head
        return {
            carrier_name(number): list(dealt(self.nodes, count, number))
            for number in range(1, count + 1)
        }

    @property
    def reset(self) -> Literal["restore", "boot"]:
        """How a trial gets its cluster; one with passed-through devices must boot."""
        return "boot" if self.placement.pci or self.placement.reset == "boot" else "restore"
