"""The single checks behind ``schedlab doctor``; each yields what it finds."""

from __future__ import annotations

import ipaddress
import os
import resource
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from schedlab.toolchain.tools import PROMETHEUS, discover, missing, search_path

EMULATOR_MIB = 150
"""Memory that QEMU needs beside its guest's, MiB (measured under TCG)."""
RESULTS_SHARE = 2 / 3
"""Part of the disk limit that falls to the results where the cache is on another file system."""
OPEN_FILES = 1024
"""Open files that libvirtd, QEMU and Prometheus need at the least."""
PROCESSES = 512
"""Processes and threads that a run has at the same time, with room."""

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
class Problem:
    """Something about the machine that stands in the way, or that is worth knowing.

    Attributes
    ----------
    what : str
        The finding, with the value found.
    why : str
        What needs it.
    remedy : str
        What to do.
    fatal : bool
        False where the run works all the same.
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
    """What an experiment asks of the machine.

    Attributes
    ----------
    results, cache : pathlib.Path
        Folders that fill up.
    disk_mib : int
        Disk for both together, MiB.
    memory_mib : int
        Memory of the largest cluster's guests, MiB.
    guests : int
        Number of guests of the largest cluster.
    cidr : str
        IPv4 network of the guests.
    embedded : bool
        Whether the workflow starts a libvirtd of its own, in its own namespaces.
    """

    results: Path
    cache: Path
    disk_mib: int
    memory_mib: int
    guests: int
    cidr: str
    embedded: bool


def check_tools(_needs: HostNeeds) -> Iterator[Problem]:
    """Check the programs that come from the distribution."""
    for requirement, why in missing().items():
        yield Problem(
            f"{requirement.name} {why}",
            f"it {requirement.purpose}",
            f"make setup, or: apt-get install {requirement.package}",
        )
    if discover(PROMETHEUS) is None and shutil.which("apt-get", path=search_path()) is None:
        yield Problem(
            "prometheus is not installed and there is no apt to fetch it with",
            f"it {PROMETHEUS.purpose}",
            "put Prometheus on PATH",
        )


def check_privileges(needs: HostNeeds) -> Iterator[Problem]:
    """Check root's rights, and that namespaces, bridges and taps can be made."""
    if os.geteuid() != 0:
        yield Problem(
            "this is not root",
            "the base disk is made with loop devices and mounts"
            + (", and the embedded libvirt needs namespaces" if needs.embedded else ""),
            "run the same command as root (`sudo --preserve-env make report`)",
        )
        return
    if not Path("/dev/loop-control").exists():
        yield Problem(
            "/dev/loop-control is missing",
            "the base disk is made with loop devices",
            "load the kernel module (modprobe loop), or let the container see host devices",
        )
    if not needs.embedded or shutil.which("unshare", path=search_path()) is None:
        return
    problem = probe_namespaces()
    if problem:
        yield problem


