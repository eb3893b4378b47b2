"""One virtual cluster of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schedlab.config.sections import CloudImage, DebianImage, Guest, Metrics, Placement
from schedlab.workloads import Machine


def copy_suffix(number: int) -> str:
    """Suffix of the ids of a cell's second, third, ... equal cluster; the first has none."""
    return f"-c{number}" if number > 1 else ""


@dataclass(frozen=True)
class Cluster:
    """One virtual cluster of the experiment: a head and equal compute nodes.

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
        """Virtual processors of all nodes, including the head's."""
        return self.head.vcpus + self.cores

    @property
    def memory_total_mib(self) -> int:
        """Memory of all nodes, including the head's, MiB."""
        return self.head.memory_mib + self.nodes * self.node.memory_mib

    @property
    def machine(self) -> Machine:
        """The compute part, as workloads see it."""
        return Machine(self.nodes, self.node.vcpus)

    def machines(self) -> dict[str, Guest]:
        """Guests by name, the head first: head, compute1, compute2, ..."""
        return {
            "head": self.head,
            **{f"compute{number}": self.node for number in range(1, self.nodes + 1)},
        }

    @property
    def reset(self) -> Literal["restore", "boot"]:
        """How a trial gets its cluster; one with passed-through devices must boot."""
        return "boot" if self.placement.pci or self.placement.reset == "boot" else "restore"
