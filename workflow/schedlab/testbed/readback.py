"""Compare how a node was declared with how it really runs.

The declared side is one entry of Terraform's output ``declared``. The provider does not always
realise what it is given. Only the live domain XML and the affinity of the emulator's threads show
under which conditions a trial runs.
"""

from __future__ import annotations

import contextlib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.testbed.cpuset import format_cpuset, parse_cpuset

METADATA = "{https://schedlab.dev/libvirt/1}schedlab"
VCPU_THREAD = re.compile(r"CPU (\d+)/(?:KVM|TCG)")
UNITS = {"b": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True)
class NodeMismatch:
    """One difference: the field, its declared value, and the one found."""

    field: str
    declared: Any
    realised: Any

    def __str__(self) -> str:
        return f"{self.field}: declared {self.declared!r}, found {self.realised!r}"


def read_domain(document: str) -> dict[str, Any]:
    """Read the live XML of a domain into the terms of the declaration.

    Parameters
    ----------
    document : str
        ``virDomain.XMLDesc()`` of a running domain.

    Returns
    -------
    dict
        The keys of Terraform's output ``declared``, and ``disk_buses`` (by target device),
        ``interface_model`` and ``balloon``. Memory in MiB; absent elements are None, an empty
        list, or False.
    """
    domain = ElementTree.fromstring(document)
    metadata = domain.find(f"./metadata/{METADATA}")
    cpu = domain.find("./cpu")
    pins = {
        int(pin.attrib["vcpu"]): pin.attrib["cpuset"] for pin in domain.findall("./cputune/vcpupin")
    }
    interface = "./devices/interface[@type='network']"
    return {
        "domain": domain.findtext("./name"),
        "domain_type": domain.get("type"),
        "machine": _attribute(domain, "./os/type", "machine"),
        "cpu_mode": None if cpu is None else cpu.get("mode", "custom"),
        "vcpus": int(domain.findtext("./vcpu") or 0),
        "memory_mib": _memory_mib(domain.find("./memory")),
        "vcpu_pins": [pins[vcpu] for vcpu in sorted(pins)],
        "emulator_pins": _attribute(domain, "./cputune/emulatorpin", "cpuset"),
        "numa_nodes": _strict_nodes(domain),
        "hugepages": domain.find("./memoryBacking/hugepages") is not None,
        "pci": [
            _pci_address(address)
            for address in domain.findall("./devices/hostdev[@type='pci']/source/address")
        ],
        "mac": _attribute(domain, f"{interface}/mac", "address"),
        "network": _attribute(domain, f"{interface}/source", "network"),
        "interface_model": _attribute(domain, f"{interface}/model", "type"),
        "console": _attribute(domain, "./devices/serial[@type='file']/source", "path"),
        "disk_buses": {
            target.attrib["dev"]: target.attrib.get("bus")
            for target in domain.findall("./devices/disk/target")
        },
        "balloon": _attribute(domain, "./devices/memballoon", "model"),
        "metadata": {} if metadata is None else dict(metadata.attrib),
    }


def compare_domain(declared: Mapping[str, Any], document: str) -> list[NodeMismatch]:
    """Compare a declaration with the live XML of its domain.

    Parameters
    ----------
    declared : mapping
        One entry of Terraform's output ``declared``.
    document : str
        Live XML of the domain.

    Returns
    -------
    list of NodeMismatch
        Empty when everything is as declared.
    """
    realised = read_domain(document)
    # Every node of every cluster has these.
    expected = {
        **declared,
        "interface_model": "virtio",
        "disk_buses": {"vda": "virtio", "vdb": "virtio"},
        "balloon": "none",
    }
    return [
        NodeMismatch(field, value, realised.get(field))
        for field, value in expected.items()
        if not _same(field, value, realised.get(field))
    ]


def thread_affinities(pid: int, proc: Path = Path("/proc")) -> dict[int, frozenset[int]]:
    """Host CPUs that each virtual CPU's thread may run on.

    Parameters
    ----------
    pid : int
        Process id of QEMU.
    proc : pathlib.Path
        Where procfs is mounted.

    Returns
    -------
    dict of int to frozenset of int
        By number of the virtual CPU. QEMU names the threads ``CPU n/KVM`` or ``CPU n/TCG``.

    Raises
    ------
    SchedlabError
        When there is no such process.
    """
    found: dict[int, frozenset[int]] = {}
    names: dict[Path, str] = {}
    for task in _tasks(pid, proc):
        # A helper thread of QEMU may have ended since it was listed.
        with contextlib.suppress(OSError):
            names[task] = (task / "comm").read_text().strip()
    for task, name in names.items():
        if match := VCPU_THREAD.fullmatch(name):
            found[int(match[1])] = parse_cpuset(_status(task, "Cpus_allowed_list") or "")
    return found