def probe_namespaces() -> Problem | None:
    """Make, for an instant, what the embedded testbed is made of."""
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
    done = subprocess.run(
        [*command, "--propagation", "private", "sh", "-c", PROBE],
        env=os.environ | {"PATH": search_path()},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    if done.returncode == 0:
        return None
    what = PROBE_STEPS.get(done.returncode, "cannot make namespaces (unshare)")
    return Problem(
        f"{what}: {done.stderr.strip()[-300:]}",
        "the workflow runs libvirt and the guests in a network namespace of its own",
        "in a container, give it the rights to (--privileged, /dev/net/tun); elsewhere, load the "
        "kernel modules bridge and tun; or start the system's libvirtd",
    )


def check_tap(_needs: HostNeeds) -> Iterator[Problem]:
    """Check the device behind the guests' network cards."""
    try:
        present = stat.S_ISCHR(Path("/dev/net/tun").stat().st_mode)
    except OSError:
        present = False
    if not present:
        yield Problem(
            "/dev/net/tun is missing",
            "the guests' network cards are tap devices",
            "modprobe tun, or let the container see /dev/net/tun",
        )


def check_network(needs: HostNeeds) -> Iterator[Problem]:
    """Check that the guests' network is free."""
    if needs.embedded:
        return  # a network namespace of the workflow's own: nothing there to collide with
    network = ipaddress.IPv4Network(needs.cidr)
    for name, taken in (*interface_networks(), *routed_networks()):
        # A default route covers everything and collides with nothing.
        if taken.prefixlen > 0 and network.overlaps(taken):
            yield Problem(
                f"the network {network} is taken: {name} has {taken}",
                "libvirt of the system (qemu:///system) shares the host's network",
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


def check_memory(needs: HostNeeds) -> Iterator[Problem]:
    """Check the memory that is free now, the container's limit included."""
    needed = needs.memory_mib + needs.guests * EMULATOR_MIB
    free = available_memory_mib()
    if needed > free:
        yield Problem(
            f"{free} MiB of memory are free, the largest cluster needs {needed} MiB",
            f"{needs.guests} guests with {needs.memory_mib} MiB, {EMULATOR_MIB} MiB of QEMU each",
            "end other programs, or lower node.memory, head.memory or nodes in the configuration",
        )


def available_memory_mib(control_group: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that can be had now, MiB: the machine's, or what a container leaves of it."""
    free = psutil.virtual_memory().available
    try:
        limit = int((control_group / "memory.max").read_text())
        used = int((control_group / "memory.current").read_text())
        free = min(free, limit - used)
    except (OSError, ValueError):  # no limit ("max"), or no such control group
        pass
    return free // 2**20


def check_disk(needs: HostNeeds) -> Iterator[Problem]:
    """Check the free disk, counting what results and cache hold already."""
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
            yield Problem(
                f"{free} MiB of disk are free at {place}, {name} need {lacking} MiB more",
                f"the experiment may use {needs.disk_mib} MiB (limits.disk)",
                "free some, use another folder (SCHEDLAB_CACHE for the cache), or lower "
                "image.disk, nodes or limits.disk in the configuration",
            )


def existing(folder: Path) -> Path:
    """Give a folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def used_mib(*folders: Path) -> int:
    """Disk that folders take up together, MiB; hard links and holes count as the disk counts."""
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


def check_limits(_needs: HostNeeds) -> Iterator[Problem]:
    """Check the limits that a shell or a container sets on processes."""
    _soft, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < OPEN_FILES:
        yield Problem(
            f"at most {files} files can be open",
            f"libvirtd, QEMU and Prometheus need {OPEN_FILES}",
            f"ulimit -n {OPEN_FILES}",
        )
    try:
        processes = int(Path("/sys/fs/cgroup/pids.max").read_text())
    except (OSError, ValueError):
        return
    if processes < PROCESSES:
        yield Problem(
            f"this container may have {processes} processes",
            f"a run has up to {PROCESSES}, threads counted",
            "raise its limit (--pids-limit)",
        )


def check_kvm(_needs: HostNeeds) -> Iterator[Problem]:
    """Tell whether hardware virtualisation can be expected; never fatal."""
    device = Path("/dev/kvm")
    effect = "the guests are emulated (TCG): everything works, many times slower"
    if not device.exists():
        yield Problem(
            "/dev/kvm is missing",
            effect,
            "enable virtualisation in the firmware, or nested virtualisation on the host above",
            fatal=False,
        )
    elif not os.access(device, os.R_OK | os.W_OK):
        yield Problem(
            "/dev/kvm may not be opened",
            effect,
            "run as root, or join the group kvm",
            fatal=False,
        )
    else:
        yield Problem(
            "/dev/kvm is there; whether a guest boots with it is found out by booting one",
            "nested virtualisation often has the device and cannot use it",
            "nothing to do; see results/accelerator.json after the first run",
            fatal=False,
        )
