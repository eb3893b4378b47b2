"""Run the test with hardware virtualisation on a machine that has none: in a guest that has it.

QEMU's emulation knows AMD's SVM, so an emulated guest has /dev/kvm, and its own guests run as they
do on hardware, only slower. It also emulates an IOMMU, and a disk with a virtual function (SR-IOV)
that is given to a compute node. The guest is made natively: Debian, this commit of the checkout,
what `make setup` installs, the tools and the image. It has no network. Its console is shown, and
kept in FOLDER/console.log.

Usage: python tests/e2e/nested.py FOLDER

Run it as root. FOLDER takes 16 GB, and is kept for the next time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from schedlab.paths import cache_root
from schedlab.privacy.package_mirrors import debian_mirror
from schedlab.processes import environment

ROOT = Path(__file__).resolve().parents[2]
SUITE = "trixie"
PACKAGES = "systemd-sysv,linux-image-cloud-amd64,initramfs-tools,make,ca-certificates,iproute2"
CHECKOUT, CACHE = "/srv/schedlab", "/srv/cache"
TOOLS = ("go-tool", "packer-plugins", "prometheus", "promtool", "provider-mirror", "uv", "verified")
"""What is taken from this machine's cache, so that it is not built again."""
DEVICE, FUNCTION = "0000:01:00.0", "0000:01:00.1"
"""The disk behind the root port, and its virtual function."""
VCPUS, MEMORY, DISK = 4, "10G", "24G"
# `max` would have processor features that the KVM of this guest cannot pass on.
QEMU = [
    "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "EPYC,+svm,+npt",
    "-device", "intel-iommu", "-device", "pcie-root-port,id=root1,chassis=1",
    "-device", "nvme-subsys,id=disks", "-device",
    "nvme,serial=1,subsys=disks,bus=root1,sriov_max_vfs=1,sriov_vq_flexible=2,sriov_vi_flexible=1",
    "-smp", str(VCPUS), "-m", MEMORY, "-display", "none", "-serial", "stdio", "-monitor", "none",
    "-nic", "none", "-no-reboot",
]  # fmt: skip
TEST = f"""\
[Unit]
Description=The test with hardware virtualisation
After=multi-user.target

[Service]
Type=oneshot
WorkingDirectory={CHECKOUT}
Environment=HOME=/root SCHEDLAB_CACHE={CACHE} SCHEDLAB_NO_PACKAGES=1 SCHEDLAB_TEST_KVM=1
Environment=SCHEDLAB_TEST_PCI={FUNCTION}
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
ExecStartPre=/sbin/modprobe kvm_amd
ExecStartPre=/bin/sh -c 'echo 0 > /sys/bus/pci/devices/{DEVICE}/sriov_drivers_autoprobe'
ExecStartPre=/bin/sh -c 'echo 1 > /sys/bus/pci/devices/{DEVICE}/sriov_numvfs'
ExecStart={CHECKOUT}/.venv/bin/python -m schedlab.toolchain pytest -v -s tests/e2e/test_kvm.py \\
 tests/e2e/test_passthrough.py
ExecStopPost=/bin/sh -c 'echo "the test ended with status $EXIT_STATUS" > /dev/ttyS0'
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""


def run(*command: str | Path) -> None:
    """Run a command; it must succeed."""
    subprocess.run(list(map(str, command)), check=True)


@contextlib.contextmanager
def mounted(root: Path) -> Iterator[None]:
    """Mount what programs in a root file system need, in this process's own mounts."""
    mounts = [("--bind", root, root), ("--types", "proc", "proc", root / "proc"),
              ("--rbind", "/sys", root / "sys"), ("--rbind", "/dev", root / "dev")]  # fmt: skip
    for mount in mounts:
        run("mount", *mount)
    try:
        yield
    finally:
        # Services that packages started may still use them.
        run("umount", "--recursive", "--lazy", root)


def inside(root: Path, *command: str) -> None:
    """Run a command in a root file system, with this machine's network."""
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    own = {"HOME": "/root", "SCHEDLAB_CACHE": CACHE, "PYTHONPATH": f"{CHECKOUT}/workflow"}
    own["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    subprocess.run(["chroot", root, *command], env=environment(own), check=True)


def make_root(root: Path) -> None:
    """Make the guest's files: Debian, the checkout, its programs and its image."""
    if not (root / "etc/debian_version").exists():
        run("mmdebstrap", "--variant=important", f"--include={PACKAGES}", SUITE, root,
            *filter(None, [debian_mirror()]))  # fmt: skip
    (root / "etc/systemd/system/schedlab-kvm.service").write_text(TEST)
    checkout = root / CHECKOUT.lstrip("/")
    if not checkout.exists():
        run("git", "clone", "--quiet", ROOT, checkout)
    for name in TOOLS:
        if (kept := cache_root() / name).is_dir() and not (root / "srv/cache" / name).exists():
            shutil.copytree(kept, root / "srv/cache" / name, symlinks=True)
    # Authorities that this machine trusts beside the usual ones, such as those of a proxy.
    if (own := Path("/usr/local/share/ca-certificates")).is_dir():
        shutil.copytree(own, root / own.relative_to("/"), dirs_exist_ok=True)
    with mounted(root):
        inside(root, "update-ca-certificates")
        script = (
            f"cd {CHECKOUT} && scripts/setup --test && . .venv/bin/activate && "
            "snakemake --config experiments=config/tests/one-node.yaml results=/srv/warm -- "
            "all_images"
        )
        inside(root, "bash", "-c", script)
        inside(root, "systemctl", "enable", "schedlab-kvm.service")
        # Results are made in /tmp, and need more than a part of the memory.
        inside(root, "systemctl", "mask", "tmp.mount")


def main(folder: Path) -> int:
    """Make the guest, boot it, and return 0 if the test passed in it."""
    root, disk = folder / "root", folder / "disk.raw"
    folder.mkdir(parents=True, exist_ok=True)
    make_root(root)
    disk.unlink(missing_ok=True)
    run("truncate", "--size", DISK, disk)
    run("mkfs.ext4", "-q", "-d", root, disk)
    (kernel,), (initrd,) = (root / "boot").glob("vmlinuz-*"), (root / "boot").glob("initrd.img-*")
    arguments = "root=/dev/vda rw console=ttyS0 panic=-1 intel_iommu=on"
    drive = f"file={disk},format=raw,if=virtio,cache=unsafe"
    command = [*QEMU, "-kernel", kernel, "-initrd", initrd, "-append", arguments, "-drive", drive]
    told = ""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as guest:
        assert guest.stdout is not None
        with (folder / "console.log").open("wb") as console:
            for line in guest.stdout:
                console.write(line)
                console.flush()
                sys.stdout.buffer.write(line)
                sys.stdout.flush()
                told = line.decode(errors="replace") if b"the test ended" in line else told
    print(f"console: {folder / 'console.log'}")
    return 0 if re.search(r"the test ended with status 0\b", told) else 1


if __name__ == "__main__":
    if len(sys.argv) != 2 or os.geteuid() != 0:
        sys.exit(__doc__)
    # Mounts of its own, so that none stays, however this ends.
    if os.environ.get("SCHEDLAB_NESTED") != "1":
        os.environ["SCHEDLAB_NESTED"] = "1"
        own = ["unshare", "--mount", "--propagation", "private", "--", sys.executable]
        os.execvp("unshare", [*own, *sys.argv])
    sys.exit(main(Path(sys.argv[1]).resolve()))
