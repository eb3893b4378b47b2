"""Facts about the host that an experiment is checked against."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class HostFacts:
    """What the machine that runs the guests has.

    Parameters
    ----------
    cores : int
        Processors that this process may use.
    memory_mib : int
        Physical memory, MiB.
    numa_nodes : frozenset of int
        Numbers of the NUMA nodes.
    hugepages_mib : int
        Memory reserved as huge pages of the default size, MiB.
    """

    cores: int
    memory_mib: int
    numa_nodes: frozenset[int] = frozenset({0})
    hugepages_mib: int = 0

    @classmethod
    def detect(cls) -> HostFacts:
        """Facts of this machine."""
        numa = {
            int(folder.name.removeprefix("node"))
            for folder in Path("/sys/devices/system/node").glob("node[0-9]*")
        }
        meminfo = Path("/proc/meminfo").read_text(encoding="ascii")
        pages = {key: int(value) for key, value in re.findall(r"(Huge\w+):\s+(\d+)", meminfo)}
        return cls(
            cores=len(os.sched_getaffinity(0)),
            memory_mib=psutil.virtual_memory().total // 2**20,
            numa_nodes=frozenset(numa or {0}),
            hugepages_mib=pages.get("HugePages_Total", 0) * pages.get("Hugepagesize", 0) // 1024,
        )
