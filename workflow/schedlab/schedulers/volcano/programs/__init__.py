"""Volcano's programs and resource definitions; ``go.mod`` beside this file pins their version.

A folder of programs made elsewhere (``SCHEDLAB_GUEST_BINARIES_VOLCANO``) must also have
``crd/volcano/*.yaml`` and ``crd/jobflow/*.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from schedlab.errors import SchedlabError
from schedlab.schedulers.programs import ProgramGroup

_FLAGS = " ".join(
    f"-X volcano.sh/volcano/pkg/version.{name}={value}"
    for name, value in {"Version": "v$version", "GitSHA": "$commit", "Built": "$date"}.items()
)

PROGRAMS = ProgramGroup(
    name="volcano",
    folder=Path(__file__).parent,
    programs={"vc-controller-manager": "controller-manager", "vc-scheduler": "scheduler"},
    probe="vc-scheduler",
    version_pattern=r"(?m)^Version: v(\S+)",
    flags=_FLAGS,
    minutes=5,
    files={
        "crd/volcano": "config/crd/volcano/bases/*.yaml",
        "crd/jobflow": "config/crd/jobflow/bases/*.yaml",
    },
)

SUPPORTED_PAIRS: Mapping[str, str] = {
    "1.12": "1.32",
    "1.13": "1.33",
    "1.14": "1.34",
    "1.15": "1.35",
}
"""Minor version of Volcano -> minor version of Kubernetes that Volcano's ``go.mod`` requires."""


def require_supported_pair(kubernetes: str, volcano: str) -> None:
    """Refuse a version of Volcano that is not made for a version of Kubernetes.

    Raises
    ------
    SchedlabError
        When the versions do not go together; the message names versions that do.
    """
    made_for = SUPPORTED_PAIRS.get(_minor(volcano))
    if made_for is not None and made_for == _minor(kubernetes):
        return
    pairs = ", ".join(
        f"Volcano {ours} with Kubernetes {theirs}" for ours, theirs in SUPPORTED_PAIRS.items()
    )
    why = (
        f"that Volcano is made for Kubernetes {made_for}"
        if made_for
        else "no Kubernetes is known that this Volcano is made for"
    )
    raise SchedlabError(
        f"Volcano {volcano} does not go with Kubernetes {kubernetes}: {why}",
        stage="programs",
        remedy=f"use a pair of {pairs}",
    )


def _minor(version: str) -> str:
    """Major and minor version, such as 1.34; empty if the text has none."""
    match = re.match(r"v?(\d+\.\d+)", version)
    return match[1] if match else ""
