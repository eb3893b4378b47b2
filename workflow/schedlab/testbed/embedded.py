"""The workflow's own libvirtd, which runs inside the job's namespaces.

Its state is kept in the job's scratch folder. Bind mounts that only this job sees put the state
where libvirt expects it, so that every tool, Terraform's provider included, finds
``qemu:///system``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt

from schedlab import processes
from schedlab.errors import SchedlabError

URI = "qemu:///system"
TEMPORARY = Path("/run/tmp")
"""Folder for temporary files inside. Programs that are killed leave some, which then go with the
job's scratch folder. The path is short, because that of a socket may have 107 bytes."""

QEMU_CONF = """\
user = "root"
group = "root"
stdio_handler = "file"
security_driver = "none"
remember_owner = 0
namespaces = []
"""

WHY_ROOT = (
    "the job's own libvirtd starts it so: disks, saved memory and sockets of guests are for root"
    " alone, below folders of the results and of the cache that another user often may not enter"
)
"""Why QEMU does not run as another user, for the record."""

LIBVIRT_USER = "libvirt-qemu:x:64055:64055:libvirt:/nonexistent:/usr/sbin/nologin\n"
LIBVIRT_GROUP = "libvirt-qemu:x:64055:\n"


def _mount(*arguments: str) -> None:
    processes.run(["mount", *arguments], check=True, capture_output=True)


def _bind(source: Path, target: Path) -> None:
    source.mkdir(parents=True, exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    _mount("--bind", str(source), str(target))


def prepare_namespace(state: Path, cache: Path, *, hugepages: bool = False) -> None:
    """Make the job's private view of the machine: /run, /sys, libvirt's folders, loopback.

    This process and those that it starts have their temporary files in it.

    Parameters
    ----------
    state : pathlib.Path
        Folder of this job for libvirt's configuration, state and logs.
    cache : pathlib.Path
        Folder kept between jobs for libvirt's cache of QEMU's capabilities (saves seconds).
    hugepages : bool
        Mount hugetlbfs; libvirtd looks for it when it starts.
    """
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for folder in ("lock", "libvirt"):
        (Path("/run") / folder).mkdir()
    _bind(state / "tmp", TEMPORARY)
    os.environ["TMPDIR"] = str(TEMPORARY)
    tempfile.tempdir = None  # Python remembers the folder that it used first
    # sysfs shows the network devices of the namespace in which it was mounted.
    processes.run(["umount", "--lazy", "/sys"], capture_output=True)
    _mount("-t", "sysfs", "sysfs", "/sys")
    for name in ("lib", "log"):
        _bind(state / name, Path("/var") / name / "libvirt")
    _bind(cache, Path("/var/cache/libvirt"))
    _bind(state / "etc", Path("/etc/libvirt"))
    # libvirt looks this user up even when told to run QEMU as root. Debian creates it only with
    # the package that also starts a system libvirtd, which a user's machine need not have.
    for name, line in (("passwd", LIBVIRT_USER), ("group", LIBVIRT_GROUP)):
        text = (Path("/etc") / name).read_text()
        if "libvirt-qemu:" not in text:
            private = Path("/run") / name
            private.write_text(text.rstrip("\n") + "\n" + line)
            _mount("--bind", str(private), f"/etc/{name}")
    if hugepages:
        Path("/dev/hugepages").mkdir(exist_ok=True)
        _mount("-t", "hugetlbfs", "hugetlbfs", "/dev/hugepages")
    processes.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)


@contextmanager
def libvirt_daemon(state: Path, timeout: float = 60.0) -> Iterator[str]:
    """Start libvirtd, yield its URI, stop it at the end.

    Raises
    ------
    SchedlabError
        When libvirtd is not installed, stops, or does not answer within `timeout` seconds.
    """
    (state / "etc" / "qemu.conf").write_text(QEMU_CONF)
    (state / "etc" / "libvirtd.conf").write_text('auth_unix_rw = "none"\n')
    log = state / "log" / "libvirtd.log"
    executable = shutil.which("libvirtd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/sbin")
    if executable is None:
        raise SchedlabError("libvirtd is not installed", remedy="make setup")
    with log.open("w") as handle:
        daemon = processes.start([executable], stdout=handle, stderr=subprocess.STDOUT)
    try:
        _wait(daemon, timeout, log)
        yield URI
    finally:
        processes.end(daemon, 10)


def _wait(daemon: subprocess.Popen[bytes], timeout: float, log: Path) -> None:
    deadline = time.monotonic() + timeout
    while True:
        if daemon.poll() is not None:
            raise SchedlabError(
                f"libvirtd stopped with status {daemon.returncode}: {log.read_text()[-800:]}",
                stage="testbed",
            )
        try:
            libvirt.open(URI).close()
            return
        except libvirt.libvirtError as error:
            if time.monotonic() > deadline:
                raise SchedlabError(
                    f"libvirtd did not answer within {timeout:g} s: {error}", log=log
                ) from error
            time.sleep(0.05)
