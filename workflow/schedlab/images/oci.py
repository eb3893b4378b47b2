"""Container images made from single static programs, as one archive, without any registry.

An archive of the OCI image layout (image-spec v1.1) that ``ctr images import`` reads.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
NAME = "io.containerd.image.name"


@dataclass(frozen=True)
class Program:
    """An image of one program.

    Parameters
    ----------
    source : pathlib.Path
        The static program on the host.
    path : str
        Where it is in the image; also the image's entry point.
    """

    source: Path
    path: str


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    archive.addfile(info, io.BytesIO(content))


def _layer(program: Program) -> bytes:
    """Layer with the program and the folders above it, the same bytes for the same program."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        parts = Path(program.path.lstrip("/")).parent.parts
        for depth in range(1, len(parts) + 1):
            folder = tarfile.TarInfo("/".join(parts[:depth]))
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        _add(archive, program.path.lstrip("/"), program.source.read_bytes(), 0o755)
    return buffer.getvalue()


def write_archive(images: Mapping[str, Program], output: Path) -> Path:
    """Write an archive of images.

    Parameters
    ----------
    images : mapping of str to Program
        Full image names, such as ``localhost/pause:1``.
    output : pathlib.Path
        The archive; the same bytes for the same programs.
    """
    manifests = []
    with tarfile.open(output, "w", format=tarfile.GNU_FORMAT) as archive:

        def blob(content: bytes, kind: str) -> dict[str, Any]:
            digest = hashlib.sha256(content).hexdigest()
            _add(archive, f"blobs/sha256/{digest}", content)
            return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for name, program in sorted(images.items()):
            layer = _layer(program)
            packed = gzip.compress(layer, mtime=0)
            config = {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Entrypoint": [program.path]},
                "rootfs": {
                    "type": "layers",
                    "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
                },
            }
            manifest = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": blob(json.dumps(config).encode(), CONFIG),
                "layers": [blob(packed, LAYER)],
            }
            entry = blob(json.dumps(manifest).encode(), MANIFEST)
            manifests.append(entry | {"annotations": {NAME: name}})
        index = {"schemaVersion": 2, "manifests": manifests}
        _add(archive, "index.json", json.dumps(index).encode())
    return output
