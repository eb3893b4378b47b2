"""Load of the host while something runs: processors, stalls, swapping, emulators."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil


def cpu_model() -> str:
    """Name of the host's processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def host_description() -> dict[str, Any]:
    """Describe the host by what matters to a measurement. Its name is left out on purpose."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": psutil.virtual_memory().total // 2**20,
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
    }


def host_boot() -> str:
    """Digest of the kernel's id of the host's present boot: it tells boots apart, no machines."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return hashlib.sha256(boot.encode()).hexdigest()[:12]


def pressure() -> dict[str, float]:
    """Cumulative stall times by resource in seconds (Linux PSI); empty if PSI is off."""
    result = {}
    for path in sorted(Path("/proc/pressure").glob("*")) if Path("/proc/pressure").is_dir() else []:
        try:
            for line in path.read_text().splitlines():
                kind, *fields = line.split()
                total = dict(f.split("=") for f in fields)["total"]
                result[f"{path.name}_{kind}"] = int(total) / 1e6
        except OSError:
            continue
    return result


def processor_times() -> dict[str, float]:
    """Cumulative processor times of the host in seconds, steal among them."""
    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    return {"busy": busy, "steal": getattr(times, "steal", 0.0), "idle": times.idle}


def emulator_times(pids: dict[str, int]) -> dict[str, dict[str, float]]:
    """Run and wait times of each node's QEMU threads in seconds, from the kernel's schedstat.

    The wait time (runnable, but not running) has to be read on the host: under software emulation
    the guest's own steal counter stays 0.
    """
    result = {}
    for node, pid in pids.items():
        run = wait = 0.0
        for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                fields = stat.read_text().split()
            except OSError:
                continue
            run, wait = run + int(fields[0]) / 1e9, wait + int(fields[1]) / 1e9
        result[node] = {"run_seconds": round(run, 3), "wait_seconds": round(wait, 3)}
    return result


def own_times(others: Iterable[int] = ()) -> float:
    """Processor time of this process and its descendants, s.

    A descendant that has ended is counted too: its parent's times of children have its time.

    Parameters
    ----------
    others : iterable of int
        Ids of descendants that are left out.
    """
    me = psutil.Process()
    total, left_out = 0.0, set(others)
    for process in [me, *me.children(recursive=True)]:
        if process.pid not in left_out:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def swapped() -> dict[str, int]:
    """Bytes that the host swapped in and out since its start."""
    memory = psutil.swap_memory()
    return {"in": memory.sin, "out": memory.sout}


def sample(pids: dict[str, int]) -> dict[str, Any]:
    """Read every changing quantity of this module once.

    Parameters
    ----------
    pids : dict of str to int
        Process id of each node's QEMU.
    """
    return {
        "load": os.getloadavg()[0],
        "processor": processor_times(),
        "pressure": pressure(),
        "emulators": emulator_times(pids),
        "own": own_times(pids.values()),
        "swap": swapped(),
    }


def difference(start: dict[str, Any], end: dict[str, Any]) -> dict[str, Any]:
    """Subtract the numbers of one reading from those of a later one, in the same structure."""
    result: dict[str, Any] = {}
    for key, value in end.items():
        if isinstance(value, dict):
            result[key] = difference(start.get(key, {}), value)
        elif key in start:
            result[key] = round(value - start[key], 6)
    return result
