"""Versions of the libraries that render figures and report. Other versions may give other bytes."""

from __future__ import annotations

import platform
from importlib.metadata import version

DRAWING = ("matplotlib", "numpy", "pandas", "pyarrow", "scipy", "seaborn", "jinja2")


def versions() -> dict[str, str]:
    """Return the versions of Python and of these libraries, by name."""
    return {"python": platform.python_version(), **{name: version(name) for name in DRAWING}}