def compare_threads(
    declared: Mapping[str, Any], pid: int, proc: Path = Path("/proc")
) -> list[NodeMismatch]:
    """Compare declared pins with the affinity that the kernel enforces.

    What is not pinned is not compared. If huge pages are declared, the process must have the
    guest's whole memory in them.

    Parameters
    ----------
    declared : mapping
        One entry of Terraform's output ``declared``.
    pid : int
        Process id of the domain's QEMU.
    proc : pathlib.Path
        Where procfs is mounted.
    """
    mismatches = []
    if declared["vcpu_pins"]:
        threads = thread_affinities(pid, proc)
        for vcpu, pin in enumerate(declared["vcpu_pins"]):
            allowed = threads.get(vcpu)
            if allowed != parse_cpuset(pin):
                realised = "no such thread" if allowed is None else format_cpuset(allowed)
                mismatches.append(NodeMismatch(f"affinity of vCPU {vcpu}", pin, realised))
    main = proc / str(pid) / "task" / str(pid)
    if declared["emulator_pins"]:
        allowed_list = _status(main, "Cpus_allowed_list") or ""
        if not _same("emulator_pins", declared["emulator_pins"], allowed_list):
            mismatches.append(
                NodeMismatch("affinity of the emulator", declared["emulator_pins"], allowed_list)
            )
    if declared["hugepages"]:
        # procfs: "HugetlbPages:  131072 kB"
        mapped_mib = int((_status(main, "HugetlbPages") or "0").split()[0]) // 1024
        if mapped_mib < declared["memory_mib"]:
            mismatches.append(NodeMismatch("MiB in huge pages", declared["memory_mib"], mapped_mib))
    return mismatches


def require_declared(found: Mapping[str, Sequence[NodeMismatch]]) -> None:
    """Fail when any node is not as declared.

    Parameters
    ----------
    found : mapping of str to sequence of NodeMismatch
        By node.

    Raises
    ------
    SchedlabError
        When there is a difference; it lists every one of every node.
    """
    lines = [f"{node}: {mismatch}" for node, items in found.items() for mismatch in items]
    if lines:
        raise SchedlabError(
            "the cluster is not what was declared:\n  " + "\n  ".join(lines),
            stage="provision",
            remedy="change the settings that this host cannot provide (placement, node, head);"
            " a trial would run under other conditions than the reported ones",
        )


def _same(field: str, declared: Any, realised: Any) -> bool:
    if declared is None or realised is None:
        return declared is realised
    match field:
        case "machine":
            # libvirt resolves an alias to a versioned type: q35 to pc-q35-7.2.
            return bool(re.fullmatch(rf"(pc-)?{re.escape(declared)}(-[\w.]+)?", realised))
        case "mac":
            return str(declared).lower() == str(realised).lower()
        case "emulator_pins" | "numa_nodes":
            return parse_cpuset(declared) == parse_cpuset(realised)
        case "vcpu_pins":
            return [parse_cpuset(p) for p in declared] == [parse_cpuset(p) for p in realised]
        case "pci":
            return sorted(declared) == sorted(realised)
    return bool(declared == realised)


def _attribute(domain: ElementTree.Element, path: str, name: str) -> str | None:
    element = domain.find(path)
    return None if element is None else element.get(name)


def _memory_mib(element: ElementTree.Element | None) -> int:
    if element is None:
        return 0
    return int(element.text or 0) * UNITS[element.get("unit", "KiB")] // UNITS["MiB"]


def _strict_nodes(domain: ElementTree.Element) -> str | None:
    memory = domain.find("./numatune/memory")
    if memory is None:
        return None
    # Any other mode lets memory come from other nodes, so it does not count as a binding.
    return memory.get("nodeset") if memory.get("mode", "strict") == "strict" else None


def _pci_address(address: ElementTree.Element) -> str:
    domain, bus, slot, function = (
        int(address.attrib[name], 16) for name in ("domain", "bus", "slot", "function")
    )
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def _tasks(pid: int, proc: Path) -> list[Path]:
    folder = proc / str(pid) / "task"
    if not folder.is_dir():
        raise SchedlabError(f"process {pid} of a domain does not exist or has ended")
    return sorted(folder.iterdir())


def _status(task: Path, key: str) -> str | None:
    try:
        text = (task / "status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{key}:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else None
