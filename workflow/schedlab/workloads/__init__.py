"""Workloads: seeded generators and trace files that make neutral jobs.

Importing the package imports every module of this folder, which registers the kinds.
"""

from importlib import import_module
from pkgutil import iter_modules

from schedlab.workloads.registry import (
    COMPOSITE,
    KINDS,
    Problem,
    Workload,
    complete_unions,
    register,
    workload_from,
    workload_union,
)
from schedlab.workloads.trace import Job, Machine, Trace, read_trace

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
complete_unions()

__all__ = [
    "COMPOSITE",
    "KINDS",
    "Job",
    "Machine",
    "Problem",
    "Trace",
    "Workload",
    "read_trace",
    "register",
    "workload_union",
    "workload_from",
]
