"""The checks of ``schedlab doctor``. Each yields the problems that it finds."""

from __future__ import annotations

import ipaddress
import os
import resource
import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from schedlab import processes
from schedlab.toolchain.tools import PROMETHEUS, discover, missing

EMULATOR_MIB = 150
"""Memory in MiB that QEMU needs in addition to its guest's (measured under TCG)."""
RESULTS_SHARE = 2 / 3
"""Part of the disk limit for the results, if the cache is on another file system."""
OPEN_FILES = 1024
"""Number of open files that libvirtd, QEMU and Prometheus need at least."""
PROCESSES = 512
"""Number of processes and threads that a run has at the same time, with some reserve."""

PROBE = """
mount -t tmpfs tmpfs /mnt || exit 11
ip link set lo up || exit 12
ip link add schedlab0 type bridge || exit 13
ip tuntap add dev schedlab1 mode tap || exit 14
ip link set schedlab1 master schedlab0 || exit 15
"""
PROBE_STEPS = {
    11: "cannot mount a file system in a namespace",
    12: "cannot set up a network namespace",
    13: "cannot make a bridge in a network namespace",
    14: "cannot make a tap device in a network namespace",
    15: "cannot join a tap device to a bridge",
}


@dataclass(frozen=True)
class HostProblem:
    """Something about the machine that prevents a run, or that users should know.

    Attributes
    ----------
    what : str
        The problem, with the value found.
    why : str
        What needs another value.
    remedy : str
        What the user can do.
    fatal : bool
        The problem prevents the run.
    """

    what: str
    why: str
    remedy: str
    fatal: bool = True

    def __str__(self) -> str:
        """Render on three lines."""
        kind = "problem" if self.fatal else "note"
        return f"{kind}: {self.what}\n  why: {self.why}\n  remedy: {self.remedy}"


@dataclass(frozen=True)
class HostNeeds:
    """What an experiment needs of the machine.

    Attributes
    ----------
    results, cache : pathlib.Path
        Folders to which the run writes.
    disk_mib : int
        Disk space for both folders together, MiB.
    memory_mib : int
        Memory of all guests of the largest cluster, MiB.
    guests : int
        Number of guests of the largest cluster.
    cidr : str
        IPv4 network of the guests.
    embedded : bool
        Whether the workflow starts a libvirtd of its own, in its own namespaces.
    lower : str
        Keys that the memory comes from.
    """

    results: Path
    cache: Path
    disk_mib: int
    memory_mib: int
    guests: int
    cidr: str
    embedded: bool
    lower: str = "node.memory, head.memory or nodes"


def check_tools(_needs: HostNeeds) -> Iterator[HostProblem]:
    """Check the programs that the distribution must provide."""
    for requirement, why in missing().items():
        yield HostProblem(
            f"{requirement.name} {why}",
            f"it {requirement.purpose}",
            f"make setup, or: apt-get install {requirement.package}",
        )
    if (
        discover(PROMETHEUS) is None
        and shutil.which("apt-get", path=processes.search_path()) is None
    ):
        yield HostProblem(
            "prometheus is not installed, and there is no apt to install it with",
            f"it {PROMETHEUS.purpose}",
            "put Prometheus on PATH",
        )


def check_privileges(needs: HostNeeds) -> Iterator[HostProblem]:
    """Check for the rights of root, and that namespaces, bridges and tap devices can be made."""
    if os.geteuid() != 0:
        yield HostProblem(
            "this command does not run as root",
            "the base disk is made with loop devices and mounts"
            + (", and the embedded libvirt needs namespaces" if needs.embedded else ""),
            "run the same command as root (`sudo --preserve-env make report`)",
        )
        return
    if not Path("/dev/loop-control").exists():
        yield HostProblem(
            "/dev/loop-control is missing",
            "the base disk is made with loop devices",
            "load the kernel module (modprobe loop), or give the container access to the host's"
            " devices",
        )
    if not needs.embedded or shutil.which("unshare", path=processes.search_path()) is None:
        return
    problem = probe_namespaces()
    if problem:
        yield problem


def probe_namespaces() -> HostProblem | None:
    """Make namespaces, a bridge and a tap device, as the embedded testbed does, and remove them.

    Returns
    -------
    HostProblem or None
        What could not be made; None if all could.
    """
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
    done = processes.run(
        [*command, "--propagation", "private", "sh", "-c", PROBE],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
    )
    if done.returncode == 0:
        return None
    what = PROBE_STEPS.get(done.returncode, "cannot make namespaces (unshare)")
    return HostProblem(
        f"{what}: {done.stderr.strip()[-300:]}",
        "the workflow runs libvirt and the guests in a network namespace of its own",
        "in a container, give it these rights (--privileged, /dev/net/tun); elsewhere, load the "
        "kernel modules bridge and tun; or start the system's libvirtd, and set libvirt.uri:"
        " qemu:///system",
    )


def check_tap(_needs: HostNeeds) -> Iterator[HostProblem]:
    """Check the device behind the guests' network cards."""
    try:
        present = stat.S_ISCHR(Path("/dev/net/tun").stat().st_mode)
    except OSError:
        present = False
    if not present:
        yield HostProblem(
            "/dev/net/tun is missing",
            "the guests' network cards are tap devices",
            "modprobe tun, or give the container access to /dev/net/tun",
        )


