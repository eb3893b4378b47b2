"""Makes a bootable disk from a folder of files, with the same bytes each time.

No loop device and no mount are needed: the guest's own mke2fs fills the file system from the
folder, and GRUB is written to where grub-install would put it.
"""

from __future__ import annotations

from pathlib import Path

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.images.base_guest import LABEL

EPOCH = 1754697600
"""SOURCE_DATE_EPOCH of everything built, s: Debian trixie's release, 2025-08-09."""
UUID = "5c4ed1ab-0000-4000-8000-000000000001"
HASH_SEED = "5c4ed1ab-0000-4000-8000-000000000002"
DISK_ID = "0x5c4ed1ab"
REPRODUCIBLE = {"SOURCE_DATE_EPOCH": str(EPOCH), "TZ": "UTC"}
"""Variables of the build's tools."""
_OFFSET = 1 << 20
_SECTOR = 512
_BOOT_CODE = 440  # bytes of the MBR before the disk id and the partition table
_GRUB = Path("/usr/lib/grub/i386-pc")
_GRUB_MODULES = (
    *("biosdisk", "part_msdos", "ext2", "normal", "linux"),
    *("search", "search_label", "configfile", "echo", "test"),
)
# The root is found by its label, so that the core image has no device name in it.
_EARLY = f"search --no-floppy --label {LABEL} --set root\nconfigfile /boot/grub/grub.cfg\n"


def run(command: list[str], given: str = "") -> str:
    """Run a tool of the build with an input; return its standard output.

    Raises
    ------
    SchedlabError
        When the tool fails, with its own message, or is not installed.
    """
    try:
        done = processes.run(
            command, added=REPRODUCIBLE, input=given, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise SchedlabError(
            f"{command[0]} is not installed", stage="image", remedy="make setup"
        ) from error
    if done.returncode:
        raise SchedlabError(
            f"{Path(command[0]).name} ended with status {done.returncode}: "
            f"{(done.stderr or done.stdout).strip()[-1500:]}",
            stage="image",
        )
    return done.stdout


def make_filesystem(root: Path, disk: Path) -> None:
    """Make the ext4 file system of `root`'s files in the partition of `disk`.

    The guest's mke2fs (1.47.2) honours SOURCE_DATE_EPOCH and sorts entries. The host's may be too
    old for either, so the guest's is run, with the guest's own libraries.
    """
    blocks = (disk.stat().st_size - _OFFSET) // 4096
    run(
        [
            str(root / "lib64/ld-linux-x86-64.so.2"),
            "--library-path",
            str(root / "usr/lib/x86_64-linux-gnu"),
            str(root / "usr/sbin/mke2fs"),
            *("-q", "-F", "-t", "ext4", "-b", "4096", "-L", LABEL, "-U", UUID, "-m", "1"),
            *("-E", f"hash_seed={HASH_SEED},offset={_OFFSET},root_owner=0:0"),
            *("-d", str(root), str(disk), str(blocks)),
        ]
    )


def install_grub(disk: Path, scratch: Path) -> None:
    """Put GRUB's boot sector into the MBR and its core image into the gap behind it."""
    boot = _GRUB / "boot.img"
    if not boot.exists():
        raise SchedlabError(
            f"{boot} is missing", stage="image", remedy="apt-get install grub-pc-bin"
        )
    early, core = scratch / "early.cfg", scratch / "core.img"
    early.write_text(_EARLY)
    run(
        ["grub-mkimage", "-O", "i386-pc", "-o", str(core), "-c", str(early)]
        + ["-p", "/boot/grub", *_GRUB_MODULES]
    )
    image = core.read_bytes()
    if len(image) > _OFFSET - _SECTOR:
        raise SchedlabError(f"GRUB's core image of {len(image)} bytes does not fit", stage="image")
    with disk.open("r+b") as handle:
        handle.write(boot.read_bytes()[:_BOOT_CODE])
        # The core image's block list says that it is contiguous, from sector 1 on.
        handle.seek(_SECTOR)
        handle.write(image)


def make_disk(root: Path, output: Path, size_mib: int, scratch: Path) -> None:
    """Make a bootable qcow2 disk of a folder's files.

    Parameters
    ----------
    root : pathlib.Path
        The file system, with kernel, initrd and /boot/grub/grub.cfg.
    output : pathlib.Path
        The qcow2 file.
    size_mib : int
        Virtual size, MiB.
    scratch : pathlib.Path
        Folder for intermediate files.
    """
    raw = scratch / "disk.raw"
    raw.unlink(missing_ok=True)
    with raw.open("wb") as handle:
        handle.truncate(size_mib << 20)
    table = f"label: dos\nlabel-id: {DISK_ID}\nstart={_OFFSET // _SECTOR}, type=83, bootable\n"
    run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(raw)], given=table)
    make_filesystem(root, raw)
    install_grub(raw, scratch)
    partial = output.with_name(f".{output.name}.part")
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(partial)])
    partial.replace(output)
    raw.unlink()
