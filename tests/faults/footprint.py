"""What a run has on this machine outside its results and the cache: nothing may stay of it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

PROGRAMS = ("qemu-system", "libvirtd", "virtlogd", "dnsmasq", "prometheus", "ssh-agent", "packer")
"""Programs that a run starts; the beginning of their names."""
FOLDERS = ("/run/libvirt", "/var/lib/libvirt", "/run/netns", "/dev/hugepages", "/dev/shm")


def footprint(results: Path, temporary: Path) -> set[str]:
    """Describe processes, network, mounts and files that a run of these results can leave.

    Parameters
    ----------
    results : pathlib.Path
        The results' folder.
    temporary : pathlib.Path
        The run's folder for temporary files; no other run has it.
    """
    return {*_processes(results), *_links(), *_mounts(), *_files(temporary)}


def stays(before: set[str], results: Path, temporary: Path, seconds: float = 90.0) -> list[str]:
    """What was not there before and does not go within some seconds."""
    deadline = time.monotonic() + seconds
    while (left := footprint(results, temporary) - before) and time.monotonic() < deadline:
        time.sleep(1)
    return sorted(left)


def _processes(results: Path) -> Iterator[str]:
    own = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error):
            name, words = process.name(), process.cmdline()
            marked = process.environ().get("SCHEDLAB_RESULTS") == str(results)
            named = name.startswith(PROGRAMS) or any(str(results) in word for word in words)
            if process.pid not in own and (named or marked):
                yield f"process {process.pid} {' '.join(words)[:120]}"


def _links() -> Iterator[str]:
    command = ["ip", "-brief", "link"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    yield from (f"link {line.split()[0]}" for line in done.stdout.splitlines())


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        yield f"mount {line.split()[1]}"


def _files(temporary: Path) -> Iterator[str]:
    for folder in (*map(Path, FOLDERS), temporary):
        with contextlib.suppress(OSError):
            yield from (f"file {path}" for path in folder.rglob("*") if not _of_snakemake(path))


def _of_snakemake(path: Path) -> bool:
    """Whether it is the empty folder that each Snakemake makes, and leaves when it is killed."""
    return path.name.startswith("snakemake") and path.is_dir() and not any(path.iterdir())
