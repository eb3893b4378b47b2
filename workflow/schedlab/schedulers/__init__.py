"""Scheduler adapters, one package each; `register` loads a package when it is first used."""

from schedlab.schedulers.base import Exporter, Scheduler
from schedlab.schedulers.register import (
    check_programs,
    get_scheduler,
    has_programs,
    image_installation,
    image_programs,
    image_roles,
    package_folder,
    register,
    scheduler_names,
)

__all__ = [
    "Exporter",
    "Scheduler",
    "check_programs",
    "get_scheduler",
    "has_programs",
    "image_installation",
    "image_programs",
    "image_roles",
    "package_folder",
    "register",
    "scheduler_names",
]
