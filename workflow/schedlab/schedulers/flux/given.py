"""What an installation of Flux must have: no distribution packages it, but conda-forge does."""

from pathlib import Path

from schedlab.schedulers.installation import Installation

INSTALLATION = Installation(
    name="flux",
    source=Path(__file__),
    packages=("flux-core >=0.85", "flux-sched"),
    program="bin/flux",
    told="lib*/pkgconfig/flux-core.pc",
    pattern=r"(?m)^prefix=(.*)$",
)
