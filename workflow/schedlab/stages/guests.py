"""What stages read from guests and their emulators: realised state, processes, memory."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import libvirt
import psutil

from schedlab.errors import SchedlabError
from schedlab.testbed import embedded
from schedlab.testbed.session import Testbed, domain_pid
from schedlab.testbed.ssh import Node, head_of

FACTS = r"""
. /etc/os-release; echo "os $PRETTY_NAME"
echo "selinux $(getenforce 2>/dev/null)"
echo "kernel $(uname -r)"; echo "cmdline $(cat /proc/cmdline)"
echo "clocksource $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
lscpu --json | tr -d '\n' | sed 's/^/lscpu /'; echo
"""

PACKAGES = (
    "if command -v dpkg-query >/dev/null; then dpkg-query -W -f '${Package}=${Version}\\n';"
    " else rpm -qa --queryformat '%{NAME}=%{VERSION}-%{RELEASE}\\n'; fi"
)


def realised_facts(node: Node) -> dict[str, Any]:
    """Read a node's distribution, SELinux mode (or nothing), kernel, clock source, processors."""
    facts: dict[str, Any] = {}
    for line in node.run(FACTS).stdout.splitlines():
        key, _, value = line.partition(" ")
        if key:
            facts[key] = json.loads(value) if key == "lscpu" else value
    if "lscpu" in facts:
        facts["lscpu"] = {
            item["field"].rstrip(":"): item["data"] for item in facts["lscpu"]["lscpu"]
        }
    return facts


def packages(node: Node) -> list[str]:
    """List the installed packages as sorted ``name=version``."""
    return sorted(node.run(PACKAGES).stdout.split())


def all_facts(nodes: dict[str, Node]) -> dict[str, Any]:
    """Facts of every node, and the head's packages (all nodes run the same image)."""
    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        facts = dict(zip(nodes, pool.map(realised_facts, nodes.values()), strict=True))
    head = head_of(nodes)
    return {"nodes": facts, "packages": packages(head)}


MACHINE = r"""
nproc; awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo; cat /proc/sys/kernel/random/boot_id
"""


def realised_machines(nodes: dict[str, Node]) -> dict[str, dict[str, Any]]:
    """Read each node's processors, memory (MiB) and boot identity, all nodes at once."""

    def one(node: Node) -> dict[str, Any]:
        cpus, memory, boot = node.run(MACHINE).stdout.split()
        return {"cpus": int(cpus), "memory_mib": int(memory), "boot": boot}

    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        return dict(zip(nodes, pool.map(one, nodes.values()), strict=True))


def emulator_pids(names: list[str], testbed: Testbed, cluster: str) -> dict[str, int]:
    """Process ids of the nodes' QEMU processes; a guest that died has none and is left out."""
    pids = {}
    for name in names:
        with contextlib.suppress(SchedlabError):
            pids[name] = domain_pid(testbed.domain_name(cluster, name))
    return pids


def resident_mib(pids: dict[str, int]) -> int:
    """Memory of the host that all of the nodes' QEMU processes occupy together, MiB."""
    total = 0
    for pid in pids.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            total += psutil.Process(pid).memory_info().rss
    return total >> 20


def emulator_user(pids: Mapping[str, int], *, own: bool) -> dict[str, str]:
    """User as whom QEMU runs, and why, for the record; empty where no process is known.

    Parameters
    ----------
    pids : mapping
        Process ids of the nodes' QEMU processes.
    own : bool
        Whether the job's own libvirtd started them.
    """
    users = set()
    for pid in pids.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            users.add(psutil.Process(pid).username())
    if not users:
        return {}
    why = embedded.WHY_ROOT if own else "the machine's libvirtd starts it so (its qemu.conf)"
    return {"user": ", ".join(sorted(users)), "why": why}


def liveness(
    testbed: Testbed, cluster: str, names: Iterable[str], stage: str
) -> Callable[[], None]:
    """Return a function that raises an error, naming the node, when one of the guests is gone."""
    fixed = list(names)
    return lambda: require_running(testbed, cluster, fixed, stage)


def require_running(testbed: Testbed, cluster: str, names: list[str], stage: str) -> None:
    """Check that every node's domain runs.

    Raises
    ------
    SchedlabError
        When a domain does not run; the error names the node.
    """
    for name in names:
        try:
            state = testbed.connection.lookupByName(testbed.domain_name(cluster, name)).state()[0]
        except libvirt.libvirtError as error:
            raise SchedlabError(f"the guest {name} died", stage=stage, node=name) from error
        if state != libvirt.VIR_DOMAIN_RUNNING:
            raise SchedlabError(f"the guest {name} is not running", stage=stage, node=name)
