"""What the base disk's file system holds besides packages, and what must not be in it.

Two aims decide the contents: an emulated guest should boot quickly, and during a trial nothing may
run that the trial did not start.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

LABEL = "rootfs"

BOOT_PACKAGES = (
    "cloud-guest-utils",
    "cloud-init",
    "dbus",
    "e2fsprogs",
    "fdisk",
    "initramfs-tools",
    "iproute2",
    "linux-image-cloud-amd64",
    "netbase",
    "openssh-server",
    "python3",
    "sudo",
    "systemd-sysv",
    "udev",
    "zstd",
)
"""Packages that make a disk bootable, reachable and configurable, for every scheduler."""

FILES: dict[str, str] = {
    "etc/hostname": "localhost\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    # Names come from /etc/hosts. With no server named here, no look-up waits for an answer.
    "etc/resolv.conf": "",
    "etc/machine-id": "",
    "etc/fstab": f"LABEL={LABEL} / ext4 rw,noatime,errors=remount-ro 0 0\n",
    "boot/grub/grub.cfg": (
        f"linux /vmlinuz root=LABEL={LABEL} rw console=ttyS0 net.ifnames=0 quiet\n"
        "initrd /initrd.img\n"
        "boot\n"
    ),
    # The MAC is the client identifier. One from the machine-id would be the same in all copies of a
    # disk, and the DHCP server would refuse the second node.
    "etc/systemd/network/50-lan.network": (
        "[Match]\nType=ether\n\n"
        "[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n\n"
        "[DHCPv4]\nClientIdentifier=mac\nUseDNS=no\nUseNTP=no\nUseHostname=no\n"
    ),
    "etc/cloud/cloud.cfg.d/90-schedlab.cfg": (
        "datasource_list: [NoCloud, None]\n"
        "network: {config: disabled}\n"
        # Every module costs seconds under emulation; these are the ones that seeds here use.
        "cloud_init_modules: [seed_random, bootcmd, write_files, growpart, resizefs,"
        " set_hostname, update_hostname, users_groups, ssh]\n"
        "cloud_config_modules: [set_passwords, runcmd]\n"
        "cloud_final_modules: [scripts_user, final_message]\n"
        "users: []\n"
    ),
    # Only what a virtio disk with ext4 needs: a small initrd unpacks quickly under emulation.
    "etc/initramfs-tools/conf.d/schedlab": "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\nvirtio_net\next4\n",
    "etc/systemd/journald.conf.d/schedlab.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n",
}
"""Path in the guest -> text."""

ENABLED = ("systemd-networkd.service",)

# Secrets, identities, and files that depend on the time or the order of the build.
_UNWANTED = (
    "etc/*-",
    "etc/apt/sources.list~",
    "etc/ssh/ssh_host_*",
    "root/.bash_history",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/aux-cache",
    "var/cache/man",
    "var/lib/apt/extended_states",
    "var/lib/apt/lists/*",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/*-old",
    "var/lib/systemd/random-seed",
    "var/log/*.log",
    "var/log/apt",
    "var/log/journal",
    "tmp/*",
)


def write_files(root: Path) -> None:
    """Write :data:`FILES` into a file system that has its packages."""
    for name, text in FILES.items():
        path = root / name
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            path.parent.chmod(0o755)  # independent of the builder's umask
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o644)


def customise_commands(disable: Sequence[str], mask: Sequence[str]) -> list[str]:
    """Shell commands for mmdebstrap's customise hook; ``$1`` is the new file system.

    Services in `disable` are not started at boot, as far as they are installed. Units in `mask`
    cannot be started at all.

    The initrd is made again, because its settings are written after its package was installed.
    """
    return [
        f'chroot "$1" systemctl --quiet mask {" ".join(mask)}',
        f'chroot "$1" systemctl --quiet enable {" ".join(ENABLED)}',
        f'for unit in {" ".join(disable)}; do if [ -e "$1/usr/lib/systemd/system/$unit.service" ];'
        ' then chroot "$1" systemctl --quiet disable "$unit"; fi; done',
        'chroot "$1" update-initramfs -u -k all',
    ]


def remove_unwanted(root: Path, secrets: Sequence[str]) -> None:
    """Remove identities, secrets and traces of the build; empty what remains of the logs.

    Parameters
    ----------
    root : pathlib.Path
        The file system.
    secrets : sequence of str
        Absolute paths, within it, of further files to remove.
    """
    for pattern in (*_UNWANTED, *(path.lstrip("/") for path in secrets)):
        for path in sorted(root.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for path in sorted((root / "var/log").rglob("*")):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(b"")
