"""Find out whether hardware virtualisation works, by booting a guest with it.

That /dev/kvm exists is not enough: on some machines it can be opened, but no stock kernel boots.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
from pathlib import Path
from typing import Any

from schedlab import processes
from schedlab.errors import SchedlabError

MARK = b"(initramfs)"
"""Prompt of the initial RAM disk's shell; it shows that the kernel and its user space run."""

MARK_OF_DISK = b"systemd[1]: "
"""Start of lines that a cloud image's first process writes to the serial console."""

TIMEOUT = 40.0
MACHINE = ("-machine", "q35", "-m", "512", "-smp", "2")
COMMAND_LINE = "console=ttyS0 break=top"


def boots(command: list[str], mark: bytes = MARK, timeout: float = TIMEOUT) -> tuple[bool, str]:
    """Start a command and look for `mark` in its output.

    Parameters
    ----------
    command : list of str
        QEMU with its serial console on standard output.
    mark : bytes
        What proves success.
    timeout : float
        Seconds to wait.

    Returns
    -------
    (bool, str)
        Whether the mark came, and the reason in words.
    """
    process = processes.start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout
    seen = b""
    deadline = time.monotonic() + timeout
    os.set_blocking(process.stdout.fileno(), False)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                if not selector.select(0.2):
                    continue
                chunk = process.stdout.read()
                if chunk == b"":
                    return False, f"the emulator stopped: {_last_line(seen)}"
                seen += chunk or b""
                if mark in seen:
                    return True, "a kernel booted"
        return False, f"a guest kernel did not boot within {timeout:g} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        process.stdout.close()


def _last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "without a message"


def boot_options(base: Path) -> tuple[list[str], bytes]:
    """What QEMU boots of a base disk, and the mark that proves it.

    Parameters
    ----------
    base : pathlib.Path
        Folder of the disk: a kernel with its initial RAM disk is beside one that was built here. A
        cloud image is booted itself, and not written to.
    """
    kernel = base / "vmlinuz"
    if kernel.exists():
        files = ["-kernel", str(kernel), "-initrd", str(base / "initrd.img")]
        return [*files, "-append", COMMAND_LINE], MARK
    # In this form of the option a comma in the path is doubled.
    path = str(base / "disk.qcow2").replace(",", ",,")
    return ["-drive", f"file={path},if=virtio,format=qcow2,snapshot=on"], MARK_OF_DISK


def qemu_version() -> str:
    """Version of the emulator."""
    text = processes.run(
        ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return text.split("version", 1)[1].split()[0]


def probe_accelerator(
    base: Path, requested: str, device: Path = Path("/dev/kvm")
) -> dict[str, Any]:
    """Choose the accelerator.

    Parameters
    ----------
    base : pathlib.Path
        Folder of the base disk to boot.
    requested : {"auto", "kvm", "tcg"}
        Configuration key ``accelerator``.
    device : pathlib.Path
        KVM's device.

    Returns
    -------
    dict
        ``requested``, ``accelerator`` (kvm or tcg), ``reason``, ``seconds``, ``qemu_version``.

    Raises
    ------
    SchedlabError
        When kvm is requested and does not work.
    """
    start = time.monotonic()
    if requested == "tcg":
        works, reason = False, "tcg was requested"
    elif not device.exists():
        works, reason = False, f"{device} does not exist"
    elif not os.access(device, os.R_OK | os.W_OK):
        works, reason = False, f"{device} may not be opened by this user"
    else:
        options, mark = boot_options(base)
        works, reason = boots(
            [
                "qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", *MACHINE, "-nodefaults",
                "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
                *options,
            ],
            mark,
        )  # fmt: skip
        reason = reason if works else f"{device} is there, but {reason}"
    if requested == "kvm" and not works:
        raise SchedlabError(
            f"accelerator: kvm was requested, but {reason}",
            stage="accelerator",
            remedy="set accelerator: auto or tcg, or enable (nested) virtualisation on this host",
        )
    return {
        "requested": requested,
        "accelerator": "kvm" if works else "tcg",
        "reason": reason,
        "seconds": round(time.monotonic() - start, 3),
        "qemu_version": qemu_version(),
    }
