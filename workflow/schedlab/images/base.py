"""The base disk: a bootable Debian with cloud-init, made natively by mmdebstrap.

Packages are installed here, at the host's speed; in an emulated guest this would take minutes. The
same inputs give the same bytes.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.images import base_guest
from schedlab.images.base_disk import EPOCH, REPRODUCIBLE, make_disk, run
from schedlab.images.licences import LICENCES, declared_licences
from schedlab.images.parts import RoleParts
from schedlab.last_words import last_words, network_remedy
from schedlab.privacy.package_mirrors import debian_mirror
from schedlab.results.records import write_json
from schedlab.units import mib

STAGE = "base"
LAST_LINES = 20
"""Number of last lines of a failed tool's output that the error shows."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def bootstrap_command(suite: str, parts: RoleParts, root: Path) -> list[str]:
    """Command line of mmdebstrap.

    It runs in mount and process namespaces of its own and ends when the process that started it
    ends, so that an interrupted build leaves neither mounts nor processes of the new system.
    """
    commands = base_guest.customise_commands(parts.disabled_units, parts.masked_units)
    options = [f"--customize-hook={line}" for line in commands]
    return [
        *("setpriv", "--pdeathsig", "KILL"),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"),
        f"--include={','.join(sorted({*base_guest.BOOT_PACKAGES, *parts.packages}))}",
        f"--keyring={KEYRING}",
        # A snapshot, or a mirror that is not up to date, has release files past their date.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        f"--essential-hook={write_hook()}",
        *options,
        suite,
        str(root),
        # From standard input, because every user can read a command line (see `sources`).
        *(["-"] if debian_mirror() else []),
    ]


def sources(suite: str) -> str:
    """What apt's list of sources is: the host's mirror, with the user and password of its URL."""
    mirror = debian_mirror()
    return f"deb {mirror} {suite} main\n" if mirror else ""


def forget_credentials(root: Path) -> None:
    """Remove users and passwords from the URLs in a system's list of sources."""
    listing = root / "etc/apt/sources.list"
    if listing.is_file():
        listing.write_text(re.sub(r"://[^/\s]*@", "://", listing.read_text()))


def write_hook() -> str:
    """Shell command that writes the initrd's settings before its package is configured."""
    lines = []
    for name, text in base_guest.FILES.items():
        if name.startswith("etc/initramfs-tools/"):
            quoted = text.replace("\n", "\\n")
            lines.append(f'mkdir -p "$(dirname "$1/{name}")"; printf "{quoted}" > "$1/{name}"')
    return "; ".join(lines)


def bootstrap(suite: str, parts: RoleParts, root: Path) -> None:
    """Install a Debian system into the folder `root`.

    Raises
    ------
    SchedlabError
        When this user or machine cannot build, or mmdebstrap fails; it has the end of its output.
    """
    if os.geteuid() != 0:
        raise SchedlabError(
            "the base disk can only be built by root: its files belong to root",
            stage=STAGE,
            remedy="run as root, or use a cloud image (image: {kind: cloud, ...})",
        )
    for tool in ("mmdebstrap", "setpriv", "unshare"):
        if shutil.which(tool) is None:
            raise SchedlabError(f"{tool} is not installed", stage=STAGE, remedy="make setup")
    if not KEYRING.exists():
        raise SchedlabError(
            f"{KEYRING} is missing", stage=STAGE, remedy="apt-get install debian-archive-keyring"
        )
    command = bootstrap_command(suite, parts, root)
    status, last = processes.run_logged(command, added=REPRODUCIBLE, given=sources(suite))
    if status:
        said = last_words("\n".join(last[-LAST_LINES:]))
        raise SchedlabError(
            f"mmdebstrap ended with status {status}: {said}",
            stage=STAGE,
            remedy=network_remedy(said, "SCHEDLAB_DEBIAN_MIRROR"),
        )


def installed_packages(root: Path) -> str:
    """List a system's packages as sorted lines ``name=version``."""
    listing = run(
        ["dpkg-query", f"--admindir={root / 'var/lib/dpkg'}", "-W", "-f", "${Package}=${Version}\n"]
    )
    return "".join(sorted(listing.splitlines(keepends=True)))


def build_base(
    spec: dict[str, Any],
    parts: RoleParts,
    output: Path,
    *,
    scratch: Path,
) -> dict[str, Any]:
    """Build a bootable Debian disk.

    Parameters
    ----------
    spec : dict
        The image section of the configuration: ``suite`` and ``disk`` (such as ``3 GiB``).
    parts : RoleParts
        What roles need of it.
    output : pathlib.Path
        Folder for ``disk.qcow2``, ``packages.txt``, ``licences.json``, ``vmlinuz`` and
        ``initrd.img``.
    scratch : pathlib.Path
        Folder for intermediate files (about twice the installed size); emptied at the end.

    Returns
    -------
    dict
        For the record: ``suite``, ``disk_mib`` (MiB), ``source_date_epoch`` (s), ``packages``
        (number), ``tools`` (name to version).

    Raises
    ------
    SchedlabError
        When this user or machine cannot build, or a tool fails.
    """
    output.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    root = scratch / "root"
    try:
        bootstrap(spec["suite"], parts, root)
        base_guest.write_files(root)
        forget_credentials(root)
        listing = installed_packages(root)
        (output / "packages.txt").write_text(listing)
        names = [line.partition("=")[0] for line in listing.splitlines()]
        write_json(output / LICENCES, declared_licences(root, names))
        # These links name the one kernel. The accelerator is probed with it.
        for name in ("vmlinuz", "initrd.img"):
            shutil.copyfile(root / (root / name).readlink().as_posix().lstrip("/"), output / name)
        base_guest.remove_unwanted(root, parts.secrets)
        make_disk(root, output / "disk.qcow2", mib(spec["disk"]), scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {
        "suite": spec["suite"],
        "disk_mib": mib(spec["disk"]),
        "source_date_epoch": EPOCH,
        "packages": len(listing.splitlines()),
        "tools": tool_versions(),
    }


def tool_versions() -> dict[str, str]:
    """Versions of the host's tools that shape the disk."""
    return {
        "mmdebstrap": run(["mmdebstrap", "--version"]).split()[-1],
        "grub-mkimage": run(["grub-mkimage", "--version"]).split()[-1],
        "qemu-img": run(["qemu-img", "--version"]).split()[2],
    }
