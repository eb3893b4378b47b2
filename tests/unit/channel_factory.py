"""Makes a Conda channel in a folder: a few small packages, and the index of them."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from rattler import Subdir
from rattler.index import index_fs

PLACEHOLDER = "/built/" + "p" * 60
"""Prefix that files name as they were built, long as Conda's own are."""
BINARY = b"\0prefix=" + PLACEHOLDER.encode() + b"/lib\0 end"
"""Content of a file whose size must stay."""
Files = dict[str, "str | bytes"]


def put_package(
    channel: Path, name: str, version: str, depends: Sequence[str], files: Files, subdir: str
) -> Path:
    """Put a package into a channel that is not indexed yet."""
    path = channel / subdir / f"{name}-{version}-0.tar.bz2"
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = {
        key: text.encode() if isinstance(text, str) else text for key, text in files.items()
    }
    entries = []
    for key, content in contents.items():
        entry = {
            "_path": key,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_in_bytes": len(content),
        }
        if PLACEHOLDER.encode() in content:
            mode = "binary" if b"\0" in content else "text"
            entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": mode}
        entries.append(entry)
    about = {
        "name": name,
        "version": version,
        "build": "0",
        "build_number": 0,
        "depends": list(depends),
        "subdir": subdir,
        "license": "LGPL-3.0-only",
    }
    contents["info/index.json"] = json.dumps(about).encode()
    contents["info/paths.json"] = json.dumps({"paths": entries, "paths_version": 1}).encode()
    with tarfile.open(path, "w:bz2") as tar:
        for key, content in contents.items():
            member = tarfile.TarInfo(key)
            member.size, member.mode = len(content), 0o755 if key.startswith("bin/") else 0o644
            tar.addfile(member, io.BytesIO(content))
    return path


def index(channel: Path) -> None:
    """Index what is in a channel."""
    asyncio.run(index_fs(channel, Subdir("linux-64"), write_zst=False, write_shards=False))


def make_flux_channel(channel: Path, core: str = "0.85.0") -> Path:
    """Make a channel with flux-core, flux-sched and a library, which are no programs; return it."""
    library: Files = {"lib/libjansson.so.4": BINARY}
    flux: Files = {
        "bin/flux": f"#!{PLACEHOLDER}/bin/python\n",
        "lib/pkgconfig/flux-core.pc": "prefix=/somewhere/else\n",
    }
    sched: Files = {"lib/flux/modules/sched-fluxion-qmanager.so": "module"}
    put_package(channel, "jansson", "2.14", ["__glibc >=2.17"], library, "linux-64")
    put_package(channel, "flux-core", "0.84.0", [], flux, "linux-64")
    put_package(channel, "flux-core", core, ["jansson", "__linux"], flux, "linux-64")
    put_package(channel, "flux-sched", "0.50.0", ["flux-core >=0.80"], sched, "linux-64")
    index(channel)
    return channel
