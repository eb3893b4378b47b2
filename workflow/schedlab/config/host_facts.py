"""Facts about the host that an experiment is checked against."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class HostFacts:
    """Resources of the machine that runs the guests.

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
    pci : frozenset of str or None
        Addresses of the PCI functions; None: not known.
    libvirt : bool or None
        Whether a libvirt of the system has a socket; None: not known.
    """

    cores: int
    memory_mib: int
    numa_nodes: frozenset[int] = frozenset({0})
    hugepages_mib: int = 0
    pci: frozenset[str] | None = None
    libvirt: bool | None = None

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
            pci=_names(Path("/sys/bus/pci/devices")),
            libvirt=any(
                Path(f"/run/libvirt/{name}-sock").exists() for name in ("libvirt", "virtqemud")
            ),
        )


def _names(folder: Path) -> frozenset[str] | None:
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else None
