"""Where everything is: paths below the checkout, and below a results folder, each written once.

Paths below a results folder are text with slashes, relative to it: records, bundles and rules name
files that way. Each function also takes wildcards (``{cluster}``) and glob patterns (``*``) in
place of names.
"""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
"""Root of the checkout that this package runs from."""

PACKAGE = CHECKOUT / "workflow" / "schedlab"
INFRASTRUCTURE = CHECKOUT / "workflow" / "infrastructure"
ANSIBLE = INFRASTRUCTURE / "ansible"
ROLES = ANSIBLE / "roles"
PACKER = INFRASTRUCTURE / "packer"
TERRAFORM = INFRASTRUCTURE / "terraform"
GUEST_PROGRAMS = INFRASTRUCTURE / "guest"
REPORT_TEMPLATES = CHECKOUT / "workflow" / "report"
TOOL_MODULES = CHECKOUT / "envs" / "toolchain"
"""One folder a tool of the controller, with its ``go.mod`` and ``go.sum``."""

SOURCES = (
    "Snakefile",
    "workflow",
    "config",
    "envs",
    "profiles",
    "resources",
    "scripts",
    "pyproject.toml",
    "uv.lock",
    "Makefile",
    "CITATION.cff",
)
"""What the pipeline reads of a checkout: its source. Whatever else lies there is none of it."""

RESULTS = "results"
"""Name of a results folder in records and bundles, wherever it is on disk."""

RECORD = "record.json"
ACCELERATOR = "accelerator.json"
TOOLCHAIN = "toolchain.json"
EXPERIMENTS = "experiments.yaml"
"""The experiment that results are of, kept beside the report."""
REPORT = "report.html"
REPORT_RECORD = "report.record.json"
BUNDLE = "bundle.tar.zst"
STATE = ".snakemake.json"
"""What Snakemake knows of the results."""
TABLES = "tables"
TABLES_RECORD = f"{TABLES}/{RECORD}"
TABLE_FILES = ("jobs.parquet", "samples.parquet", "trials.parquet")
FIGURES = "figures"
LOGS = "logs"
IMPORTED = "imported"
"""Folder with one folder an imported bundle."""
IMPORT = "origin.json"
"""In the folder of an import: what was imported."""


def image_folder(image: str, stage: str) -> str:
    """Folder of an image's stage: ``base``, ``programs`` or ``image``."""
    return f"images/{image}/{stage}"


def image_record(image: str, stage: str) -> str:
    """Record of an image's stage."""
    return f"{image_folder(image, stage)}/{RECORD}"


def cluster_folder(cluster: str, state: str) -> str:
    """Folder of a cluster in state ``provisioned`` or ``configured``."""
    return f"clusters/{cluster}/{state}"


def cluster_record(cluster: str, state: str) -> str:
    """Record of a cluster in a state."""
    return f"{cluster_folder(cluster, state)}/{RECORD}"


def trace_file(workload: str, nodes: int | str, repetition: int | str) -> str:
    """Neutral trace of a workload for a node count and a repetition."""
    return f"traces/{workload}-n{nodes}-r{repetition}.json"


def trace_record(workload: str, nodes: int | str, repetition: int | str) -> str:
    """Record of a neutral trace."""
    return record_beside(trace_file(workload, nodes, repetition))


def trial_folder(cluster: str, workload: str, repetition: int | str) -> str:
    """Folder of a trial."""
    return f"trials/{cluster}/{workload}/{repetition}"


def trial_record(cluster: str, workload: str, repetition: int | str) -> str:
    """Record of a trial."""
    return f"{trial_folder(cluster, workload, repetition)}/{RECORD}"


def figure_file(figure: str) -> str:
    """Picture of a figure."""
    return f"{FIGURES}/{figure}.svg"


def figure_record(figure: str) -> str:
    """Record of a figure."""
    return record_beside(figure_file(figure))


def imported_folder(name: str) -> str:
    """Folder of an import, or the results folder itself (empty text) for the empty name."""
    return f"{IMPORTED}/{name}" if name else ""


def record_beside(path: str) -> str:
    """Record of a file that shares its folder with others: ``wait.svg``, ``wait.record.json``."""
    return f"{path.rpartition('.')[0]}.{RECORD}"


def cache_root() -> Path:
    """Folder of the cache: ``$SCHEDLAB_CACHE``, else ``schedlab`` in the user's cache folder."""
    explicit = os.environ.get("SCHEDLAB_CACHE")
    if explicit:
        return Path(explicit).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "schedlab"
