"""Which programs the stages call, and how they are found on this machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.results.records import file_digest

Source = Literal["path", "built", "downloaded"]


@dataclass(frozen=True)
class Tool:
    """One program as found.

    Attributes
    ----------
    name : str
        What the stages ask for; ``terraform`` may be OpenTofu.
    path : pathlib.Path
        The executable (or plugin) on this machine.
    version : str
        As the program prints it.
    source : {"path", "built", "downloaded"}
        Found on the machine, built from a pinned Go module, or taken from a package.
    program : str
        Which program stands behind the name, for example ``tofu``.
    sha256 : str
        Digest of the executable's bytes.
    """

    name: str
    path: Path
    version: str
    source: Source
    program: str
    sha256: str

    @classmethod
    def at(cls, name: str, path: Path, version: str, source: Source, program: str = "") -> Tool:
        """Describe the executable at `path`, digest included."""
        return cls(name, path, version, source, program or name, file_digest(path))


@dataclass(frozen=True)
class Requirement:
    """A program that must be on the machine.

    Attributes
    ----------
    name : str
        Name under which the stages ask for it.
    package : str
        Debian and Ubuntu package that has it.
    purpose : str
        What fails without it.
    executables : tuple of str
        Names to look for, in order of preference; default: `name`.
    arguments : tuple of str
        Arguments that make it print its version; empty if it cannot print one.
    pattern : str
        Regular expression whose first group is the version.
    minimum : str
        Lowest version that serves; empty: any.
    below : str
        First version that no longer serves; empty: no limit.
    """

    name: str
    package: str
    purpose: str
    executables: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ("--version",)
    pattern: str = r"(\d+(?:\.\d+)+)"
    minimum: str = ""
    below: str = ""

    def suits(self, version: str) -> bool:
        """Tell whether a version lies in the range that serves."""
        limits = [f">={self.minimum}"] if self.minimum else []
        # For a SpecifierSet, unlike for a plain comparison, 0.9.0-rc1 is not below 0.9.
        limits += [f"<{self.below}"] if self.below else []
        return SpecifierSet(",".join(limits)).contains(parse_version(version), prereleases=True)


SYSTEM = (
    Requirement("qemu-system-x86_64", "qemu-system-x86", "runs the guests", minimum="7"),
    Requirement("qemu-img", "qemu-utils", "makes disks and overlays"),
    Requirement("libvirtd", "libvirt-daemon", "manages the guests", minimum="9"),
    Requirement("virsh", "libvirt-clients", "shows what libvirt has"),
    Requirement("dnsmasq", "dnsmasq-base", "gives the guests addresses and names"),
    Requirement("iptables", "iptables", "lets libvirt set up its network"),
    Requirement("ip", "iproute2", "sets up the testbed's network", arguments=("-V",)),
    Requirement("unshare", "util-linux", "makes the testbed's namespaces"),
    Requirement("setpriv", "util-linux", "ends the testbed when its job dies"),
    Requirement("tini", "tini", "is the first process of the testbed"),
    Requirement(
        "xsltproc", "xsltproc", "shapes the domain XML for the provider", pattern=r"libxslt (\d+)"
    ),
    Requirement("mkisofs", "genisoimage", "makes cloud-init's seed images"),
    Requirement("mmdebstrap", "mmdebstrap", "builds the base disk"),
    Requirement("sfdisk", "fdisk", "partitions the base disk"),
    Requirement("mkfs.ext4", "e2fsprogs", "formats the base disk", arguments=("-V",)),
    Requirement("grub-install", "grub2-common", "makes the base disk bootable"),
    Requirement("gcc", "gcc", "compiles the payload", pattern=r"\) (\d+(?:\.\d+)+)"),
    Requirement("ssh", "openssh-client", "reaches the guests", (), ("-V",), r"OpenSSH_([\w.]+)"),
    Requirement("zstd", "zstd", "compresses disks"),
)
"""Programs from the distribution, installed by ``make setup`` (envs/packages.txt)."""

TERRAFORM = (
    Requirement(
        "terraform", "terraform", "creates clusters", (), ("version",), r"v(\d+\.\d+\.\d+)", "1.5"
    ),
    Requirement(
        "terraform",
        "tofu",
        "creates clusters",
        ("tofu",),
        ("version",),
        r"v(\d+\.\d+\.\d+)",
        "1.6",
    ),
)
"""Terraform or OpenTofu, whichever is found first. If there is neither, OpenTofu is built."""

# cracklib also has a program `packer`; only HashiCorp's has this output.
PACKER = Requirement(
    "packer", "packer", "builds images", (), ("version",), r"Packer v(\d+\.\d+\.\d+)", "1.11"
)
PROMETHEUS = Requirement(
    "prometheus",
    "prometheus",
    "samples metrics",
    pattern=r"version (\d+\.\d+\.\d+)",
    minimum="2.33",
)
PROVIDER = Requirement(
    "terraform-provider-libvirt", "", "creates clusters", minimum="0.8", below="0.9"
)
PLUGIN = Requirement("packer-plugin-qemu", "", "builds images", minimum="1.0.9")


def parse_version(text: str) -> Version:
    """Read a version as PEP 440 orders it: ``1.15.1-dev`` is before 1.15.1, ``1.6`` equals 1.6.0.

    For a version in another notation, such as ``1.32.1-eks-4096722``, the leading dotted number
    is taken, and version 0 if there is none.
    """
    number = re.match(r"v?\d+(?:\.\d+)*", text)
    try:
        return Version(text)
    except InvalidVersion:
        return Version(number[0] if number else "0")


def find_executable(names: Sequence[str]) -> Path | None:
    """Find the first of some executables on PATH or in an administrator's folder."""
    for name in names:
        found = shutil.which(name, path=processes.search_path())
        if found:
            return Path(found)
    return None


