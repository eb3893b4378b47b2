"""Versions of what renders figures and report: other ones may draw other bytes."""

from __future__ import annotations

import platform
from importlib.metadata import version

DRAWING = ("matplotlib", "numpy", "pandas", "pyarrow", "scipy", "seaborn", "jinja2")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries, by name."""
    return {"python": platform.python_version(), **{name: version(name) for name in DRAWING}}
