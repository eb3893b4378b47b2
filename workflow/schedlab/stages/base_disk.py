"""Builds the base disk of an image."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from schedlab import design
from schedlab.config import Experiment
from schedlab.images.base import build_base
from schedlab.images.cloud import fetch_cloud_image
from schedlab.images.parts import role_parts
from schedlab.paths import CHECKOUT, RECORD
from schedlab.results.records import RecordWriter, digests, file_digest
from schedlab.schedulers import image_roles
from schedlab.sources import stage_files
from schedlab.sources.ansible import stated_files
from schedlab.stages.context import Context
from schedlab.testbed.supervisor import interruptible, scratch_folder
from schedlab.toolchain import Cache


def cache_inputs(experiment: Experiment, image: str) -> dict[str, Any]:
    """Everything that determines a base disk, for the cache."""
    lists = stated_files(image_roles(image), "Debian")
    # The entries of these lists are inputs (`parts`), not the text of their files.
    code = [path for path in stage_files("base", image=image) if path not in lists]
    spec = design.image_spec(experiment, image)
    return {
        "spec": spec,
        # A cloud image is taken as it is.
        **(asdict(role_parts(lists)) if spec["kind"] == "mmdebstrap" else {}),
        "code": digests(code, CHECKOUT),
    }


def build_base_disk(context: Context, image: str) -> None:
    """Build an image's base disk, or take it from the cache."""
    spec = design.image_spec(context.experiment, image)
    code = stage_files("base", image=image)
    record = RecordWriter("base", f"{image}/base", CHECKOUT, context.results, inputs=code)
    parts = role_parts(stated_files(image_roles(image), "Debian"))
    facts: dict[str, Any] = {}

    def build(target: Path) -> None:
        with interruptible(), scratch_folder(context.results, f"base-{image}") as scratch:
            if spec["kind"] == "cloud":
                facts.update(fetch_cloud_image(spec, target))
            else:
                facts.update(build_base(spec, parts, target, scratch=scratch / "work"))

    folder, cache = context.base(image), Cache.default()
    entry = cache.get_or_build("base-disk", cache_inputs(context.experiment, image), build)
    outputs = cache.place_all(entry, folder)
    listing = folder / "packages.txt"
    record.write(
        folder / RECORD,
        outputs=outputs,
        settings=spec,
        realised={
            "packages": listing.read_text().split() if listing.exists() else [],
            "disk_sha256": file_digest(folder / "disk.qcow2"),
        },
        tools=facts.pop("tools", {}),
    )
