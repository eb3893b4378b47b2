"""The disk with large files that Packer attaches for the roles: programs, container images."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from schedlab.errors import SchedlabError
from schedlab.images.base_disk import environment
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
    programs: Iterable[Path], definitions: Iterable[Path], settings: Path, scratch: Path
) -> Path:
    """Make an ISO image with ``bin/``, ``crd/``, ``etc/`` and ``images.tar``.

    Parameters
    ----------
    programs : iterable of pathlib.Path
        Static programs.
    definitions : iterable of pathlib.Path
        Files with Kubernetes resource definitions.
    settings : pathlib.Path
        Folder with what goes below ``/etc``: copied one by one, the files would each cost an
        emulated guest ten seconds.
    scratch : pathlib.Path
        Folder for the image and what goes into it.

    Raises
    ------
    SchedlabError
        With genisoimage's message.
    """
    tree = scratch / "files"
    for name, files in (("bin", programs), ("crd", definitions)):
        (tree / name).mkdir(parents=True)
        for path in files:
            shutil.copy(path, tree / name / path.name)
    shutil.copytree(settings, tree / "etc")
    work = scratch / "programs"
    work.mkdir()
    write_container_images(work, tree / "images.tar")
    disk = scratch / "files.iso"
    done = subprocess.run(
        ["genisoimage", "-quiet", "-rational-rock", "-joliet", "-volid", LABEL, "-output",
         str(disk), str(tree)],
        env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SchedlabError(f"genisoimage failed: {done.stderr.strip()[-800:]}", stage="image")
    shutil.rmtree(tree)
    return disk