def probe_version(path: Path, requirement: Requirement) -> str | None:
    """Ask a program for its version; None when it does not run or prints no version."""
    if not requirement.arguments:
        return ""
    try:
        done = processes.run(
            [path, *requirement.arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(requirement.pattern, done.stdout + done.stderr)
    return match[1] if match else None


def discover(requirement: Requirement) -> Tool | None:
    """Find a program of a suitable version on this machine; None when there is none."""
    for name in requirement.executables or (requirement.name,):
        path = find_executable([name])
        if path is None:
            continue
        version = probe_version(path, requirement)
        if version is not None and requirement.suits(version):
            return Tool.at(requirement.name, path, version, "path", path.name)
    return None


def discover_terraform() -> Tool | None:
    """Find Terraform or OpenTofu of a suitable version."""
    return next((tool for tool in map(discover, TERRAFORM) if tool), None)


def missing(requirements: Sequence[Requirement] = SYSTEM) -> dict[Requirement, str]:
    """List the programs that this machine lacks, each with the reason."""
    result = {}
    for requirement in requirements:
        path = find_executable(requirement.executables or (requirement.name,))
        if path is None:
            result[requirement] = "is not installed"
            continue
        version = probe_version(path, requirement)
        if version is None:
            result[requirement] = f"does not tell its version ({path})"
        elif not requirement.suits(version):
            minimum = requirement.minimum
            result[requirement] = f"has version {version}, at least {minimum} is needed"
    return result


def discover_system() -> list[Tool]:
    """Find all programs that come from the distribution.

    Raises
    ------
    SchedlabError
        When programs are missing; it names all of them and the packages to install.
    """
    lacking = missing()
    if lacking:
        lines = [f"{r.name} {why}; it {r.purpose}" for r, why in lacking.items()]
        packages = sorted({requirement.package for requirement in lacking})
        raise SchedlabError(
            "programs are missing:\n  " + "\n  ".join(lines),
            stage="toolchain",
            remedy=f"make setup, or: apt-get install {' '.join(packages)}",
        )
    return [tool for tool in map(discover, SYSTEM) if tool]


@cache
def go_platform() -> tuple[str, str]:
    """Name this machine as Go and Terraform do, such as ("linux", "amd64")."""
    machine = platform.machine()
    names: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64"}
    return platform.system().lower(), names.get(machine, machine)


def discover_provider() -> tuple[Path, str] | None:
    """Find an installed Terraform provider for libvirt; return it and its version.

    Looks where Terraform and OpenTofu look without being configured.
    """
    data = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share"))
    roots = [
        Path.home() / ".terraform.d/plugins",
        data / "terraform/plugins",
        data / "opentofu/plugins",
        Path("/usr/local/share/terraform/plugins"),
        Path("/usr/share/terraform/plugins"),
    ]
    found = []
    for root in roots:
        pattern = f"*/dmacvicar/libvirt/*/{'_'.join(go_platform())}/terraform-provider-libvirt*"
        for path in root.glob(pattern):
            version = path.parent.parent.name
            if PROVIDER.suits(version) and os.access(path, os.X_OK) and path.is_file():
                found.append((parse_version(version), path, version))
    if not found:
        return None
    _, path, version = max(found)
    return path, version


def discover_plugin(packer: Path) -> tuple[Path, str] | None:
    """Find an installed qemu plugin of Packer; return it and its version."""
    done = processes.run(
        [packer, "plugins", "installed"], capture_output=True, text=True, timeout=60
    )
    found = []
    for line in done.stdout.splitlines():
        match = re.search(r"packer-plugin-qemu_v(\d+\.\d+\.\d+)_x5", line)
        if match and PLUGIN.suits(match[1]):
            found.append((parse_version(match[1]), Path(line.strip()), match[1]))
    if not found:
        return None
    _, path, version = max(found)
    return path, version