def check_network(needs: HostNeeds) -> Iterator[HostProblem]:
    """Check that the guests' network is free."""
    if needs.embedded:
        return  # The workflow makes a network namespace, in which there are no other networks.
    network = ipaddress.IPv4Network(needs.cidr)
    for name, taken in (*interface_networks(), *routed_networks()):
        # A default route overlaps every network, but is no conflict.
        if taken.prefixlen > 0 and network.overlaps(taken):
            yield HostProblem(
                f"the network {network} is taken: {name} has {taken}",
                "the system's libvirt (qemu:///system) uses the host's network",
                "set network.cidr in the configuration to a free one, or libvirt.uri: embedded",
            )


def interface_networks() -> Iterator[tuple[str, ipaddress.IPv4Network]]:
    """Yield the IPv4 networks of this machine's interfaces."""
    for name, addresses in psutil.net_if_addrs().items():
        for address in addresses:
            if address.family == socket.AF_INET and address.netmask:
                yield (
                    f"interface {name}",
                    ipaddress.IPv4Network(f"{address.address}/{address.netmask}", strict=False),
                )


def routed_networks(
    table: Path = Path("/proc/net/route"),
) -> Iterator[tuple[str, ipaddress.IPv4Network]]:
    """Yield the IPv4 networks of this machine's routes (little-endian hexadecimal in /proc)."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        base, mask = (bytes.fromhex(fields[column])[::-1] for column in (1, 7))
        network = ipaddress.IPv4Network((base, ipaddress.IPv4Address(mask).compressed))
        yield f"route through {fields[0]}", network


def check_memory(needs: HostNeeds) -> Iterator[HostProblem]:
    """Check the memory that is free now, within the container's limit."""
    needed = needs.memory_mib + needs.guests * EMULATOR_MIB
    free = available_memory_mib()
    if needed > free:
        yield HostProblem(
            f"{free} MiB of memory are free, the largest cluster needs {needed} MiB",
            f"{needs.guests} guests have {needs.memory_mib} MiB, and QEMU needs {EMULATOR_MIB} MiB"
            " for each",
            f"end other programs, or lower {needs.lower} in the configuration",
        )


def available_memory_mib(control_group: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the memory in MiB that is available now on the machine, or in its container."""
    free = psutil.virtual_memory().available
    try:
        limit = int((control_group / "memory.max").read_text())
        used = int((control_group / "memory.current").read_text())
        free = min(free, limit - used)
    except (OSError, ValueError):  # no limit ("max"), or no such control group
        pass
    return free // 2**20


def check_disk(needs: HostNeeds) -> Iterator[HostProblem]:
    """Check the free disk space. What results and cache already use counts as available."""
    results, cache = existing(needs.results), existing(needs.cache)
    if results.stat().st_dev == cache.stat().st_dev:
        places = [(results, [needs.results, needs.cache], 1.0, "results and cache")]
    else:
        places = [
            (results, [needs.results], RESULTS_SHARE, "results"),
            (cache, [needs.cache], 1 - RESULTS_SHARE, "cache"),
        ]
    for place, folders, share, name in places:
        lacking = int(needs.disk_mib * share) - used_mib(*folders)
        free = shutil.disk_usage(place).free // 2**20
        if lacking > free:
            yield HostProblem(
                f"{free} MiB of disk are free at {place}, {name} need {lacking} MiB more",
                f"the experiment may use {needs.disk_mib} MiB (limits.disk)",
                "free some space, use another folder (SCHEDLAB_CACHE for the cache), or lower "
                "image.disk, nodes or limits.disk in the configuration",
            )


def existing(folder: Path) -> Path:
    """Return a folder if it exists, else the nearest folder above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def used_mib(*folders: Path) -> int:
    """Return the disk space in MiB that folders use together.

    A file with several hard links counts once, and holes in files do not count.
    """
    seen: dict[tuple[int, int], int] = {}
    for folder in folders:
        for directory, _, names in os.walk(folder):
            for name in names:
                try:
                    status = (Path(directory) / name).lstat()
                except OSError:
                    continue
                seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values()) // 2**20


def check_limits(_needs: HostNeeds) -> Iterator[HostProblem]:
    """Check the limits that a shell or a container sets on processes."""
    _soft, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < OPEN_FILES:
        yield HostProblem(
            f"at most {files} files can be open at the same time",
            f"libvirtd, QEMU and Prometheus need {OPEN_FILES}",
            f"ulimit -n {OPEN_FILES}",
        )
    try:
        processes = int(Path("/sys/fs/cgroup/pids.max").read_text())
    except (OSError, ValueError):
        return
    if processes < PROCESSES:
        yield HostProblem(
            f"this container may have {processes} processes",
            f"a run has up to {PROCESSES} processes and threads",
            "raise its limit (--pids-limit)",
        )


def check_kvm(_needs: HostNeeds) -> Iterator[HostProblem]:
    """Check whether hardware virtualisation can be expected. Its absence is not fatal."""
    device = Path("/dev/kvm")
    effect = "without it the guests are emulated (TCG): everything works, but many times slower"
    if not device.exists():
        yield HostProblem(
            "/dev/kvm is missing",
            effect,
            "enable virtualisation in the firmware, or nested virtualisation on the host above",
            fatal=False,
        )
    elif not os.access(device, os.R_OK | os.W_OK):
        yield HostProblem(
            "this user may not open /dev/kvm",
            effect,
            "run as root, or join the group kvm",
            fatal=False,
        )
    else:
        yield HostProblem(
            "/dev/kvm exists; the first run tests whether a guest boots with it",
            "with nested virtualisation the device often exists but does not work",
            "nothing to do; see results/accelerator.json after the first run",
            fatal=False,
        )
