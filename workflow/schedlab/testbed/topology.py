"""The host's cores and NUMA nodes, from libvirt's capabilities."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from schedlab.errors import SchedlabError
from schedlab.testbed.cpuset import parse_cpuset

HUGEPAGE_KIB = 2048
"""Size in KiB of the huge pages that are counted here, QEMU's default."""


@dataclass(frozen=True)
class HostTopology:
    """What placement needs to know of the host.

    Attributes
    ----------
    cores : tuple of tuple of int
        Physical cores in ascending order, each the logical CPUs (hardware threads) it has.
    numa : dict of int to frozenset of int
        Logical CPUs of each NUMA node.
    hugepages_mib : dict of int to int
        MiB in huge pages of 2 MiB of each NUMA node, free or not.
    """

    cores: tuple[tuple[int, ...], ...]
    numa: dict[int, frozenset[int]]
    hugepages_mib: dict[int, int] = field(default_factory=dict)

    def on_numa_node(self, node: int) -> HostTopology:
        """Narrow the host to one NUMA node.

        Raises
        ------
        SchedlabError
            When the host has no such node.
        """
        if node not in self.numa:
            known = ", ".join(str(number) for number in sorted(self.numa))
            raise SchedlabError(
                f"placement.numa is {node}, but this host has the NUMA nodes {known}",
                remedy="set placement.numa to one of them, or to null",
            )
        members = self.numa[node]
        return HostTopology(
            cores=_narrow(self.cores, members),
            numa={node: members},
            hugepages_mib={node: self.hugepages_mib.get(node, 0)},
        )

    @classmethod
    def from_capabilities(cls, document: str) -> HostTopology:
        """Read ``virConnect.getCapabilities()``, for a libvirt that may be on another host.

        Raises
        ------
        SchedlabError
            When the document has no host topology.
        """
        cells = ElementTree.fromstring(document).findall("./host/topology/cells/cell")
        if not cells:
            raise SchedlabError("libvirt's capabilities do not describe the host's topology")
        siblings = []
        numa: dict[int, frozenset[int]] = {}
        hugepages: dict[int, int] = {}
        for cell in cells:
            number = int(cell.attrib["id"])
            cpus = cell.findall("./cpus/cpu")
            numa[number] = frozenset(int(cpu.attrib["id"]) for cpu in cpus)
            siblings += [parse_cpuset(cpu.attrib.get("siblings", cpu.attrib["id"])) for cpu in cpus]
            hugepages[number] = sum(
                int(pages.text or 0) * HUGEPAGE_KIB // 1024
                for pages in cell.findall("pages")
                if pages.attrib.get("size") == str(HUGEPAGE_KIB)
            )
        return cls(cores=_cores(siblings), numa=numa, hugepages_mib=hugepages)


def _cores(siblings: Iterable[Collection[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(sorted({tuple(sorted(group)) for group in siblings if group}))


def _narrow(
    cores: Iterable[tuple[int, ...]], members: frozenset[int]
) -> tuple[tuple[int, ...], ...]:
    return _cores(tuple(cpu for cpu in core if cpu in members) for core in cores)
