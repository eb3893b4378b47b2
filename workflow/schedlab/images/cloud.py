"""A distribution's cloud image, by URL and digest, as the base disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.plain import plain
from schedlab.units import mib

CHUNK = 2**20


def download(url: str, sha256: str, target: Path) -> None:
    """Download a file and check its digest.

    Raises
    ------
    SchedlabError
        When the file cannot be read or has another digest; no file is left then.
    """
    found = hashlib.sha256()
    try:
        if url.startswith("file://"):
            with Path(url.removeprefix("file://")).open("rb") as source, target.open("wb") as out:
                while chunk := source.read(CHUNK):
                    found.update(chunk)
                    out.write(chunk)
        else:
            # Not at the top: its import is slow, and most images need no download.
            import requests

            with requests.get(url, stream=True, timeout=60) as answer, target.open("wb") as out:
                answer.raise_for_status()
                for chunk in answer.iter_content(CHUNK):
                    found.update(chunk)
                    out.write(chunk)
    except OSError as error:  # the errors of requests are OSErrors too
        target.unlink(missing_ok=True)
        raise SchedlabError(
            f"image.url {url} cannot be read: {plain(error)}",
            stage="base",
            remedy="check image.url and the network",
        ) from error
    if found.hexdigest() != sha256:
        target.unlink()
        raise SchedlabError(
            f"image.url {url} has sha256 {found.hexdigest()}, image.sha256 is {sha256}",
            stage="base",
            remedy="if the distribution replaced the file on purpose, put the new digest into "
            "image.sha256",
        )


def fetch_cloud_image(spec: dict[str, Any], output: Path) -> dict[str, Any]:
    """Put a cloud image into `output` as ``disk.qcow2``, grown to its declared size.

    Parameters
    ----------
    spec : dict
        The image section: ``url``, ``sha256``, ``disk`` (such as ``6 GiB``).
    output : pathlib.Path
        Folder.

    Returns
    -------
    dict
        For the record: ``url`` and ``sha256`` of the download.
    """
    output.mkdir(parents=True, exist_ok=True)
    original = output / "download"
    download(spec["url"], spec["sha256"], original)
    disk = output / "disk.qcow2"
    try:
        for command in (
            ["qemu-img", "convert", "-O", "qcow2", str(original), str(disk)],
            ["qemu-img", "resize", "-q", str(disk), f"{mib(spec['disk'])}M"],
        ):
            done = processes.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SchedlabError(
                    f"{spec['url']} cannot be used as a disk image: {done.stderr.strip()}",
                    stage="base",
                    remedy="raise image.disk: it must not be smaller than the image"
                    if "--shrink" in done.stderr
                    else None,
                )
    finally:
        original.unlink()
    return {"url": spec["url"], "sha256": spec["sha256"]}
