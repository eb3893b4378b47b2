"""What an installation of Flux must have; a user gives it, as no distribution packages it."""

from pathlib import Path

from schedlab.schedulers.installation import Installation

INSTALLATION = Installation(
    name="flux",
    source=Path(__file__),
    program="bin/flux",
    told="lib*/pkgconfig/flux-core.pc",
    pattern=r"(?m)^prefix=(\S+)$",
)
