"""Scheduler adapters.

Importing the package imports every module of this folder, which registers the adapters.
"""

from importlib import import_module
from pkgutil import iter_modules

from schedlab.schedulers.base import (
    SCHEDULERS,
    Exporter,
    Scheduler,
    Submission,
    get_scheduler,
    image_binaries,
    register,
)

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "SCHEDULERS",
    "Exporter",
    "Scheduler",
    "Submission",
    "get_scheduler",
    "image_binaries",
    "register",
]
