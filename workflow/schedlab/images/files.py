"""The disk with large files that Packer attaches for the roles: programs, container images."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.images.base_disk import REPRODUCIBLE
from schedlab.images.oci import Program, write_archive
from schedlab.images.payload import compile_program

PAYLOAD_IMAGE = "localhost/schedlab-payload:1"
PAUSE_IMAGE = "localhost/pause:1"
LABEL = "FILES"


def write_container_images(folder: Path, output: Path) -> Path:
    """Make the archive with the images of the payload and of pods' pause process."""
    payload = compile_program("schedlab_payload", folder / "schedlab-payload")
    pause = compile_program("schedlab_pause", folder / "schedlab-pause")
    return write_archive(
        {
            PAYLOAD_IMAGE: Program(payload, "/usr/local/bin/schedlab-payload"),
            PAUSE_IMAGE: Program(pause, "/pause"),
        },
        output,
    )


def make_files_disk(
    programs: Iterable[Path],
    shared: Mapping[str, Iterable[Path]],
    overlays: Iterable[Path],
    archives: Iterable[Path],
    scratch: Path,
) -> Path:
    """Make an ISO image with ``bin/``, ``share/<name>/``, overlays and archives.

    With programs it also has ``images.tar``, the container images.

    Parameters
    ----------
    programs : iterable of pathlib.Path
        Static programs.
    shared : mapping of str to iterable of pathlib.Path
        Files that belong to programs, by the name of their folder below ``/usr/local/share``.
    overlays : iterable of pathlib.Path
        Folders, with ``etc/`` and others, whose contents are merged into the image. Copied one by
        one, each file would take an emulated guest ten seconds.
    archives : iterable of pathlib.Path
        Tar archives for ``archives/``, whose names start at the guest's root. In them files keep
        modes and links, which the image's file system does not have.
    scratch : pathlib.Path
        Folder for the image and what goes into it.

    Raises
    ------
    SchedlabError
        When genisoimage fails; it has its message.
    """
    tree = scratch / "files"
    programs, archives = list(programs), list(archives)
    for name, files in {
        "bin": programs,
        "archives": archives,
        **{f"share/{name}": files for name, files in shared.items()},
    }.items():
        (tree / name).mkdir(parents=True)
        for path in files:
            shutil.copy(path, tree / name / path.name)
    for overlay in overlays:
        shutil.copytree(
            overlay, tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    if programs:
        work = scratch / "programs"
        work.mkdir()
        write_container_images(work, tree / "images.tar")
    disk = scratch / "files.iso"
    done = processes.run(
        ["genisoimage", "-quiet", "-rational-rock", "-joliet", "-volid", LABEL, "-output",
         str(disk), str(tree)],
        added=REPRODUCIBLE, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SchedlabError(f"genisoimage failed: {done.stderr.strip()[-800:]}", stage="image")
    shutil.rmtree(tree)
    return disk
