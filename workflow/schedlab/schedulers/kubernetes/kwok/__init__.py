"""KWOK, which plays the kubelets of virtual nodes; ``go.mod`` beside this file pins its version."""

from __future__ import annotations

from pathlib import Path

from schedlab.schedulers.programs import ProgramGroup

PROGRAMS = ProgramGroup(
    name="kwok",
    folder=Path(__file__).parent,
    programs={"kwok": "kwok"},
    probe="kwok",
    version_pattern=r"(?m)^kwok version v(\S+)",
    flags="-X sigs.k8s.io/kwok/pkg/consts.Version=v$version",
    minutes=4,
)
